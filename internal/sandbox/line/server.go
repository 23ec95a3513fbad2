// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package line is a double of the LINE Messaging API, as far as sending to one
// user and asking about the account goes.
package line

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// DefaultRatePerSecond is LINE's own limit for push, validate and quota.
const DefaultRatePerSecond = 2000

// maxBody is the size of a request that LINE still reads.
const maxBody = 2 << 20

// Error texts that callers match on, as LINE writes them.
const (
	textRateLimit    = "The API rate limit has been exceeded. Try again later."
	textMonthlyLimit = "You have reached your monthly limit."
	textRetryKey     = "The retry key is already accepted"
	textNoUser       = "Failed to send messages"
	textBadToken     = "Authentication failed due to the following reason: invalid token. Confirm that the access token in the authorization header is valid."
	textNoToken      = "Authentication failed due to the following reason: missing access token. Write it in the Authorization header as 'Bearer {channel access token}'."
)

// Channel is one LINE official account, found by its token.
type Channel struct {
	// Name is the account's name in the inbox and in the API; empty takes DisplayName.
	Name string `json:"name"`
	// Token is the channel access token.
	Token string `json:"token"`
	// DisplayName and BasicID are what bot info answers.
	DisplayName string `json:"displayName"`
	BasicID     string `json:"basicId"`
	// MonthlyLimit is how many messages a month may be sent; 0 is no limit.
	MonthlyLimit int `json:"monthlyLimit"`
	// Secret signs webhooks; WebhookURL is where they go, empty for nowhere.
	Secret     string `json:"secret"`
	WebhookURL string `json:"webhookURL"`
	// ChannelID and PublicKeys, JSON Web Keys by their kid, issue tokens, with Secret for those without a JWT.
	ChannelID  string                     `json:"channelID,omitempty"`
	PublicKeys map[string]json.RawMessage `json:"publicKeys,omitempty"`
	// RatePerSecond limits requests to each endpoint; 0 is LINE's 2,000.
	RatePerSecond int `json:"ratePerSecond"`
}

// Server answers the Messaging API's requests.
type Server struct {
	channels map[string]*channel
	log      *record.Log
	people   *people.Book
	faults   *fault.Book
	hooks    *hooks
	replies  replies
	tokens   tokens
}

type channel struct {
	Channel
	limits map[string]*rate.Limiter
	ledger *ledger
}

// New makes a server for the given channels, which knows again what the log
// already holds.
func New(channels []Channel, log *record.Log, book *people.Book, faults *fault.Book) (*Server, error) {
	s := &Server{channels: map[string]*channel{}, log: log, people: book, faults: faults, hooks: newHooks()}
	names := map[string]bool{}
	for _, c := range channels {
		if c.Name == "" {
			c.Name = c.DisplayName
		}
		if c.Token == "" || c.Name == "" {
			return nil, fmt.Errorf("a LINE channel needs a token and a name")
		}
		if s.channels[c.Token] != nil || names[c.Name] {
			return nil, fmt.Errorf("LINE channel %q: its token or its name is already taken by another channel", c.Name)
		}
		names[c.Name] = true
		if err := checkWebhook(c); err != nil {
			return nil, err
		}
		if c.RatePerSecond <= 0 {
			c.RatePerSecond = DefaultRatePerSecond
		}
		ch := &channel{Channel: c, limits: map[string]*rate.Limiter{}, ledger: newLedger()}
		for _, op := range []string{"push", "reply", "validate", "units", "info", "quota", "consumption", "profile"} {
			ch.limits[op] = rate.NewLimiter(rate.Limit(c.RatePerSecond), c.RatePerSecond)
		}
		s.channels[c.Token] = ch
	}
	s.recall()
	return s, nil
}

// recall fills the ledgers from what was recorded before a restart.
func (s *Server) recall() {
	byName := map[string]*channel{}
	for _, c := range s.channels {
		byName[c.Name] = c
	}
	for _, m := range s.log.Snapshot() {
		if c := byName[m.Account]; c != nil && m.Line != nil {
			c.ledger.recall(m)
		}
	}
}

// Forget makes every channel as if nothing had been sent.
func (s *Server) Forget() {
	for _, c := range s.channels {
		c.ledger.clear()
	}
}

// Routes adds the server's paths to a mux.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v2/bot/message/push", s.serve("push", s.push))
	mux.HandleFunc("POST /v2/bot/message/reply", s.serve("reply", s.reply))
	mux.HandleFunc("GET /v2/bot/message/aggregation/info", s.serve("units", s.unitUsage))
	mux.HandleFunc("GET /v2/bot/message/aggregation/list", s.serve("units", s.unitNames))
	s.tokenRoutes(mux)
	mux.HandleFunc("POST /v2/bot/message/validate/push", s.serve("validate", s.validate))
	mux.HandleFunc("GET /v2/bot/info", s.serve("info", s.info))
	mux.HandleFunc("GET /v2/bot/message/quota", s.serve("quota", s.quota))
	mux.HandleFunc("GET /v2/bot/message/quota/consumption", s.serve("consumption", s.consumption))
	mux.HandleFunc("GET /v2/bot/profile/{user}", s.serve("profile", s.profile))
	mux.HandleFunc("/v2/bot/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "Not found")
	})
}

// request is one authenticated call.
type request struct {
	*http.Request
	channel *channel
	id      string
	body    []byte
	to      string
}

type handler func(http.ResponseWriter, *request)

// serve does what is common to all endpoints: the request's id, the token, the
// rate limit, the size of the body, the retry key's place, faults.
func (s *Server) serve(operation string, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req := &request{Request: r, id: uuid.NewString()}
		w.Header().Set("X-Line-Request-Id", req.id)
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			fail(w, http.StatusUnauthorized, textNoToken)
			return
		}
		if req.channel, ok = s.channels[token]; !ok {
			req.channel, ok = s.tokens.find(token)
		}
		if !ok {
			fail(w, http.StatusUnauthorized, textBadToken)
			return
		}
		if !req.channel.limits[operation].Allow() {
			fail(w, http.StatusTooManyRequests, textRateLimit)
			return
		}
		if !req.read(w) {
			return
		}
		if _, given := r.Header["X-Line-Retry-Key"]; given && operation != "push" {
			fail(w, http.StatusBadRequest, "The retry key can't be used with this endpoint")
			return
		}
		back := s.faults.Serve(w, r, fault.LINE, operation, req.to,
			func(w http.ResponseWriter, _ *http.Request) { handle(w, req) }, spoiled)
		s.back(req.channel, req.to, back)
	}
}

func (r *request) read(w http.ResponseWriter) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, "The request body is larger than 2 MB")
		return false
	}
	r.body, r.to = body, r.PathValue("user")
	if r.to == "" {
		var to struct {
			To string `json:"to"`
		}
		_ = json.Unmarshal(body, &to) // a body that is no JSON is answered by its endpoint
		r.to = to.To
	}
	return true
}

var defaultTexts = map[int]string{
	http.StatusBadRequest:          textNoUser,
	http.StatusUnauthorized:        textBadToken,
	http.StatusForbidden:           "Access to this API is not available for your account",
	http.StatusTooManyRequests:     textRateLimit,
	http.StatusInternalServerError: "The server encountered an unexpected error",
}

func spoiled(w http.ResponseWriter, e fault.Effect) {
	text := e.Message
	if text == "" {
		text = defaultTexts[e.Status]
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	fail(w, e.Status, text)
}

type errorBody struct {
	Message      string               `json:"message"`
	Details      []Detail             `json:"details,omitempty"`
	SentMessages []record.SentMessage `json:"sentMessages,omitempty"`
}

func fail(w http.ResponseWriter, status int, message string, details ...Detail) {
	answer(w, status, errorBody{Message: message, Details: details})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

var (
	userID  = regexp.MustCompile(`^U[0-9a-f]{32}$`)
	groupID = regexp.MustCompile(`^[CR][0-9a-f]{32}$`)
)
