// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// TestEveryFailure meets each failure that a mail server has, over a socket, and goes on as the engine
// would: what is to be retried is sent again, and nothing else is. However it goes, the recipient has the
// mail once at most.
func TestEveryFailure(t *testing.T) {
	retried := func(reason string) want { return want{end: channel.Retry, reason: reason} }
	waiting := func(reason string, pause int) want { return want{end: channel.Retry, reason: reason, pause: pause} }
	failing, unreachable := retried(channel.ReasonProviderFailing), retried(channel.ReasonProviderUnreachable)
	unknown := want{end: channel.Unknown, reason: channel.ReasonOutcomeLost, begun: 1}
	gone := want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}
	begun := func(w want) want { w.begun = 1; return w }
	slow := func(w want) want { w.slow = true; return w }
	status := func(code int, enhanced string) sandbox.FaultEffect {
		return sandbox.FaultEffect{Status: code, Enhanced: enhanced}
	}
	drop := sandbox.FaultEffect{Drop: true}
	tests := map[string]struct {
		operation string
		effect    sandbox.FaultEffect
		want      want
		arrive    int // in the end
	}{
		"421 as a greeting": {"connect", status(421, "4.3.2"), slow(failing), 1},
		"421 to EHLO":       {"hello", status(421, "4.3.2"), slow(failing), 1},
		"421 to MAIL":       {"mail", status(421, "4.3.2"), slow(failing), 1},
		"421 to RCPT":       {"rcpt", status(421, "4.3.2"), slow(failing), 1},
		"421 to the mail":   {"data", status(421, "4.3.2"), begun(slow(failing)), 1},
		"451 to MAIL":       {"mail", status(451, "4.3.0"), failing, 1},
		"450 to RCPT":       {"rcpt", status(450, "4.2.1"), retried(channel.ReasonRecipientUnreachable), 1},
		"452 to RCPT":       {"rcpt", status(452, "4.2.2"), retried(channel.ReasonMailboxFull), 1},
		"451 to the mail":   {"data", status(451, "4.3.0"), begun(failing), 1},
		"454 to AUTH":       {"auth", status(454, "4.7.0"), failing, 1},

		"cut as a greeting":           {"connect", drop, unreachable, 1},
		"cut at EHLO":                 {"hello", drop, unreachable, 1},
		"cut at AUTH":                 {"auth", drop, unreachable, 1},
		"cut at MAIL":                 {"mail", drop, unreachable, 1},
		"cut at RCPT":                 {"rcpt", drop, unreachable, 1},
		"cut after the dot, taken":    {"data", sandbox.FaultEffect{Drop: true, Accept: true}, unknown, 1},
		"silent after the dot, taken": {"data", sandbox.FaultEffect{AnswerDelay: sandbox.Duration(time.Minute)}, unknown, 1},

		"5.1.1 to RCPT":       {"rcpt", status(550, "5.1.1"), gone, 0},
		"5.1.10 to RCPT":      {"rcpt", status(556, "5.1.10"), gone, 0},
		"5.1.1 to the mail":   {"data", status(550, "5.1.1"), begun(gone), 0},
		"5.7.1 to MAIL":       {"mail", status(550, "5.7.1"), waiting(channel.ReasonPolicyRefused, lasting), 1},
		"5.7.1 to RCPT":       {"rcpt", status(550, "5.7.1"), want{end: channel.Failed, reason: channel.ReasonPolicyRefused, pause: brief}, 0},
		"5.7.26 to the mail":  {"data", status(550, "5.7.26"), begun(want{end: channel.Failed, reason: channel.ReasonPolicyRefused, pause: lasting}), 0},
		"5.7.1 as a greeting": {"connect", status(554, "5.7.1"), waiting(channel.ReasonPolicyRefused, brief), 1},
		"535 to AUTH":         {"auth", status(535, "5.7.8"), waiting(channel.ReasonCredentialsInvalid, lasting), 1},
		"530 to MAIL":         {"mail", status(530, "5.7.0"), waiting(channel.ReasonCredentialsInvalid, lasting), 1},
		"5.3.4 to the mail":   {"data", status(552, "5.3.4"), begun(want{end: channel.Failed, reason: channel.ReasonContentTooLarge}), 0},
	}
	for name, tt := range tests {
		for how, mode := range map[string]TLSMode{"in the clear": Disabled, "STARTTLS": STARTTLS} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				box := start(t, sandbox.Config{Faults: []sandbox.Fault{{Provider: "smtp", Operation: tt.operation, Match: sandbox.FaultMatch{Count: 1}, Effect: tt.effect}}})
				c := sandboxed(t, box, mode)
				if tt.effect.AnswerDelay > 0 {
					c.FinalTimeout = hurry
				}
				s, m, started := sender(t, c), message(), 0
				count := func(context.Context) error { started++; return nil }
				o := s.Send(t.Context(), m, count)
				checkOutcome(t, o, tt.want)
				if started != tt.want.begun {
					t.Errorf("begun %d times, want %d", started, tt.want.begun)
				}
				switch o.End {
				case channel.Retry:
					if o = s.Send(t.Context(), m, count); o.End != channel.Sent {
						t.Errorf("again: %+v", o)
					}
				case channel.Unknown:
					checkOutcome(t, s.Resolve(t.Context(), m), want{end: channel.Unknown, reason: channel.ReasonOutcomeLost})
				}
				got, err := box.Client().All(t.Context(), sandbox.Query{})
				if err != nil || len(got) != tt.arrive {
					t.Errorf("%d mails arrived, want %d, %v", len(got), tt.arrive, err)
				}
				for _, arrived := range got {
					if arrived.Key != m.Key.String()+"@shop.example" {
						t.Errorf("it has the key %s", arrived.Key)
					}
				}
				// Another mail goes out whatever became of this one.
				if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
					t.Errorf("the next: %+v", o)
				}
			})
		}
	}
}

// TestUntrustedServer is the failure of TLS: nothing is said to a server that is not who it should be.
func TestUntrustedServer(t *testing.T) {
	box := start(t, sandbox.Config{})
	for name, mode := range map[string]TLSMode{"STARTTLS": STARTTLS, "implicit": Implicit} {
		t.Run(name, func(t *testing.T) {
			c := sandboxed(t, box, mode)
			c.RootCAs = nil
			o := sender(t, c).Send(t.Context(), message(), func(context.Context) error { t.Error("it was begun"); return nil })
			checkOutcome(t, o, want{end: channel.Retry, reason: channel.ReasonTLSFailed, pause: brief})
			if got, err := box.Client().All(t.Context(), sandbox.Query{}); err != nil || len(got) != 0 {
				t.Errorf("%d mails arrived, %v", len(got), err)
			}
		})
	}
}
