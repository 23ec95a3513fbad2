// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func TestAsk(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		want   channel.Delivery
		fails  error // nil for any
		failed bool
	}{
		"delivered":   {answer: answering(200, `{"sid":"SM1","status":"delivered","to":"`+number+`","error_code":null}`), want: channel.Delivery{Status: "delivered", To: number}},
		"undelivered": {answer: answering(200, `{"sid":"SM1","status":"undelivered","to":"`+number+`","error_code":30005}`), want: channel.Delivery{Status: "undelivered", Code: 30005, To: number}},
		"unknown":     {answer: refusing(404, 20404, "not found"), failed: true, fails: channel.ErrNoMessage},
		"refused":     {answer: refusing(429, 20429, "Too Many Requests"), failed: true},
		"503":         {answer: answering(503, "<h1>Unavailable</h1>"), failed: true},
		"cut":         {answer: cutting, failed: true},
		"no status":   {answer: answering(200, `{}`), failed: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, tt.answer)
			got, err := sender(t, config(srv.URL)).Ask(t.Context(), "SM1")
			if got != tt.want || (err != nil) != tt.failed || tt.fails != nil && !errors.Is(err, tt.fails) {
				t.Errorf("%+v, %v", got, err)
			}
			if errors.Is(err, channel.ErrNoMessage) != (tt.fails != nil) {
				t.Errorf("%v is taken for a message that is not there", err)
			}
			if err != nil {
				channeltest.NoneOf(t, err.Error(), token, number)
			}
		})
	}
}

func TestAskThroughTheSandbox(t *testing.T) {
	s, _ := start(t, sandbox.Config{SentAfter: sandbox.Duration(time.Millisecond), DeliveredAfter: sandbox.Duration(time.Millisecond)})
	sent := s.Send(t.Context(), local(), nil)
	deadline := time.Now().Add(10 * time.Second)
	for {
		d, err := s.Ask(t.Context(), sent.ProviderID)
		if err != nil || d.To != number {
			t.Fatalf("%+v, %v", d, err)
		}
		if d.Status == "delivered" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %s", d.Status)
		}
	}
	if _, err := s.Ask(t.Context(), "SM"+strings.Repeat("0", 32)); !errors.Is(err, channel.ErrNoMessage) {
		t.Error(err)
	}

}

// TestValidity holds what Twilio is told against what it takes.
func TestValidity(t *testing.T) {
	for name, tt := range map[string]struct {
		valid time.Duration
		want  string
	}{
		"none":       {0, ""},
		"an hour":    {time.Hour + 400*time.Millisecond, "3600"},
		"too long":   {30 * time.Hour, "36000"},
		"a moment":   {time.Millisecond, "1"},
		"in the end": {4 * time.Hour, "14400"},
	} {
		var got string
		srv := channeltest.NewServer(t, twilio(func(w http.ResponseWriter, r *http.Request) {
			got = r.PostForm.Get("ValidityPeriod")
			answering(201, created)(w, r)
		}, nil))
		m := message()
		m.SMS.ValidFor = tt.valid
		if o := sender(t, config(srv.URL)).Send(t.Context(), m, nil); o.End != channel.Sent || got != tt.want {
			t.Errorf("%s: %q, want %q; %+v", name, got, tt.want, o)
		}
	}
}

// TestLookupKnowsTries: a text that could not be delivered before has the same link as its next try.
func TestLookupKnowsTries(t *testing.T) {
	old := `{"sid":"SM1","status":"undelivered","error_code":30003,"body":"` + text + `","date_created":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC1123Z) + `"}`
	newer := `{"sid":"SM2","status":"sent","num_segments":"1","body":"` + text + `","date_created":"` + time.Now().UTC().Format(time.RFC1123Z) + `"}`
	for name, tt := range map[string]struct {
		list []string
		want want
	}{
		"only the old one": {[]string{old}, want{end: channel.Unknown, reason: channel.ReasonOutcomeLost}},
		"both":             {[]string{old, newer}, want{end: channel.Sent, id: "SM2", parts: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, twilio(cutting, listing(tt.list...)))
			checkOutcome(t, sender(t, config(srv.URL)).Send(t.Context(), message(), nil), tt.want)
		})
	}
}
