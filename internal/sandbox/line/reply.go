// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// replyLifetime is how long a reply token is good for, on real time.
const replyLifetime = time.Minute

const textBadReply = "Invalid reply token"

// replies are the tokens that webhooks brought and nobody has used.
type replies struct {
	mu    sync.Mutex
	known map[string]replyTo
}

type replyTo struct {
	account, user string
	until         time.Time
}

func (r *replies) issue(account, user string) string {
	token := replyToken()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for t, to := range r.known {
		if now.After(to.until) {
			delete(r.known, t)
		}
	}
	if r.known == nil {
		r.known = map[string]replyTo{}
	}
	r.known[token] = replyTo{account, user, now.Add(replyLifetime)}
	return token
}

// take gives whom a token answers, once.
func (r *replies) take(account, token string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to, ok := r.known[token]
	if !ok || to.account != account || time.Now().After(to.until) {
		return "", false
	}
	delete(r.known, token)
	return to.user, true
}

// reply answers what a user did. It is not counted in the month.
func (s *Server) reply(w http.ResponseWriter, r *request) {
	var p pushBody
	if !parse(w, r.body, &p, false) {
		return
	}
	var token struct {
		ReplyToken string `json:"replyToken"`
	}
	_ = json.Unmarshal(r.body, &token) // parse has read it
	user, ok := s.replies.take(r.channel.Name, token.ReplyToken)
	if !ok {
		fail(w, http.StatusBadRequest, textBadReply)
		return
	}
	p.To, p.CustomAggregationUnits = user, nil
	m := newMessage(r, "", p, s.people.Get(record.LINE, user).State == people.Blocked)
	m.Line.Reply = true
	m, err := s.log.Add(m)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"sentMessages": m.Line.SentMessages})
}
