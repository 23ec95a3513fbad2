// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const pushOrMail = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}],
  "fallback": {"email": {"channel": "mail", "subject": "s", "text": "instead"}}}}]`

func TestFallback(t *testing.T) {
	refuse := func(reason string) func(*channel.Message, int) step {
		return func(m *channel.Message, _ int) step {
			if m.Line != nil && m.Customer == "c00000" {
				return step{out: channel.Outcome{End: channel.Failed, Reason: reason, Suppress: reason == channel.ReasonRecipientInvalid}}
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}
	}
	tests := map[string]struct {
		query  string
		script func(*channel.Message, int) step
		later  time.Duration
		want   string
		// fell is why c00000's message went out as the fallback.
		fell string
	}{
		"nothing wrong":          {want: "sent:2;"},
		"no consent":             {query: `UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00000' AND channel = 'line'`, want: "sent:2;", fell: ReasonNoConsent},
		"no address":             {query: `UPDATE customers SET line_user_id = NULL WHERE id = 'c00000'`, want: "sent:2;", fell: ReasonNoAddress},
		"suppressed":             {query: `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'line', 'Uc00000', 'Blocked', 0)`, want: "sent:2;", fell: ReasonSuppressed},
		"refused":                {script: refuse(channel.ReasonContentRefused), want: "sent:2;", fell: channel.ReasonContentRefused},
		"no such user":           {script: refuse(channel.ReasonRecipientInvalid), want: "sent:2;", fell: channel.ReasonRecipientInvalid},
		"reached nowhere":        {query: `DELETE FROM consents WHERE customer_id = 'c00000'`, want: "sent:1;skipped NoConsent:1;", fell: ReasonNoConsent},
		"gone":                   {query: `DELETE FROM customers WHERE id = 'c00000'`, want: "sent:1;skipped CustomerGone:1;"},
		"left":                   {query: `UPDATE enrolments SET state = 'exited', reason = 'Unsubscribed' WHERE customer_id = 'c00000'`, want: "sent:1;skipped Exited:1;"},
		"has chosen to get none": {query: `UPDATE customers SET attributes = '{"frequency": "none"}' WHERE id = 'c00000'`, want: "sent:1;skipped FrequencyChosen:1;"},
		"too late":               {later: usefulFor + time.Second, want: "skipped Expired:2;"},
		"may have arrived": {script: func(m *channel.Message, _ int) step {
			if m.Customer == "c00000" {
				return step{out: channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}}
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}, want: "sent:1;unknown OutcomeLost:1;"},
		"the fallback is refused too": {script: func(m *channel.Message, _ int) step {
			if m.Customer == "c00000" {
				return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}}
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}, want: "failed Refused:1;sent:1;", fell: channel.ReasonRefused},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				f.provider.script = tt.script
				f.channels.Put(mail, f.channel("email"))
				f.channels.Put(push, f.channel("line"))
				f.customers(2)
				e := f.engine()
				f.fire(e, f.armed(pushOrMail))
				f.ok(e.tick(t.Context()))
				if tt.query != "" {
					f.exec(tt.query)
				}
				f.clock.SetTime(monday.Add(tt.later))
				f.finish(e)
				f.want(tt.want)
				f.taken()
				query := `SELECT COUNT(*) FROM messages WHERE fell_back = $1 AND channel = 'mail' AND kind = 'email' AND customer_id = 'c00000'`
				if tt.fell == "" {
					query = `SELECT 1 - COUNT(*) FROM messages WHERE $1 = '' AND (fell_back IS NOT NULL OR channel <> 'push' OR kind <> 'line')`
				}
				if f.count(query, tt.fell) != 1 {
					t.Errorf("the message did not fall back for %q", tt.fell)
				}
			})
		}
	})
}

func TestFallbackThroughTheSameChannel(t *testing.T) {
	f := newFixture(t, testenv.SQLite(t))
	err := f.refused(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t", "fallback": {"email": {"channel": "mail", "subject": "s", "text": "t"}}}}]`)
	if err == nil || !strings.Contains(err.Error(), "spec.steps[0].email.fallback: goes out through the channel") {
		t.Errorf("it is refused with %v", err)
	}
	err = f.refused(`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}], "fallback": {"email": {"channel": "mail", "subject": "{{ nobody }}", "text": "t"}}}}]`)
	if err == nil || !strings.Contains(err.Error(), "spec.steps[0].line.fallback.email.subject: line 1: unknown variable nobody") {
		t.Errorf("it is refused with %v", err)
	}
}
