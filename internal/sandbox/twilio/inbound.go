// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// Said is a text message that a telephone sends to one of the account's numbers.
type Said struct {
	// SID is the account's; empty for the only one.
	SID string `json:"account,omitempty"`
	// From is the telephone, To the account's number.
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
	// URL is the webhook that Twilio's number is configured with.
	URL string `json:"url"`
	// Service is the messaging service, where one has the number, and OptOutType what its Advanced Opt-Out
	// makes of the text: STOP, START, HELP or nothing.
	Service    string `json:"messagingServiceSID,omitempty"`
	OptOutType string `json:"optOutType,omitempty"`
	// MessageSID is of a message that was passed on before; empty for a new one.
	MessageSID string `json:"messageSID,omitempty"`
}

// Heard is what the webhook answered.
type Heard struct {
	MessageSID string `json:"messageSID"`
	Status     int    `json:"status"`
	Body       string `json:"body"`
}

// stops and starts are the words that Twilio itself acts on, on numbers without Advanced Opt-Out.
var (
	stops  = []string{"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
	starts = []string{"start", "unstop", "yes"}
)

// Say passes a text message on to a webhook, signed, and keeps the telephone from getting more where it says
// STOP, as Twilio does.
func (s *Server) Say(ctx context.Context, m Said) (Heard, error) {
	a := s.accounts[m.SID]
	if m.SID == "" && len(s.accounts) == 1 {
		for _, only := range s.accounts {
			a = only
		}
	}
	switch {
	case a == nil:
		return Heard{}, fmt.Errorf("account %q is not one of the sandbox's", m.SID)
	case !phone.MatchString(m.From) || !phone.MatchString(m.To):
		return Heard{}, errors.New("from and to are numbers such as +819012345678")
	}
	if m.MessageSID == "" {
		m.MessageSID = newSID("SM")
	}
	if err := s.obey(m); err != nil {
		return Heard{}, err
	}
	form := url.Values{
		"ToCountry": {"JP"}, "SmsMessageSid": {m.MessageSID}, "NumMedia": {"0"}, "SmsSid": {m.MessageSID}, "SmsStatus": {"received"},
		"FromCountry": {"JP"}, "Body": {m.Text}, "To": {m.To}, "NumSegments": {"1"}, "MessageSid": {m.MessageSID},
		"AccountSid": {a.SID}, "From": {m.From}, "ApiVersion": {apiVersion},
	}
	if m.Service != "" {
		form.Set("MessagingServiceSid", m.Service)
	}
	if m.OptOutType != "" {
		form.Set("OptOutType", m.OptOutType)
	}
	target, _, _ := strings.Cut(m.URL, "#")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return Heard{}, fmt.Errorf("url %q cannot be called: %w", m.URL, err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("User-Agent", "TwilioProxy/1.1")
	r.Header.Set("X-Twilio-Signature", Sign(target, form, a.AuthToken))
	r.Header.Set("I-Twilio-Idempotency-Token", newSID(""))
	res, err := s.client.Do(r)
	if err != nil {
		return Heard{}, fmt.Errorf("calling the webhook: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return Heard{}, fmt.Errorf("reading the webhook's answer: %w", err)
	}
	return Heard{MessageSID: m.MessageSID, Status: res.StatusCode, Body: string(body)}, nil
}

// obey changes what the double lets through to a telephone.
func (s *Server) obey(m Said) error {
	word := strings.ToLower(strings.TrimSpace(m.Text))
	var state string
	switch {
	case m.OptOutType == "STOP", m.OptOutType == "" && slices.Contains(stops, word):
		state = people.OptedOut
	case m.OptOutType == "START", m.OptOutType == "" && slices.Contains(starts, word):
		state = people.Reachable
	default:
		return nil
	}
	if state == people.Reachable && s.people.Get(record.SMS, m.From).State != people.OptedOut {
		return nil
	}
	return s.people.Set(people.Recipient{Channel: record.SMS, ID: m.From, State: state})
}
