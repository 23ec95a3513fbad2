// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestRun(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(25)
		e := f.engine()
		run := f.fire(e, f.armed(oneMail))
		f.finish(e)
		f.want("sent:25;")
		if n := f.taken(); n != 25 {
			t.Errorf("%d messages were taken", n)
		}
		runs, err := e.Runs(t.Context(), shop)
		f.ok(err)
		if len(runs) != 1 || runs[0].Name != run || runs[0].State != RunComplete || runs[0].Shards != 3 || !runs[0].Completed.Equal(monday) {
			t.Errorf("runs are %+v", runs)
		}
		done, err := e.DoneShards(t.Context(), shop, run)
		f.ok(err)
		if len(done) != 3 {
			t.Errorf("shards %v are done", done)
		}
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'completed'`); n != 25 {
			t.Errorf("%d enrolments are complete", n)
		}
		// The next slot finds the same members, and lets nobody in again.
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		f.want("sent:25;")
	})
}

func TestJourneyOverDays(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(12)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t"}},
		  {"name": "b", "wait": {"for": "1d", "at": "12:00"}, "if": "!steps.a.clicked && customer.points > 3", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}},
		  {"name": "c", "wait": {"for": "1d"}, "if": "!goal.reached", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`))
		f.finish(e)
		f.want("sent:12;")
		f.exec(`UPDATE messages SET clicked_at = 1 WHERE customer_id IN ('c00001', 'c00002')`)
		f.exec(`DELETE FROM customers WHERE id = 'c00003'`) // has no points any more
		f.clock.SetTime(monday.Add(26*time.Hour - time.Second))
		f.finish(e)
		f.want("sent:12;")
		f.clock.SetTime(monday.Add(26 * time.Hour))
		f.finish(e)
		f.want("sent:21;skipped ConditionFalse:3;")
		f.exec(`UPDATE enrolments SET converted_at = 1 WHERE customer_id = 'c00004'`)
		f.exec(`UPDATE consents SET state = 'withdrawn', changed_at = $1 WHERE customer_id = 'c00005' AND channel = 'line'`, monday.Add(30*time.Hour).UnixMilli())
		f.clock.SetTime(monday.Add(50 * time.Hour))
		f.finish(e)
		// One converted, one left, one is gone.
		f.want("sent:30;skipped ConditionFalse:4;skipped CustomerGone:1;")
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'exited' AND reason = 'Unsubscribed'`); n != 1 {
			t.Errorf("%d left", n)
		}
		f.taken()
	})
}

func TestWhyNotSent(t *testing.T) {
	exitOnGoal := func(s *crm.ScenarioSpec) { s.ExitOn = []crm.ExitReason{crm.ExitGoal} }
	tests := map[string]struct {
		query string
		ch    func(*Channel)
		later time.Duration
		want  string
	}{
		"no consent":         {query: `UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00000'`, want: "sent:1;skipped NoConsent:1;"},
		"never asked":        {query: `DELETE FROM consents WHERE customer_id = 'c00000'`, want: "sent:1;skipped NoConsent:1;"},
		"no address":         {query: `UPDATE customers SET email = NULL WHERE id = 'c00000'`, want: "sent:1;skipped NoAddress:1;"},
		"gone":               {query: `DELETE FROM customers WHERE id = 'c00000'`, want: "sent:1;skipped CustomerGone:1;"},
		"suppressed":         {query: `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'email', 'c00000@shop.example', 'Bounced', 0)`, want: "sent:1;skipped Suppressed:1;"},
		"suppressed by LINE": {query: `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'line', 'c00000@shop.example', 'Bounced', 0)`, want: "sent:2;"},
		"converted":          {query: `UPDATE enrolments SET converted_at = 1 WHERE customer_id = 'c00000'`, want: "sent:1;skipped Converted:1;"},
		"left":               {query: `UPDATE enrolments SET state = 'exited', reason = 'Unsubscribed' WHERE customer_id = 'c00000'`, want: "sent:1;skipped Exited:1;"},
		"went through exit":  {query: `UPDATE enrolments SET state = 'exited', reason = 'ExitStep' WHERE customer_id = 'c00000'`, want: "sent:2;"},
		"too late":           {later: usefulFor + time.Second, want: "skipped Expired:2;"},
		"allow list":         {ch: func(c *Channel) { c.Mode, c.AllowList = ModeAllowList, map[string]bool{"c00001": true} }, want: "sent:1;skipped NotOnAllowList:1;"},
		"sandbox":            {ch: func(c *Channel) { c.Mode, c.Sender = ModeSandbox, nil }, want: "sent Sandbox:2;"},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.clock.SetTime(monday)
				f.customers(2)
				ch := f.channel("email")
				if tt.ch != nil {
					tt.ch(ch)
				}
				f.channels.Put(mail, ch)
				e := f.engine()
				f.fire(e, f.armed(oneMail, exitOnGoal))
				// Between planning and sending.
				f.ok(e.tick(t.Context()))
				if tt.query != "" {
					f.exec(tt.query)
				}
				f.clock.SetTime(monday.Add(tt.later))
				f.finish(e)
				f.want(tt.want)
			})
		}
	})
}

// TestConsentIsAskedLast withdraws a consent, and suppresses an address, after a message was read
// and before its sending begins.
func TestConsentIsAskedLast(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		f.provider.script = func(m *channel.Message, n int) step {
			switch {
			case m.Customer == "c00000" && n == 1:
				f.exec(`UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00000'`)
			case m.Customer == "c00001" && n == 1:
				f.exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'email', 'c00001@shop.example', 'Complained', 0)`)
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		f.want("sent:1;skipped NoConsent:1;skipped Suppressed:1;")
		if n := f.taken(); n != 1 {
			t.Errorf("%d messages were taken", n)
		}
	})
}

func TestOutcomes(t *testing.T) {
	sent := step{out: channel.Outcome{End: channel.Sent, ProviderID: "id-1\x00\xff", Parts: 2}}
	failing := func(o channel.Outcome, unbegun bool) func(*channel.Message, int) step {
		return func(_ *channel.Message, n int) step {
			if n < 3 {
				return step{out: o, unbegun: unbegun}
			}
			return sent
		}
	}
	tests := map[string]struct {
		script   func(*channel.Message, int) step
		want     string
		attempts int
	}{
		"sent":            {func(*channel.Message, int) step { return sent }, "sent:1;", 1},
		"failed":          {failing(channel.Outcome{End: channel.Failed, Reason: channel.ReasonRecipientInvalid, Suppress: true}, false), "failed RecipientInvalid:1;", 1},
		"failed early":    {failing(channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid}, true), "failed MessageInvalid:1;", 0},
		"unknown":         {failing(channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}, false), "unknown OutcomeLost:1;", 1},
		"twice refused":   {failing(channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing}, false), "sent:1;", 3},
		"twice not begun": {failing(channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable}, true), "sent:1;", 1},
		"ambiguous":       {failing(channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing, Ambiguous: true}, false), "sent:1;", 2},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				f.provider.script = tt.script
				f.customers(1)
				f.channels.Put(push, &Channel{Sender: f.provider, Kind: "line", Mode: ModeLive, Price: 33000})
				e := f.engine()
				f.fire(e, f.armed(`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`))
				f.finish(e)
				f.want(tt.want)
				f.taken()
				if n := f.count(`SELECT attempts FROM messages`); n != tt.attempts {
					t.Errorf("%d attempts, want %d", n, tt.attempts)
				}
				if suppressed := strings.Contains(tt.want, "RecipientInvalid"); suppressed != (f.count(`SELECT COUNT(*) FROM suppressions`) == 1) {
					t.Error("the address should be suppressed only if it is invalid")
				}
				if name == "sent" && f.count(`SELECT COUNT(*) FROM messages WHERE provider_id = 'id-1' AND parts = 2 AND cost = 66000`) != 1 {
					t.Error("the provider's id, parts and cost are not recorded")
				}
			})
		}
	})
}

// TestCallbackBeforeTheAnswer has the provider tell of a message before its answer to the sending is
// recorded: what only the answer knows is added, and nothing is taken back.
func TestCallbackBeforeTheAnswer(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.plan(e)
		e.workers.Wait()
		f.exec(`UPDATE messages SET state = 'sending', fence = 7`)
		var id string
		f.ok(f.st.QueryRow(t.Context(), `SELECT id FROM messages`).Scan(&id))
		f.exec(`UPDATE messages SET state = 'sent', ended_at = 5, provider_id = 'SM1', parts = 0, cost = 0`)
		for range 2 {
			f.ok(e.ledger.End(t.Context(), lease{fence: 7}, id, end{state: StateUnknown, reason: "OutcomeLost", parts: 3, cost: 30000, at: monday}))
		}
		f.want("sent:1;")
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE ended_at = 5 AND provider_id = 'SM1' AND parts = 3 AND cost = 30000`); n != 1 {
			t.Error("the answer's parts and cost are not recorded, or the callback's time is lost")
		}
	})
}
