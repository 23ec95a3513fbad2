// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

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
	s, err := New(Config{Endpoint: box.URLs().LINE, ChannelAccessToken: sandbox.DefaultLINEToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, box
}

// However the answer was lost, resolving it ends with exactly one message.
func TestLostAnswersThroughTheSandbox(t *testing.T) {
	tests := map[string]sandbox.FaultEffect{
		"cut after it was taken":  {Accept: true, Drop: true},
		"500 after it was taken":  {Accept: true, Status: 500},
		"cut before it was taken": {Drop: true},
		"500 before it was taken": {Status: 500},
	}
	for name, effect := range tests {
		t.Run(name, func(t *testing.T) {
			s, box := start(t, sandbox.Config{Faults: []sandbox.Fault{
				{Provider: "line", Operation: "push", Match: sandbox.FaultMatch{Count: 1}, Effect: effect}}})
			m := message()
			if o := s.Send(t.Context(), m, nil); o.End != channel.Retry || !o.Ambiguous {
				t.Fatalf("%+v", o)
			}
			m.Line.Since = time.Now()
			if o := s.Resolve(t.Context(), m); o.End != channel.Sent || o.ProviderID == "" {
				t.Errorf("%+v", o)
			}
			got, err := box.Client().All(t.Context(), sandbox.Query{})
			if err != nil || len(got) != 1 || got[0].Key != m.Key.String() {
				t.Errorf("%d messages, %v", len(got), err)
			}
		})
	}
}

func TestAccountInTheSandbox(t *testing.T) {
	s, _ := start(t, sandbox.Config{LINE: []sandbox.LINEChannel{{Token: sandbox.DefaultLINEToken, DisplayName: "Kaeru", BasicID: "@kaeru", MonthlyLimit: 1}}})
	if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
		t.Fatal(o)
	}
	if o := s.Send(t.Context(), message(), nil); o.Reason != channel.ReasonQuotaExhausted || o.Pause == nil || !o.Pause.Until.After(time.Now()) {
		t.Errorf("%+v", o)
	}
	a, err := s.Check(t.Context())
	if err != nil || a.Name != "Kaeru (@kaeru)" || a.Quota.Limit == nil || *a.Quota.Limit != 1 || a.Quota.Used != 1 {
		t.Errorf("%+v %v", a, err)
	}
}
