// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/inbox"
	"github.com/kaeru-dev/kaeru/internal/sandbox/reading"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

const (
	defaultLimit = 100
	maxLimit     = 10_000
)

// Page is a part of the list of messages.
type Page struct {
	Messages []Message `json:"messages"`
	// Next is the after to go on with; it moves on past messages that did not match.
	Next int64 `json:"next"`
}

// Stats are the counts since the sandbox was cleared.
type Stats struct {
	Channels map[string]ChannelStats `json:"channels"`
}

func (s *Sandbox) handler() http.Handler {
	mux := http.NewServeMux()
	s.line.Routes(mux)
	s.twilio.Routes(mux)
	inbox.Routes(mux, s.log, s.zone)

	mux.HandleFunc("GET /api/messages", s.listMessages)
	mux.HandleFunc("DELETE /api/messages", s.clearMessages)
	mux.HandleFunc("GET /api/messages/{seq}", s.getMessage)
	mux.HandleFunc("GET /api/messages/{seq}/raw", s.getRaw)
	mux.HandleFunc("GET /api/stats", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, Stats{Channels: s.log.Stats()})
	})
	mux.HandleFunc("GET /api/faults", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.faults.List())
	})
	mux.HandleFunc("GET /api/faults/presets", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, fault.Presets())
	})
	mux.HandleFunc("POST /api/faults", s.addFault)
	mux.HandleFunc("POST /api/line/events", s.lineEvent)
	mux.HandleFunc("DELETE /api/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.Clear()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE /api/faults/{id}", s.removeFault)
	mux.HandleFunc("GET /api/recipients", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, s.people.List())
	})
	mux.HandleFunc("POST /api/recipients", s.setRecipient)
	mux.HandleFunc("POST /api/sms", s.saySMS)
	// Pages of other sites, open in the same browser, must not change anything here.
	return http.NewCrossOriginProtection().Handler(mux)
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body)
}

type apiError struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	reply(w, status, apiError{fmt.Sprintf(format, args...)})
}

func (s *Sandbox) listMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, ok := whole(q.Get("after"), 0)
	limit, ok2 := whole(q.Get("limit"), defaultLimit)
	if !ok || !ok2 || limit == 0 {
		refuse(w, http.StatusBadRequest, "after and limit are whole numbers, limit at least 1")
		return
	}
	words := q.Get("q")
	found, next := s.log.Since(after, int(min(limit, maxLimit)), func(m *record.Message) bool {
		return record.Match(m, q.Get("channel"), q.Get("to")) && (words == "" || reading.Contains(m, words))
	})
	page := Page{Messages: make([]Message, 0, len(found)), Next: next}
	for _, m := range found {
		page.Messages = append(page.Messages, shown(*m))
	}
	reply(w, http.StatusOK, page)
}

// shown is a message as the API gives it: decoded, and without the mail's source.
func shown(m Message) Message {
	m = reading.Decode(m)
	m.Raw = nil
	return m
}

func whole(s string, otherwise int64) (int64, bool) {
	if s == "" {
		return otherwise, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0
}

func (s *Sandbox) find(w http.ResponseWriter, r *http.Request) (Message, bool) {
	seq, ok := whole(r.PathValue("seq"), 0)
	m, held := s.log.Get(seq)
	if !ok || !held {
		refuse(w, http.StatusNotFound, "there is no message %s (any more)", r.PathValue("seq"))
		return m, false
	}
	return m, true
}

func (s *Sandbox) getMessage(w http.ResponseWriter, r *http.Request) {
	if m, ok := s.find(w, r); ok {
		reply(w, http.StatusOK, shown(m))
	}
}

func (s *Sandbox) getRaw(w http.ResponseWriter, r *http.Request) {
	m, ok := s.find(w, r)
	switch {
	case !ok:
	case m.Channel != record.Email:
		refuse(w, http.StatusNotFound, "message %d is no mail", m.Seq)
	default:
		// Shown as text: a browser must never take a mail for a page of the sandbox.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(m.Raw)
	}
}

func (s *Sandbox) clearMessages(w http.ResponseWriter, _ *http.Request) {
	if err := s.forget(); err != nil {
		refuse(w, http.StatusInternalServerError, "%v", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) removeFault(w http.ResponseWriter, r *http.Request) {
	if !s.faults.Remove(r.PathValue("id")) {
		refuse(w, http.StatusNotFound, "there is no fault %q", r.PathValue("id"))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) setRecipient(w http.ResponseWriter, r *http.Request) {
	var who Recipient
	if !decode(w, r, &who) {
		return
	}
	if err := s.people.Set(who); err != nil {
		refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	reply(w, http.StatusOK, s.people.Get(who.Channel, who.ID))
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "the body: %v", err)
		return false
	}
	return true
}
