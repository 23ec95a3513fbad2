// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func start(t *testing.T, c sandbox.Config) (*Sender, *sandbox.Sandbox) {
	t.Helper()
	box, err := sandbox.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return sender(t, Config{Endpoint: box.URLs().Twilio, AccountSID: sandbox.DefaultTwilioSID, AuthToken: sandbox.DefaultTwilioToken,
		From: "+815012345678", LookupDelays: []time.Duration{10 * time.Millisecond, 10 * time.Millisecond}}), box
}

func local() *channel.Message {
	m := message()
	m.SMS.StatusCallback = ""
	return m
}

// Every way in which an answer is lost ends with one message, known by its SID, or with Unknown.
func TestLostAnswersThroughTheSandbox(t *testing.T) {
	const hour = sandbox.Duration(time.Hour)
	tests := map[string]struct {
		effect    sandbox.FaultEffect
		sentAfter sandbox.Duration
		want      channel.End
	}{
		"cut after it was taken":             {sandbox.FaultEffect{Accept: true, Drop: true}, 0, channel.Sent},
		"cut after it was taken, and queued": {sandbox.FaultEffect{Accept: true, Drop: true}, hour, channel.Sent},
		"503 after it was taken":             {sandbox.FaultEffect{Accept: true, Status: 503}, 0, channel.Sent},
		"cut before it was taken":            {sandbox.FaultEffect{Drop: true}, 0, channel.Unknown},
		"503 before it was taken":            {sandbox.FaultEffect{Status: 503}, 0, channel.Unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, box := start(t, sandbox.Config{SentAfter: tt.sentAfter, Faults: []sandbox.Fault{
				{Provider: "twilio", Operation: "create", Match: sandbox.FaultMatch{Count: 1}, Effect: tt.effect}}})
			o := s.Send(t.Context(), local(), nil)
			if o.End != tt.want || (o.ProviderID != "") != (tt.want == channel.Sent) {
				t.Errorf("%+v", o)
			}
			got, err := box.Client().All(t.Context(), sandbox.Query{})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got); (n == 1) != (tt.want == channel.Sent) || n > 1 {
				t.Errorf("%d messages were taken", n)
			}
		})
	}
}

func TestResolveThroughTheSandbox(t *testing.T) {
	s, _ := start(t, sandbox.Config{})
	m := local()
	sent := s.Send(t.Context(), m, nil)
	m.SMS.Since = time.Now().Add(-time.Second)
	if o := s.Resolve(t.Context(), m); o.End != channel.Sent || o.ProviderID != sent.ProviderID || o.ProviderID == "" || o.Parts != sent.Parts {
		t.Errorf("%+v, sent as %+v", o, sent)
	}
	never := local()
	never.SMS.Link = "https://shop.example/l/never"
	if o := s.Resolve(t.Context(), never); o.End != channel.Unknown || o.Reason != channel.ReasonOutcomeLost {
		t.Errorf("%+v", o)
	}
	// Without a link only an equal text counts, and only a new one.
	m.SMS.Link = ""
	if o := s.Resolve(t.Context(), m); o.End != channel.Sent {
		t.Errorf("%+v", o)
	}
	m.SMS.Since = time.Now().Add(time.Hour)
	if o := s.Resolve(t.Context(), m); o.End != channel.Unknown {
		t.Errorf("%+v", o)
	}
}

func TestAccountInTheSandbox(t *testing.T) {
	s, _ := start(t, sandbox.Config{})
	if a, err := s.Check(t.Context()); err != nil || a.Name != "Kaeru Shop ("+sandbox.DefaultTwilioSID+")" {
		t.Errorf("%+v %v", a, err)
	}
}
