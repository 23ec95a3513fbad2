// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// deliver takes a message through its states in the background. Each change
// sends a callback of its own; they are not ordered, as at Twilio.
func (s *Server) deliver(m record.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped.Err() != nil {
		return
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		if m.Status != record.Sent {
			if !s.sleep(s.options.SentAfter) {
				return
			}
			now := time.Now().UTC()
			m = s.advance(m, record.Status{Status: record.Sent, SentAt: &now})
		}
		if !s.sleep(s.options.DeliveredAfter) {
			return
		}
		end := record.Status{Status: record.Delivered}
		if code := s.undeliverable(m.To); code != 0 {
			end.Status, end.ErrorCode = record.Undelivered, code
		}
		s.advance(m, end)
	}()
}

func (s *Server) undeliverable(to string) int {
	e := s.faults.Hit(fault.Twilio, "delivery", to)
	fault.Wait(s.stopped, e.Delay+e.AnswerDelay)
	switch {
	case e.Code != 0:
		return e.Code
	case e.Spoils() || s.people.Get(record.SMS, to).State == people.Unreachable:
		return 30003
	}
	return 0
}

func (s *Server) sleep(d time.Duration) bool {
	fault.Wait(s.stopped, fault.Duration(d))
	return s.stopped.Err() == nil
}

func (s *Server) advance(m record.Message, to record.Status) record.Message {
	to.Seq = m.Seq
	changed, ok, err := s.log.SetStatus(to)
	if !ok || err != nil {
		return m
	}
	if a := s.accounts[changed.Account]; a != nil && changed.SMS.StatusCallback != "" {
		s.running.Add(1) // deliver's own count keeps Close from having passed Wait
		go func() {
			defer s.running.Done()
			s.callback(changed, a)
		}()
	}
	return changed
}

// policy is what a StatusCallback's fragment overrides, such as #rc=5&rp=all.
type policy struct {
	retries int
	on      string // ct: no connection; 4xx, 5xx, all
}

func (s *Server) callback(m record.Message, a *account) {
	e := s.faults.Hit(fault.Twilio, "callback", m.To)
	fault.Wait(s.stopped, e.Delay+e.AnswerDelay)
	if e.Spoils() {
		return
	}
	target, fragment, _ := strings.Cut(m.SMS.StatusCallback, "#")
	p := policy{retries: 1, on: "ct"}
	if q, err := url.ParseQuery(fragment); err == nil {
		p.retries = min(number(q.Get("rc"), p.retries), 5)
		if on := q.Get("rp"); on != "" {
			p.on = on
		}
	}
	form := callbackForm(m)
	secret := a.AuthToken
	if e.Forge {
		secret = "not-the-accounts"
	}
	for range 1 + e.Repeat {
		s.tell(target, form, secret, p)
	}
}

// tell sends a callback until it is taken, as often as its policy says.
func (s *Server) tell(target string, form url.Values, secret string, p policy) {
	token := newSID("")
	for try := 0; try <= p.retries && s.stopped.Err() == nil; try++ {
		if !p.again(s.post(target, form, secret, token)) {
			return
		}
		s.sleep(100 * time.Millisecond << try)
	}
}

func (p policy) again(status int, err error) bool {
	has := func(what string) bool {
		for _, on := range strings.Split(p.on, ",") {
			if on == what || on == "all" {
				return true
			}
		}
		return false
	}
	var dial *net.OpError
	switch {
	case errors.As(err, &dial) && dial.Op == "dial":
		return has("ct")
	case err != nil:
		return has("rt")
	case status >= 500:
		return has("5xx")
	case status >= 400:
		return has("4xx")
	}
	return false
}

func (s *Server) post(target string, form url.Values, authToken, idempotency string) (int, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.stopped.Done():
		return 0, context.Canceled
	}
	r, err := http.NewRequestWithContext(s.stopped, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("User-Agent", "TwilioProxy/1.1")
	r.Header.Set("X-Twilio-Signature", Sign(target, form, authToken))
	r.Header.Set("I-Twilio-Idempotency-Token", idempotency)
	res, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	_ = res.Body.Close()
	return res.StatusCode, nil
}

func callbackForm(m record.Message) url.Values {
	f := url.Values{
		"AccountSid": {m.Account}, "ApiVersion": {apiVersion}, "From": {m.From}, "To": {m.To},
		"MessageSid": {m.Key}, "MessageStatus": {m.Status}, "SmsSid": {m.Key}, "SmsStatus": {m.Status},
	}
	if m.ErrorCode != 0 {
		f.Set("ErrorCode", strconv.Itoa(m.ErrorCode))
	}
	if m.SMS.MessagingServiceSID != "" {
		f.Set("MessagingServiceSid", m.SMS.MessagingServiceSID)
	}
	if m.Status == record.Delivered || m.Status == record.Undelivered {
		f.Set("RawDlrDoneDate", time.Now().UTC().Format("0601021504"))
	}
	return f
}

// Sign makes X-Twilio-Signature: HMAC-SHA1 over the URL and the sorted fields.
func Sign(target string, form url.Values, authToken string) string {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	h := hmac.New(sha1.New, []byte(authToken))
	_, _ = io.WriteString(h, target)
	for _, name := range names {
		_, _ = io.WriteString(h, name+form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}
