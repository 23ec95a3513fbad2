// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package twilio is a double of Twilio's 2010-04-01 API, as far as sending SMS
// and looking them up goes, with its status callbacks.
package twilio

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

const (
	// DefaultRatePerSecond is generous; Twilio's own depends on the account.
	DefaultRatePerSecond = 1000

	defaultSentAfter      = 100 * time.Millisecond
	defaultDeliveredAfter = 300 * time.Millisecond
	callbackTimeout       = 15 * time.Second
	callbacksAtOnce       = 32
)

// Account is one Twilio account.
type Account struct {
	SID       string `json:"sid"`
	AuthToken string `json:"authToken"`
	// APIKeys are further credentials, secret by key SID.
	APIKeys      map[string]string `json:"apiKeys"`
	FriendlyName string            `json:"friendlyName"`
	// Numbers are the senders the account owns; empty lets it send from any.
	Numbers []string `json:"numbers"`
	// RatePerSecond limits the creation of messages; 0 is 1,000.
	RatePerSecond int `json:"ratePerSecond"`
}

// Options are the server's.
type Options struct {
	Accounts []Account
	// SentAfter and DeliveredAfter are how long a message takes, in real time,
	// from its acceptance to sent and on to its end; 0 is 100 ms and 300 ms.
	SentAfter      time.Duration
	DeliveredAfter time.Duration
}

// Server answers the API's requests and delivers what it accepted.
type Server struct {
	options  Options
	accounts map[string]*account
	log      *record.Log
	people   *people.Book
	faults   *fault.Book

	client  *http.Client
	slots   chan struct{}
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	bySID   map[string]int64
	running sync.WaitGroup
}

type account struct {
	Account
	limit *rate.Limiter
}

var accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)

// New makes a server that takes up again what the log holds undelivered.
func New(o Options, log *record.Log, book *people.Book, faults *fault.Book) (*Server, error) {
	if o.SentAfter <= 0 {
		o.SentAfter = defaultSentAfter
	}
	if o.DeliveredAfter <= 0 {
		o.DeliveredAfter = defaultDeliveredAfter
	}
	s := &Server{
		options: o, accounts: map[string]*account{}, log: log, people: book, faults: faults,
		slots: make(chan struct{}, callbacksAtOnce), bySID: map[string]int64{},
		client: &http.Client{
			Timeout:       callbackTimeout,
			Transport:     &http.Transport{MaxIdleConnsPerHost: callbacksAtOnce},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.stopped, s.stop = context.WithCancel(context.Background())
	for _, a := range o.Accounts {
		if !accountSID.MatchString(a.SID) || a.AuthToken == "" {
			return nil, fmt.Errorf("twilio account %q needs a SID of AC and 32 hexadecimal digits, and an auth token", a.SID)
		}
		if a.RatePerSecond <= 0 {
			a.RatePerSecond = DefaultRatePerSecond
		}
		s.accounts[a.SID] = &account{Account: a, limit: rate.NewLimiter(rate.Limit(a.RatePerSecond), a.RatePerSecond)}
	}
	for _, m := range log.Snapshot() {
		if m.SMS == nil {
			continue
		}
		s.bySID[m.Key] = m.Seq
		if m.Status == record.Queued || m.Status == record.Accepted || m.Status == record.Sent {
			s.deliver(*m)
		}
	}
	return s, nil
}

// Close stops deliveries and callbacks; what was under way stays as it is.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.running.Wait()
	s.client.CloseIdleConnections()
}

// Forget lets no message be looked up any more.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bySID = map[string]int64{}
}

// Routes adds the server's paths to a mux.
func (s *Server) Routes(mux *http.ServeMux) {
	const root = "/2010-04-01/Accounts/{account}"
	mux.HandleFunc("GET "+root, s.serve("account", s.account)) // {account} carries .json
	mux.HandleFunc("POST "+root+"/Messages.json", s.serve("create", s.create))
	mux.HandleFunc("GET "+root+"/Messages.json", s.serve("list", s.list))
	mux.HandleFunc("GET "+root+"/Messages/{sid}", s.serve("fetch", s.fetch))
	mux.HandleFunc("/2010-04-01/", notFound)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, 20404, "The requested resource "+r.URL.Path+" was not found")
}

type handler func(http.ResponseWriter, *http.Request, *account)

// serve does what is common to all endpoints: credentials, the form, the rate
// limit, faults.
func (s *Server) serve(operation string, handle handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := s.authenticate(r)
		if a == nil {
			w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
			fail(w, http.StatusUnauthorized, 20003, "Authenticate")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if err := r.ParseForm(); err != nil {
			fail(w, http.StatusBadRequest, 20001, "The request could not be read as a form")
			return
		}
		if operation == "create" && !a.limit.Allow() {
			fail(w, http.StatusTooManyRequests, 20429, "Too Many Requests")
			return
		}
		s.faults.Serve(w, r, fault.Twilio, operation, r.Form.Get("To"),
			func(w http.ResponseWriter, r *http.Request) { handle(w, r, a) }, spoiled)
	}
}

func (s *Server) authenticate(r *http.Request) *account {
	name, password, ok := r.BasicAuth()
	a := s.accounts[strings.TrimSuffix(r.PathValue("account"), ".json")]
	if !ok || a == nil {
		return nil
	}
	want := a.AuthToken
	if name != a.SID {
		if want = a.APIKeys[name]; want == "" {
			return nil
		}
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(password)) != 1 {
		return nil
	}
	return a
}

var codeTexts = map[int]string{
	20003: "Authenticate",
	20429: "Too Many Requests",
	20500: "An internal server error has occurred",
	21211: "Invalid 'To' Phone Number",
	21610: "Attempt to send to unsubscribed recipient",
	21611: "This 'From' number has exceeded the maximum number of queued messages",
	21614: "'To' number is not a valid mobile number",
}

var statusCodes = map[int]int{401: 20003, 429: 20429, 500: 20500}

func spoiled(w http.ResponseWriter, e fault.Effect) {
	code := e.Code
	if code == 0 {
		code = statusCodes[e.Status]
	}
	text := e.Message
	if text == "" {
		text = codeTexts[code]
	}
	switch {
	case code == 0 && e.Status >= 500:
		// Twilio's load balancers answer in HTML, which its SDK cannot read.
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(e.Status)
		_, _ = fmt.Fprintf(w, "<html><body><h1>%d %s</h1></body></html>\n", e.Status, http.StatusText(e.Status))
	case text == "":
		fail(w, e.Status, code, http.StatusText(e.Status))
	default:
		fail(w, e.Status, code, text)
	}
}

func fail(w http.ResponseWriter, status, code int, message string) {
	answer(w, status, map[string]any{
		"code": code, "message": message, "status": status,
		"more_info": fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code),
	})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func newSID(prefix string) string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return prefix + hex.EncodeToString(b)
}
