// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

const maxBody = 1600

var (
	phone        = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	alphanumeric = regexp.MustCompile(`^[A-Za-z0-9 ]{1,11}$`)
	serviceSID   = regexp.MustCompile(`^MG[0-9a-fA-F]{32}$`)
)

type refusal struct {
	code int
	text string
}

func (s *Server) create(w http.ResponseWriter, r *http.Request, a *account) {
	f := r.PostForm
	if no := s.refuse(f, a); no != nil {
		fail(w, http.StatusBadRequest, no.code, no.text)
		return
	}
	parts, encoding := Segments(f.Get("Body"))
	m := record.Message{
		Channel: record.SMS, Account: a.SID, Key: newSID("SM"), From: f.Get("From"), To: f.Get("To"),
		Status: record.Queued, Text: f.Get("Body"),
		SMS: &record.Text{
			Segments: parts, Encoding: encoding,
			MessagingServiceSID: f.Get("MessagingServiceSid"), StatusCallback: f.Get("StatusCallback"),
		},
	}
	if m.SMS.MessagingServiceSID != "" {
		m.Status = record.Accepted
	}
	m, err := s.log.Add(m)
	if err != nil {
		fail(w, http.StatusInternalServerError, 20500, err.Error())
		return
	}
	s.mu.Lock()
	s.bySID[m.Key] = m.Seq
	s.mu.Unlock()
	s.deliver(m)
	answer(w, http.StatusCreated, resource(m))
}

// refuse checks in the order in which Twilio does, one error at a time.
func (s *Server) refuse(f url.Values, a *account) *refusal {
	to, from, service, body := f.Get("To"), f.Get("From"), f.Get("MessagingServiceSid"), f.Get("Body")
	switch {
	case to == "":
		return &refusal{21604, "A 'To' phone number is required."}
	case from == "" && service == "":
		return &refusal{21603, "A 'From' phone number is required."}
	case from != "" && !phone.MatchString(from) && !alphanumeric.MatchString(from):
		return &refusal{21212, fmt.Sprintf("The 'From' number %s is not a valid phone number, shortcode, or alphanumeric sender ID.", from)}
	case from != "" && len(a.Numbers) > 0 && !slices.Contains(a.Numbers, from):
		return &refusal{21606, fmt.Sprintf("The 'From' phone number provided (%s) is not a valid message-capable Twilio phone number for this destination/account", from)}
	case service != "" && !serviceSID.MatchString(service):
		return &refusal{21701, "The Messaging Service does not exist"}
	case body == "":
		return &refusal{21602, "Message body is required."}
	case utf8.RuneCountInString(body) > maxBody:
		return &refusal{21617, "The concatenated message body exceeds the 1600 character limit"}
	case !phone.MatchString(to):
		return &refusal{21211, fmt.Sprintf("Invalid 'To' Phone Number: %s", to)}
	}
	switch s.people.Get(record.SMS, to).State {
	case people.Invalid:
		return &refusal{21211, fmt.Sprintf("Invalid 'To' Phone Number: %s", to)}
	case people.Landline:
		return &refusal{21614, fmt.Sprintf("'To' number: %s, is not a mobile number", to)}
	case people.OptedOut:
		return &refusal{21610, "Attempt to send to unsubscribed recipient"}
	}
	if cb := f.Get("StatusCallback"); cb != "" {
		if u, err := url.Parse(cb); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return &refusal{21609, fmt.Sprintf("The 'StatusCallback' URL %s is not a valid URL.", cb)}
		}
	}
	return nil
}
