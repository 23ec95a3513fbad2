// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestLeaseLost has a worker that lost its lease write: it is refused, whatever it has to say.
func TestLeaseLost(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.channels.Put(mail, &Channel{Kind: "email", Suspended: true})
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.plan(e)
		e.workers.Wait()
		claim := func() (shard, *letter) {
			f.expire()
			got, err := e.claim(t.Context(), 1, func(Ref) int { return 1 }, nil)
			f.ok(err)
			if len(got) != 1 {
				t.Fatalf("%d shards were claimed", len(got))
			}
			letters, err := e.page(t.Context(), got[0], nilKey, nil)
			f.ok(err)
			return got[0], &letters[0]
		}
		old, l := claim()
		current, _ := claim()
		skipped := end{state: StateSkipped, reason: ReasonNoConsent, at: monday}
		f.ok(e.ledger.End(t.Context(), old.lease, l.id, skipped))
		f.want("planned:1;")
		if ours, err := e.renew(t.Context(), old); err != nil || ours {
			t.Errorf("the old lease was renewed: %v", err)
		}
		if done, err := e.finish(t.Context(), old); err != nil || done {
			t.Errorf("the old lease finished the shard: %v", err)
		}
		// Both want to begin in one transaction of the ledger, as two workers of a process can.
		batch := []*ledgerEntry{
			{lease: old.lease, id: l.id, begin: true, ns: "shop", reply: make(chan error, 1)},
			{lease: current.lease, id: l.id, begin: true, ns: "shop", reply: make(chan error, 1)},
		}
		e.ledger.flush(batch)
		if err := <-batch[0].reply; !errors.Is(err, errNotOurs) {
			t.Errorf("the old lease was told %v", err)
		}
		if err := <-batch[1].reply; err != nil {
			t.Errorf("the current lease was told %v", err)
		}
		f.ok(e.ledger.End(t.Context(), old.lease, l.id, end{state: StatePlanned}))
		f.ok(e.ledger.End(t.Context(), old.lease, l.id, end{state: StateFailed, at: monday}))
		f.want("sending:1;")
		f.ok(e.ledger.End(t.Context(), current.lease, l.id, end{state: StateSent, at: monday}))
		f.ok(e.ledger.End(t.Context(), current.lease, l.id, end{state: StateFailed, at: monday}))
		f.want("sent:1;")
	})
}

// TestAnEntryThatTheStoreRefuses must not hold up the others.
func TestAnEntryThatTheStoreRefuses(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.provider.script = func(*channel.Message, int) step { return step{diesTaken: true} }
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.plan(e)
		f.ok(e.tick(t.Context()))
		f.await("the send", func() bool { return f.taken() == 1 })
		refused := make(chan error, 1)
		go func() { refused <- e.ledger.End(context.Background(), lease{}, "not a key", end{state: StateSent}) }()
		if f.st.Dialect() == "postgres" { // SQLite takes any text, and finds no such message
			if err := <-refused; err == nil {
				t.Error("an end of no message was recorded")
			}
		}
		close(f.provider.graves)
		e.workers.Wait()
		f.want("sent:1;")
	})
}

// TestPausedChannel has two scenarios' worth of shards wait for a channel: the other channel's
// messages go out meanwhile, nothing spins, and all goes on when the channel is resumed.
func TestPausedChannel(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(45)
		f.provider.script = func(m *channel.Message, _ int) step {
			if m.Line != nil && f.channels.entries[push].Fingerprint == "1" {
				return step{out: channel.Outcome{End: channel.Retry, Reason: channel.ReasonQuotaExhausted, Pause: &channel.Pause{Reason: channel.ReasonQuotaExhausted}}}
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		e.shards, e.heldBack = 2, time.Minute
		f.fire(e, f.armed(`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}},
		  {"name": "b", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`, size(15)))
		f.plan(e)
		f.await("the mails", func() bool {
			f.ok(e.tick(t.Context()))
			return f.count(`SELECT COUNT(*) FROM messages WHERE kind = 'email' AND state = 'sent'`) == 45
		})
		e.workers.Wait()
		f.turn(e)
		if e.total != 0 || f.count(`SELECT COUNT(*) FROM messages WHERE kind = 'line' AND state = 'planned'`) != 45 {
			t.Errorf("%d shards are being worked on; messages are %s", e.total, f.states())
		}
		tried := len(f.provider.sends)
		f.turn(e)
		if again := len(f.provider.sends); again != tried {
			t.Errorf("%d tries through a channel that is paused", again-tried)
		}
		if p, paused := f.channels.Paused(push); !paused || p.Reason != channel.ReasonQuotaExhausted {
			t.Errorf("the channel is not paused: %+v", p)
		}
		changed := f.channel("line")
		changed.Fingerprint = "2"
		f.channels.Put(push, changed)
		f.finish(e)
		f.want("sent:90;")
		f.taken()
	})
}

// TestHeldMessagesExpire looks at messages whose channel does not come back.
func TestHeldMessagesExpire(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(20)
		e := f.engine()
		f.fire(e, f.armed(oneMail, size(500)))
		f.plan(e)
		e.workers.Wait()
		f.expire()
		f.exec(`UPDATE messages SET state = 'planned', ended_at = NULL`)
		f.exec(`UPDATE messages SET state = 'sending' WHERE customer_id = 'c00000'`)
		f.exec(`UPDATE shards SET state = 'open'`)
		f.channels.Remove(mail)
		f.turn(e)
		f.want("planned:19;sending:1;")
		f.clock.SetTime(monday.Add(usefulFor + time.Second))
		f.finish(e)
		f.want("skipped Expired:19;unknown OutcomeLost:1;")
	})
}

// TestOneScenarioDoesNotStarveAnother claims with more shards of one scenario than a claim looks at.
func TestOneScenarioDoesNotStarveAnother(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for i := range 200 {
			name := "large"
			if i == 199 {
				name = "small"
			}
			f.exec(`INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
VALUES ($1, 'shop', $2, 'r', $3, 1, 'open', '', 0, 0, $4)`, shardID(shop, "r", int64(i)), name, i, i)
		}
		e := f.engine()
		rooms := map[string]int{"large": 3, "small": 3}
		got, err := e.claim(t.Context(), 8, func(ref Ref) int { return rooms[ref.Name] }, nil)
		f.ok(err)
		counts := map[string]int{}
		for _, s := range got {
			counts[s.ref.Name]++
		}
		if counts["large"] != 3 || counts["small"] != 1 {
			t.Errorf("claimed %v", counts)
		}
		got, err = e.claim(t.Context(), 8, func(ref Ref) int { return rooms[ref.Name] }, []Ref{{"shop", "large"}})
		f.ok(err)
		if len(got) != 0 {
			t.Errorf("claimed %d more", len(got))
		}
	})
}

// TestCancel deletes a Scenario with one message under way: that one is brought to its end, the
// others are not sent, and a Scenario of the same name sends nobody anything again.
func TestCancel(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(30)
		f.provider.script = func(m *channel.Message, n int) step {
			if n == 1 && m.Customer == "c00000" {
				return step{diesTaken: true}
			}
			return step{out: channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing, RetryAfter: time.Hour}}
		}
		e := f.engine()
		a := f.armed(oneMail)
		f.fire(e, a)
		f.plan(e)
		f.ok(e.tick(t.Context()))
		f.await("the first tries", func() bool { return f.count(`SELECT COUNT(*) FROM messages WHERE attempts = 1`) == 30 })
		f.await("their ends", func() bool { return f.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned'`) == 29 })
		n, err := e.Cancel(t.Context(), shop)
		f.ok(err)
		if n != 29 {
			t.Errorf("%d were cancelled", n)
		}
		close(f.provider.graves)
		e.workers.Wait()
		f.expire()
		f.finish(e)
		f.want("cancelled ScenarioDeleted:29;sent:1;")
		if n, err := e.Cancel(t.Context(), shop); err != nil || n != 0 {
			t.Errorf("a second time %d were cancelled: %v", n, err)
		}
		if fired, err := e.Fire(t.Context(), a, slot(monday.Add(time.Minute))); err != nil || fired {
			t.Errorf("a Scenario that is gone fired: %v", err)
		}
		f.clock.SetTime(monday.Add(time.Hour))
		f.fire(e, a)
		f.finish(e)
		f.want("cancelled ScenarioDeleted:29;sent:1;")
	})
}

// TestCancelWhilePlanning deletes a Scenario between two batches of its run.
func TestCancelWhilePlanning(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(planBatch + 10)
		e := f.engine()
		a := f.armed(oneMail)
		f.fire(e, a)
		runs, err := e.openRuns(t.Context())
		f.ok(err)
		_, err = e.enrol(t.Context(), runs[0], a.Compiled)
		f.ok(err)
		_, err = e.guard(t.Context(), &runs[0], a.Compiled)
		f.ok(err)
		p := planning{ref: shop, revision: a.Revision, rev: a.Compiled, run: runs[0].run, until: monday}
		_, err = e.plan(t.Context(), p)
		f.ok(err)
		_, err = e.Cancel(t.Context(), shop)
		f.ok(err)
		// Another process does not know of it yet, and goes on.
		other := f.engine()
		for _, r := range runs {
			for _, state := range []string{RunEnrolling, RunPlanning} {
				r.state = state
				_, err := other.planRun(t.Context(), r)
				f.ok(err)
			}
		}
		f.want(fmt.Sprintf("cancelled ScenarioDeleted:%d;", planBatch))
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'active'`) + f.count(`SELECT COUNT(*) FROM shards WHERE state IN ('held', 'open')`); n != 0 {
			t.Errorf("%d enrolments and shards are left", n)
		}
	})
}

// TestEdits changes a Scenario while customers are under way.
func TestEdits(t *testing.T) {
	const a, c = `{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t"}}`, `{"name": "c", "wait": {"for": "1h"}, "email": {"channel": "mail", "subject": "s", "text": "t"}}`
	const b = `{"name": "b", "wait": {"for": "1d"}, "email": {"channel": "mail", "subject": "s", "text": "t"}}`
	other := func(s *crm.ScenarioSpec) { s.Epoch = "2" }
	tests := map[string]struct {
		after  string
		change func(*crm.ScenarioSpec)
		// early edits before the run is planned, which keeps its spec
		early bool
		want  string
	}{
		"a step is gone":             {after: `[` + a + `,` + c + `]`, want: "a:5;c:5;"},
		"a step is gone, early":      {after: `[` + a + `,` + c + `]`, early: true, want: "a:5;c:5;"},
		"the first is gone, early":   {after: `[` + b + `,` + c + `]`, early: true, want: "a:5;b:5;c:5;"},
		"all that follows is gone":   {after: `[` + a + `]`, want: "a:5;"},
		"all that follows, early":    {after: `[` + a + `]`, early: true, want: "a:5;"},
		"nothing that concerns them": {after: `[` + c + `,` + b + `,` + a + `,` + c[:10] + `d` + c[11:] + `]`, want: "a:5;b:5;d:5;"},
		"another epoch":              {after: `[` + a + `,` + b + `,` + c + `]`, change: other, want: "a:5;"},
		"another epoch, early":       {after: `[` + a + `,` + b + `,` + c + `]`, change: other, early: true, want: "a:5;"},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.customers(5)
				e := f.engine()
				f.fire(e, f.armed(`[`+a+`,`+b+`,`+c+`]`))
				if !tt.early {
					f.finish(e)
				} else {
					runs, err := e.openRuns(t.Context())
					f.ok(err)
					rev, err := e.revisions.get(t.Context(), "shop", "winback", runs[0].revision)
					f.ok(err)
					_, err = e.enrol(t.Context(), runs[0], rev)
					f.ok(err)
				}
				if tt.change == nil {
					tt.change = func(*crm.ScenarioSpec) {}
				}
				f.ok(e.Arm(t.Context(), f.armed(tt.after, tt.change)))
				for day := range 5 {
					f.clock.SetTime(monday.Add(time.Duration(day) * 25 * time.Hour))
					e.look(shop)
					f.finish(e)
				}
				got := ""
				for _, step := range []string{"a", "b", "c", "d"} {
					if n := f.count(`SELECT COUNT(*) FROM messages WHERE step = $1 AND state = 'sent'`, step); n > 0 {
						got += fmt.Sprintf("%s:%d;", step, n)
					}
				}
				if got != tt.want {
					t.Errorf("sent %s, want %s", got, tt.want)
				}
				if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'active'`); n != 0 {
					t.Errorf("%d are under way for ever", n)
				}
			})
		}
	})
}

// TestLedgerOfSlots holds the floor of a schedule.
func TestLedgerOfSlots(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		e := f.engine()
		a := f.armed(oneMail)
		f.ok(e.Arm(t.Context(), a))
		floor := func(want time.Time) {
			t.Helper()
			l, err := f.engine().Slots(t.Context(), shop, "cron 0 10 * * *")
			f.ok(err)
			if !l.Floor.Equal(want) {
				t.Errorf("the floor is %s, want %s", l.Floor, want)
			}
		}
		floor(monday)
		f.clock.SetTime(monday.Add(time.Hour))
		floor(monday)
		f.ok(e.Miss(t.Context(), shop, []schedule.Slot{slot(monday.Add(30 * time.Minute)), slot(monday.Add(40 * time.Minute))}, "late"))
		f.ok(e.Miss(t.Context(), shop, []schedule.Slot{slot(monday.Add(40 * time.Minute))}, "again"))
		floor(monday.Add(40 * time.Minute))
		m, err := e.LastMissed(t.Context(), shop)
		f.ok(err)
		if m == nil || m.Reason != "late" || !m.Time.Equal(monday.Add(40*time.Minute)) {
			t.Errorf("missed %+v", m)
		}
		if fired, err := e.Fire(t.Context(), a, slot(monday.Add(40*time.Minute))); err != nil || fired {
			t.Errorf("a slot that was missed fired: %v", err)
		}
		// What would have run while suspended is not caught up on.
		suspended := f.armed(oneMail, func(s *crm.ScenarioSpec) { s.Suspend = true })
		f.ok(e.Arm(t.Context(), suspended))
		if fired, err := e.Fire(t.Context(), a, slot(f.clock.Now())); err != nil || fired {
			t.Errorf("a Scenario that is suspended fired: %v", err)
		}
		f.clock.SetTime(monday.Add(48 * time.Hour))
		floor(monday.Add(40 * time.Minute))
		f.ok(e.Arm(t.Context(), a))
		floor(monday.Add(48 * time.Hour))
	})
}

// TestIdleTicks holds what a tick asks for: nothing for each scenario that has nothing due.
func TestIdleTicks(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		e := f.engine()
		credited := 0
		e.attribute = func(context.Context, Armed) (int64, error) { credited++; return 0, nil }
		a := f.armed(oneMail)
		for i := range 100 {
			a.Name = fmt.Sprintf("s%d", i)
			f.ok(e.Arm(t.Context(), a))
		}
		f.ok(e.tick(t.Context()))
		if credited != 100 {
			t.Errorf("%d scenarios were asked for orders at first", credited)
		}
		f.ok(e.tick(t.Context()))
		if credited != 100 {
			t.Errorf("%d were asked again where none arrived", credited-100)
		}
		f.exec(`INSERT INTO orders (ns, id, customer_id, placed_at, total, status, counted, received_at) VALUES ('shop', 'o1', 'c1', 1, 1, 'paid', 1, 5)`)
		f.ok(e.tick(t.Context()))
		if credited != 200 {
			t.Errorf("%d were asked when one arrived", credited-100)
		}
	})
}

func TestChannels(t *testing.T) {
	told := 0
	c := NewChannels(func(Ref) { told++ })
	usable := func(want string) {
		t.Helper()
		if ch, why := c.Get(mail); why != want || (ch == nil) != (want != "") {
			t.Errorf("%v %q, want %q", ch, why, want)
		}
	}
	usable("ChannelNotReady")
	c.Pause(mail, channel.Pause{Reason: "R"}) // nobody knows it
	c.Put(mail, &Channel{Kind: "email", Fingerprint: "1", PerSecond: 5})
	first, _ := c.Get(mail)
	usable("")
	c.Pause(mail, channel.Pause{Reason: "QuotaExhausted"})
	c.Pause(mail, channel.Pause{Reason: "QuotaExhausted"})
	if told != 1 {
		t.Errorf("told %d times", told)
	}
	usable("QuotaExhausted")
	c.Put(mail, &Channel{Kind: "email", Fingerprint: "1"})
	usable("QuotaExhausted")
	c.Put(mail, &Channel{Kind: "email", Fingerprint: "2"})
	usable("")
	if now, _ := c.Get(mail); now.Limiter != first.Limiter {
		t.Error("a changed channel begins with a full bucket")
	}
	c.Pause(mail, channel.Pause{Reason: "RateLimited", Until: time.Now().Add(20 * time.Millisecond)})
	usable("RateLimited")
	time.Sleep(25 * time.Millisecond)
	usable("")
	c.Pause(mail, channel.Pause{Reason: "CredentialsInvalid"})
	c.Resume(mail)
	usable("")
	c.Put(mail, &Channel{Kind: "email", Fingerprint: "2", Suspended: true})
	usable("ChannelSuspended")
	if _, known := c.Configured(mail); !known {
		t.Error("a suspended channel is not configured")
	}
	c.Remove(mail)
	usable("ChannelNotReady")
}

func TestCompileNamesTheField(t *testing.T) {
	compiler := content.NewCompiler(content.Options{})
	defer func() { _ = compiler.Close() }()
	f := &fixture{TB: t, compiler: compiler}
	a := f.armed(oneMail)
	b := a.Compiled.Bundle
	b.Spec.Steps[0].Email.Subject = "{{ customer.name | nofilter }}"
	_, err := Compile(t.Context(), compiler, b)
	if err == nil || err.Error()[:len("spec.steps[0].email.subject: ")] != "spec.steps[0].email.subject: " {
		t.Error(err)
	}
}
