// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// redrive plans again, and gives what was refused and of how many it said nothing against.
func (f *fixture) redrive(r Redrive) (refused []string, again int) {
	f.Helper()
	r.Namespace = shop.Namespace
	if r.Limit == 0 {
		r.Limit = 1000
	}
	f.ok(r.Run(f.Context(), f.st, f.clock, func(m Redriven) error {
		if m.Refused == "" {
			again++
		} else {
			refused = append(refused, m.Refused)
		}
		return nil
	}))
	return refused, again
}

// TestRetry has messages fail, lets somebody plan them again, and sends them: the same keys, each once.
func TestRetry(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(25)
		f.channels.Put(mail, &Channel{Sender: f.provider, Kind: "email", Mode: ModeLive, Price: 10000})
		broken := true
		f.provider.script = func(m *channel.Message, _ int) step {
			switch {
			case !broken:
				return step{out: channel.Outcome{End: channel.Sent}}
			case m.Customer == "c00003":
				return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRecipientInvalid}}
			}
			return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}}
		}
		e := f.engine()
		run := f.fire(e, f.armed(oneMail))
		f.finish(e)
		f.want("failed RecipientInvalid:1;failed Refused:24;")
		f.exec(`UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00004' AND channel = 'email'`)

		refused, again := f.redrive(Redrive{DryRun: true})
		if again != 23 || len(refused) != 2 {
			t.Errorf("%d would be planned again, and %q", again, refused)
		}
		f.want("failed RecipientInvalid:1;failed Refused:24;")
		f.clock.SetTime(monday.Add(100 * time.Hour)) // when the first planning is of no use any more
		broken = false
		refused, again = f.redrive(Redrive{Limit: 1000})
		all := strings.Join(refused, "; ")
		if again != 23 || !strings.Contains(all, "address is none") || !strings.Contains(all, "does not consent to email") {
			t.Errorf("%d are planned again, and %q", again, refused)
		}
		f.want("failed RecipientInvalid:1;failed Refused:1;planned:23;")
		if _, again = f.redrive(Redrive{}); again != 0 {
			t.Errorf("%d are planned a third time", again)
		}
		f.exec(`UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00005' AND channel = 'email'`)
		f.finish(e)
		f.want("failed RecipientInvalid:1;failed Refused:1;sent:22;skipped NoConsent:1;")
		if n := f.taken(); n != 22 {
			t.Errorf("%d were taken", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE run = $1`, run); n != 25 {
			t.Errorf("%d messages are the run's", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent' AND cost = 10000 AND attempts = 2`); n != 22 {
			t.Errorf("%d cost what one costs, after two tries", n)
		}
	})
}

// TestRetryUnknown plans messages again whose outcome was lost.
func TestRetryUnknown(t *testing.T) {
	const toLine = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`
	tests := map[string]struct {
		steps   string
		between func(f *fixture)
		refused string
		want    string
		taken   int // how often the provider is handed the message by Send, and keeps it
		cost    int
	}{
		"a mail goes again with its key": {steps: oneMail, want: "sent:1;", taken: 2, cost: 10000},
		"LINE is asked by the retry key": {steps: toLine, want: "sent:1;", taken: 1, cost: 10000},
		"LINE has forgotten the retry key": {steps: toLine, between: func(f *fixture) {
			f.exec(`UPDATE messages SET begun_at = $1`, time.Now().Add(-24*time.Hour).UnixMilli())
		}, refused: "forgets a retry key", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"it is not known when it was begun": {steps: toLine, between: func(f *fixture) { f.exec(`UPDATE messages SET begun_at = NULL`) }, refused: "is not known", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"the Scenario is deleted":           {steps: oneMail, between: func(f *fixture) { f.exec(`UPDATE scenarios SET state = 'deleted'`) }, refused: "Scenario is deleted", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"another epoch has begun":           {steps: oneMail, between: func(f *fixture) { f.exec(`UPDATE scenarios SET epoch = '2'`) }, refused: "epoch is over", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"a guardrail stopped the run":       {steps: oneMail, between: func(f *fixture) { f.exec(`UPDATE runs SET reason = 'aborted: too many bounced'`) }, refused: "guardrails", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"the customer is gone":              {steps: oneMail, between: func(f *fixture) { f.exec(`DELETE FROM customers`) }, refused: "customer is gone", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"the address is suppressed": {steps: oneMail, between: func(f *fixture) {
			f.exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'email', 'c00000@shop.example', 'Bounced', 0)`)
		}, refused: "suppressed: Bounced", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
		"the customer has left the Scenario": {steps: oneMail, between: func(f *fixture) { f.exec(`UPDATE enrolments SET state = 'exited', reason = 'GoalReached'`) }, refused: "left the Scenario: GoalReached", want: "unknown OutcomeLost:1;", taken: 1, cost: 10000},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				f.provider.script = func(_ *channel.Message, n int) step {
					if n == 1 {
						return step{out: channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}}
					}
					return step{out: channel.Outcome{End: channel.Sent}}
				}
				f.customers(1)
				f.channels.Put(mail, &Channel{Sender: f.provider, Kind: "email", Mode: ModeLive, Price: 10000})
				f.channels.Put(push, &Channel{Sender: f.provider, Kind: "line", Mode: ModeLive, Price: 10000})
				e := f.engine()
				f.fire(e, f.armed(tt.steps))
				f.finish(e)
				f.want("unknown OutcomeLost:1;")
				var key string
				f.ok(f.st.QueryRow(t.Context(), `SELECT id FROM messages`).Scan(&key))
				if tt.refused == "" {
					if refused, _ := f.redrive(Redrive{Which: Which{Key: key}}); len(refused) != 1 || !strings.Contains(refused[0], "--unknown") {
						t.Errorf("without --unknown it is refused with %q", refused)
					}
				}
				if tt.between != nil {
					tt.between(f)
				}
				refused, again := f.redrive(Redrive{Which: Which{Key: key}, Unknown: true})
				if tt.refused == "" && again != 1 || tt.refused != "" && (len(refused) != 1 || !strings.Contains(refused[0], tt.refused)) {
					t.Fatalf("%d planned again, refused with %q, want %q", again, refused, tt.refused)
				}
				f.finish(e)
				f.want(tt.want)
				f.provider.mu.Lock()
				taken := f.provider.took[uuid.MustParse(key)]
				f.provider.mu.Unlock()
				if taken != tt.taken {
					t.Errorf("the provider took it %d times, want %d", taken, tt.taken)
				}
				if n := f.count(`SELECT cost FROM messages`); n != tt.cost {
					t.Errorf("it costs %d, want %d", n, tt.cost)
				}
			})
		}
	})
}

// TestRetryStaysUnknown has a message that the provider may have not be sent again: it ends as unknown as before.
func TestRetryStaysUnknown(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.provider.script = func(*channel.Message, int) step {
			return step{out: channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}}
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		if _, again := f.redrive(Redrive{Unknown: true}); again != 1 {
			t.Fatalf("%d planned again", again)
		}
		f.exec(`UPDATE consents SET state = 'withdrawn'`)
		f.finish(e)
		f.want("unknown OutcomeLost: not sent again: NoConsent:1;")
		if n := f.taken(); n != 1 {
			t.Errorf("%d were taken", n)
		}
	})
}

// TestRetryIsFenced has a worker that lost its lease tell of the first try while the second is under way.
func TestRetryIsFenced(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.provider.script = func(_ *channel.Message, n int) step {
			if n == 1 {
				return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}}
			}
			return step{diesTaken: true}
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		var first int64
		f.ok(f.st.QueryRow(t.Context(), `SELECT fence FROM messages`).Scan(&first))
		var old string
		f.ok(f.st.QueryRow(t.Context(), `SELECT shard FROM messages`).Scan(&old))
		f.redrive(Redrive{})
		dying := f.engine()
		f.ok(dying.tick(t.Context()))
		for f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending'`) == 0 {
			time.Sleep(time.Millisecond)
		}
		var id string
		f.ok(f.st.QueryRow(t.Context(), `SELECT id FROM messages`).Scan(&id))
		f.ok(e.ledger.End(t.Context(), lease{shard: old, fence: first}, id, end{state: StateFailed, reason: "Late", at: monday, parts: 1}))
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending' AND fence > $1`, first); n != 1 {
			t.Errorf("the word of a lost lease was recorded: %s", f.states())
		}
	})
}

// TestRequeueIsFenced has a worker tell late of the try that its provider took, and then did not deliver.
func TestRequeueIsFenced(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.provider.script = func(_ *channel.Message, n int) step {
			return step{diesTaken: n == 2, out: channel.Outcome{End: channel.Sent, ProviderID: "p"}}
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		var first int64
		var id, old string
		f.ok(f.st.QueryRow(t.Context(), `SELECT id, fence, shard FROM messages`).Scan(&id, &first, &old))
		f.ok(f.st.Tx(t.Context(), func(tx *store.Tx) error {
			again, err := Requeue(t.Context(), tx, f.clock, id, 0)
			if !again {
				t.Errorf("not planned again: %s", f.states())
			}
			return err
		}))
		dying := f.engine()
		for f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending'`) == 0 {
			f.ok(dying.tick(t.Context()))
			time.Sleep(time.Millisecond)
		}
		f.ok(e.ledger.End(t.Context(), lease{shard: old, fence: first}, id, end{state: StateFailed, reason: "Late", at: monday, parts: 1}))
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending' AND fence > $1`, first); n != 1 {
			t.Errorf("the word of a lost lease was recorded: %s", f.states())
		}
	})
}

// TestCouponEnds has what offers a coupon not go out after the coupon is over, and the rest go.
func TestCouponEnds(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2)
		f.coupons("spring", 2, time.Time{})
		e := f.engine()
		f.channels.Pause(mail, channel.Pause{Reason: "Down"})
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}}, {"name": "b", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`, withCoupon("spring", "2h")))
		f.plan(e)
		f.clock.SetTime(monday.Add(3 * time.Hour))
		f.channels.Put(mail, f.channel("email"))
		f.finish(e)
		f.want("sent:2;skipped Expired:2;")
	})
}

// TestMessages lists and counts.
func TestMessages(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(6)
		f.provider.script = func(m *channel.Message, _ int) step {
			switch m.Customer {
			case "c00000", "c00001":
				return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}}
			case "c00002":
				return step{out: channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}}
			}
			return step{out: channel.Outcome{End: channel.Sent, ProviderID: "p-" + m.Customer}}
		}
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{% if customer.id == 'c00003' %}{{ customer.none }}{% endif %}t"}}, {"name": "b", "wait": {"for": "1h"}, "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`))
		f.finish(e)
		f.channels.Pause(push, channel.Pause{Reason: "Down"})
		f.clock.SetTime(monday.Add(2 * time.Hour))
		f.plan(e)
		f.turn(e)
		f.exec(`UPDATE messages SET ended_at = ended_at + 60000 WHERE customer_id = 'c00001'`)
		tests := map[string]struct {
			of    Which
			limit int
			want  string
		}{
			"all, newest first":  {limit: 8, want: "planned planned planned planned planned planned c00001=failed"},
			"one":                {of: Which{States: []string{StateFailed}}, limit: 1, want: "c00001=failed"},
			"failed and unknown": {of: Which{States: []string{StateFailed, StateUnknown}}, limit: 9, want: "c00001=failed c0000?=failed,unknown"},
			"by reason":          {of: Which{Reason: "MissingValue"}, limit: 9, want: "c00003=skipped"},
			"by customer":        {of: Which{Customer: "c00004"}, limit: 9, want: "planned c00004=sent"},
			"by channel":         {of: Which{Channel: "push"}, limit: 2, want: "planned planned"},
			"by step":            {of: Which{Step: "a", States: []string{StateSent}}, limit: 9, want: "c00004=sent c00005=sent"},
			"since":              {of: Which{States: []string{StateFailed}, Since: monday.Add(time.Second)}, limit: 9, want: "c00001=failed"},
			"another Scenario":   {of: Which{Scenario: "x"}, limit: 9, want: ""},
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := *f
				f.TB = t
				tt.of.Namespace = "shop"
				found, err := Messages(t.Context(), f.st, tt.of, tt.limit)
				f.ok(err)
				var got []string
				for _, m := range found {
					word := m.Customer + "=" + m.State
					if m.State == StatePlanned {
						word = StatePlanned
					}
					got = append(got, word)
				}
				text := strings.Join(got, " ")
				switch name {
				case "failed and unknown":
					if len(got) != 3 || got[0] != "c00001=failed" || !strings.Contains(text, "c00000=failed") || !strings.Contains(text, "c00002=unknown") {
						t.Error(text)
					}
				case "all, newest first":
					if len(got) != tt.limit || !strings.HasPrefix(text, tt.want) {
						t.Error(text)
					}
				case "by step":
					if len(got) != 2 || !strings.Contains(text, "c00004=sent") || !strings.Contains(text, "c00005=sent") {
						t.Error(text)
					}
				default:
					if text != tt.want {
						t.Errorf("%s, want %s", text, tt.want)
					}
				}
			})
		}
		totals, err := Totals(t.Context(), f.st, Which{Namespace: "shop", Step: "a"})
		f.ok(err)
		text := ""
		for _, x := range totals {
			text += fmt.Sprintf("%s %s %s %s %d;", x.Scenario, x.Step, x.State, x.Reason, x.Messages)
		}
		if want := "winback a failed Refused 2;winback a sent  2;winback a skipped MissingValue 1;winback a unknown OutcomeLost 1;"; text != want {
			t.Errorf("%s, want %s", text, want)
		}
	})
}

// TestRetryPages goes through more messages than one transaction takes, refused ones among them.
func TestRetryPages(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		const customers = 2*redriveBatch + 100
		f.customers(customers)
		e := f.engine()
		f.fire(e, f.armed(oneMail, size(1000)))
		f.plan(e)
		e.workers.Wait()
		f.finish(e)
		f.exec(`UPDATE messages SET state = 'failed', reason = CASE WHEN customer_id < 'c00300' THEN 'RecipientInvalid' ELSE 'Refused' END`)
		refused, again := f.redrive(Redrive{Limit: customers})
		if len(refused) != 300 || again != customers-300 {
			t.Errorf("%d refused, %d planned again", len(refused), again)
		}
		if n := f.count(`SELECT COUNT(*) FROM shards WHERE state = 'open'`); n != 3 {
			t.Errorf("%d shards are open", n)
		}
		f.finish(e)
		f.want(fmt.Sprintf("failed RecipientInvalid:300;sent:%d;", customers-300))
	})
}

// TestMessagePlans holds what operators ask to indexes, with a table too large to be read.
func TestMessagePlans(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.manyMessages(20_000)
		for name, of := range messageQuestions() {
			parts, err := of.parts(t.Context(), f.st)
			f.ok(err)
			if len(parts) == 0 {
				t.Errorf("%s is no question", name)
			}
			for _, p := range parts {
				plan := f.explained(`SELECT `+outgoingColumns+` FROM messages WHERE `+p.where+p.order+` LIMIT 101`, p.args...)
				if strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "SCAN messages") && !strings.Contains(plan, "INDEX") {
					t.Errorf("%s reads the whole table:\n%s", name, plan)
				}
			}
		}
	})
}

func messageQuestions() map[string]Which {
	return map[string]Which{
		"all":      {Namespace: "shop"},
		"unsent":   {Namespace: "shop", States: []string{StateFailed, StateUnknown}},
		"sent":     {Namespace: "shop", States: []string{StateSent}},
		"customer": {Namespace: "shop", Customer: "17"},
		"key":      {Namespace: "shop", Key: nilKey},
		"since":    {Namespace: "shop", Since: time.UnixMilli(19_990)},
		"page":     {Namespace: "shop", States: []string{StateFailed}, after: &Outgoing{Key: nilKey, Ended: new(time.UnixMilli(10_000))}},
	}
}

// manyMessages makes rows, one in a hundred of which failed.
func (f *fixture) manyMessages(n int) {
	f.Helper()
	id, uuidOf := `i`, func(expr string) string { return expr }
	if f.st.Dialect() == store.Postgres {
		id = `CAST((i) AS TEXT)`
		uuidOf = func(expr string) string { return `CAST(` + expr + ` AS UUID)` }
	}
	key := uuidOf(`substr('00000000-0000-4000-8000-000000000000', 1, 36 - length(` + id + `)) || ` + id)
	f.exec(fmt.Sprintf(`WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < %d) `, n) +
		`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, attempts, fence, parts, cost, due_at, planned_at, expires_at, ended_at)
SELECT ` + key + `, 'shop', 'winback', '', ` + id + `, '', 'a', 'r', 'v', CASE WHEN i % 3 = 0 THEN 'push' ELSE 'mail' END, 'email', CASE WHEN i % 100 = 0 THEN 'failed' ELSE 'sent' END, '', 0, 0, 0, 0, 0, i, 0, i FROM s`)
	f.exec(`ANALYZE`)
}

func (f *fixture) explained(query string, args ...any) string {
	f.Helper()
	prefix := "EXPLAIN "
	if f.st.Dialect() == store.SQLite {
		prefix = "EXPLAIN QUERY PLAN "
	}
	rows, err := f.st.Query(f.Context(), prefix+query, args...)
	f.ok(err)
	defer rows.Close()
	columns, err := rows.Columns()
	f.ok(err)
	var out []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		f.ok(rows.Scan(values...))
		out = append(out, fmt.Sprint(*values[len(values)-1].(*any)))
	}
	f.ok(rows.Err())
	return strings.Join(out, "\n")
}
