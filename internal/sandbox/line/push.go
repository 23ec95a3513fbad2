// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"regexp"
	"strconv"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

type pushBody struct {
	To                     string            `json:"to"`
	Messages               []json.RawMessage `json:"messages"`
	NotificationDisabled   bool              `json:"notificationDisabled"`
	CustomAggregationUnits []string          `json:"customAggregationUnits"`
}

var unitName = regexp.MustCompile(`^[a-zA-Z0-9_]{1,30}$`)

// parse answers 400 and returns false where the body is not a push LINE takes.
func parse(w http.ResponseWriter, body []byte, p *pushBody, needTo bool) bool {
	if err := json.Unmarshal(body, p); err != nil {
		fail(w, http.StatusBadRequest, "The request body could not be parsed as JSON")
		return false
	}
	var details []Detail
	if needTo && p.To == "" {
		details = append(details, Detail{Message: textEmpty, Property: "to"})
	}
	details = append(details, CheckMessages(p.Messages)...)
	if len(p.CustomAggregationUnits) > 1 {
		details = append(details, Detail{Message: "Size must be between 0 and 1", Property: "customAggregationUnits"})
	}
	for i, u := range p.CustomAggregationUnits {
		if !unitName.MatchString(u) {
			details = append(details, Detail{Message: "May only contain alphanumeric characters and underscores, up to 30",
				Property: "customAggregationUnits[" + strconv.Itoa(i) + "]"})
		}
	}
	if len(details) > 0 {
		fail(w, http.StatusBadRequest, "The request body has "+strconv.Itoa(len(details))+" error(s)", details...)
		return false
	}
	return true
}

func (s *Server) validate(w http.ResponseWriter, r *request) {
	var p pushBody
	if parse(w, r.body, &p, false) {
		answer(w, http.StatusOK, struct{}{})
	}
}

func (s *Server) push(w http.ResponseWriter, r *request) {
	key := r.Header.Get("X-Line-Retry-Key")
	if _, given := r.Header["X-Line-Retry-Key"]; given {
		// Parse also takes braces and URNs, which LINE does not.
		if id, err := uuid.Parse(key); err != nil || len(key) != 36 {
			fail(w, http.StatusBadRequest, "The X-Line-Retry-Key header must be a UUID in hexadecimal format")
			return
		} else {
			key = id.String()
		}
	}
	var p pushBody
	if !parse(w, r.body, &p, true) {
		return
	}
	l := r.channel.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, ok := l.known(key); ok && key != "" {
		w.Header().Set("X-Line-Accepted-Request-Id", a.requestID)
		answer(w, http.StatusConflict, errorBody{Message: textRetryKey, SentMessages: a.sent})
		return
	}
	state := s.people.Get(record.LINE, p.To).State
	if (!userID.MatchString(p.To) && !groupID.MatchString(p.To)) || state == people.Unknown {
		fail(w, http.StatusBadRequest, textNoUser)
		return
	}
	if limit := r.channel.MonthlyLimit; limit > 0 && l.used[month(s.log.Now())] >= limit {
		fail(w, http.StatusTooManyRequests, textMonthlyLimit)
		return
	}
	fresh := newMessage(r, key, p, state == people.Blocked)
	fresh.Time = s.log.Now()
	l.keepUnits(&fresh)
	m, err := s.log.Add(fresh)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	l.remember(&m)
	answer(w, http.StatusOK, map[string]any{"sentMessages": m.Line.SentMessages})
}

func newMessage(r *request, key string, p pushBody, blocked bool) record.Message {
	objects, _ := json.Marshal(p.Messages) // they were parsed from JSON a moment ago
	m := record.Message{
		Channel: record.LINE, Account: r.channel.Name, Key: key, From: r.channel.DisplayName, To: p.To,
		Status: record.Delivered,
		Line: &record.Line{
			Messages: objects, RequestID: r.id,
			NotificationDisabled: p.NotificationDisabled, AggregationUnits: p.CustomAggregationUnits,
		},
	}
	if blocked {
		m.Status = record.Blocked
	}
	for range p.Messages {
		m.Line.SentMessages = append(m.Line.SentMessages, record.SentMessage{ID: messageID(), QuoteToken: quoteToken()})
	}
	return m
}

var (
	idFloor = big.NewInt(400_000_000_000_000_000)
	idRange = big.NewInt(200_000_000_000_000_000)
)

// messageID is 18 digits, as LINE's are.
func messageID() string {
	n, err := rand.Int(rand.Reader, idRange)
	if err != nil {
		panic(err) // crypto/rand does not fail on the systems Go supports
	}
	return n.Add(n, idFloor).String()
}

func quoteToken() string {
	b := make([]byte, 48)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
