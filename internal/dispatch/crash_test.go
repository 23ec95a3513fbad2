// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const onePush = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`

// await waits until f holds.
func (f *fixture) await(what string, holds func() bool) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain for %s; messages are %s", what, f.states())
		}
	}
}

// TestKilled ends a process at each point of a run. Another one takes up what it left, and when the
// dead one's calls come back after all, they change nothing.
func TestKilled(t *testing.T) {
	tests := map[string]struct {
		dies  step
		steps string
		want  string
		took  int
		asks  int // how often the provider is asked what became of a message
	}{
		"LINE, before the beginning": {step{diesBefore: true}, onePush, "sent:20;", 20, 0},
		"LINE, after the beginning":  {step{diesBegun: true}, onePush, "sent:20;", 20, 1},
		"LINE, after it was taken":   {step{diesTaken: true}, onePush, "sent:20;", 20, 1},
		"mail, before the beginning": {step{diesBefore: true}, oneMail, "sent:20;", 20, 0},
		"mail, after the beginning":  {step{diesBegun: true}, oneMail, "sent:19;unknown OutcomeLost:1;", 19, 1},
		"mail, after it was taken":   {step{diesTaken: true}, oneMail, "sent:19;unknown OutcomeLost:1;", 20, 1},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				f.channels.Put(push, f.channel("line"))
				f.channels.Put(mail, f.channel("email"))
				f.customers(20)
				var dead atomic.Int32
				f.provider.script = func(m *channel.Message, n int) step {
					if m.Customer == "c00007" && n == 1 {
						dead.Add(1)
						return tt.dies
					}
					return step{out: channel.Outcome{End: channel.Sent}}
				}
				killed := f.engine()
				f.fire(killed, f.armed(tt.steps))
				f.plan(killed)
				f.ok(killed.tick(t.Context()))
				f.await("the death", func() bool { return dead.Load() == 1 })
				f.await("the others", func() bool {
					return f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`) == 19 &&
						(tt.dies.diesBefore || f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending'`) == 1)
				})

				next := f.engine()
				f.turn(next)
				if n := f.count(`SELECT COUNT(*) FROM messages WHERE state IN ('planned', 'sending')`); n != 1 {
					t.Errorf("%d messages are open: nothing may be taken from who holds the lease", n)
				}
				f.expire()
				f.finish(next)
				f.want(tt.want)
				close(f.provider.graves)
				killed.workers.Wait()
				f.want(tt.want)
				if n := f.taken(); n != tt.took {
					t.Errorf("%d messages were taken, want %d", n, tt.took)
				}
				asks := 0
				for _, n := range f.provider.resolves {
					asks += n
				}
				if asks != tt.asks {
					t.Errorf("the provider was asked %d times, want %d", asks, tt.asks)
				}
				if n := f.count(`SELECT COUNT(*) FROM runs WHERE state = 'complete'`); n != 1 {
					t.Error("the run is not complete")
				}
			})
		}
	})
}

// TestKilledWhilePlanning ends processes between any two transactions of a plan.
func TestKilledWhilePlanning(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(planBatch + 50)
		a := f.armed(oneMail, size(300))
		f.fire(f.engine(), a)
		for done := 0; ; done++ {
			e := f.engine()
			f.ok(e.Arm(t.Context(), a))
			runs, err := e.openRuns(t.Context())
			f.ok(err)
			if len(runs) == 0 {
				break
			}
			if done > 20 {
				t.Fatal("planning does not end")
			}
			// Each process commits one more transaction, and dies.
			ctx, kill := context.WithCancel(t.Context())
			if runs[0].state == RunEnrolling && done < 2 {
				f.ok(f.st.Tx(ctx, func(tx *store.Tx) error {
					_, err := e.enrolBatch(ctx, tx, runs[0], a.Compiled, "")
					return err
				}))
			} else if done < 5 && runs[0].state == RunPlanning {
				_, err = e.plan(ctx, planning{ref: shop, epoch: a.Epoch, revision: a.Revision, rev: a.Compiled, run: runs[0].run, until: monday})
				f.ok(err)
			} else if runs[0].state == RunEnrolling && done == 2 {
				_, err = e.enrol(ctx, runs[0], a.Compiled)
				f.ok(err)
			} else {
				_, err = e.planRun(ctx, runs[0])
				f.ok(err)
			}
			kill()
		}
		if n := f.count(`SELECT planned FROM runs`); n != planBatch+50 {
			t.Errorf("the run counts %d messages", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM shards s WHERE size = (SELECT COUNT(*) FROM messages m WHERE m.shard = s.id) AND size <= 300 AND state = 'held'`); n != 4 {
			t.Errorf("%d shards of 4 are as large as they say", n)
		}
		f.finish(f.engine())
		f.want(fmt.Sprintf("sent:%d;", planBatch+50))
		f.taken()
	})
}

// TestTwoEnginesPlan has two leaders plan and send the same run at once.
func TestTwoEnginesPlan(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2*planBatch + 10)
		a := f.armed(oneMail, size(100))
		one, two := f.engine(), f.engine()
		f.ok(one.Arm(t.Context(), a))
		f.ok(two.Arm(t.Context(), a))
		fired := make(chan bool, 2)
		for _, e := range []*Engine{one, two} {
			go func() {
				won, err := e.Fire(context.Background(), a, slot(monday))
				fired <- won && err == nil
			}()
		}
		if a, b := <-fired, <-fired; a == b {
			t.Fatalf("fired %v and %v: one of two should have", a, b)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		go func() { ended <- one.Run(ctx) }()
		go func() { ended <- two.Run(ctx) }()
		f.await("the run to be planned", func() bool { return f.count(`SELECT COUNT(*) FROM runs WHERE state = 'planned'`) == 1 })
		// What is planned is all there, at once: its Job has that many indexes.
		if n := f.count(`SELECT COUNT(*) FROM messages`); n != 2*planBatch+10 {
			t.Errorf("%d messages when the run is planned", n)
		}
		f.ok(one.Open(t.Context(), shop, RunName(a.Name, slot(monday))))
		f.await("the run to be complete", func() bool { return f.count(`SELECT COUNT(*) FROM runs WHERE state = 'complete'`) == 1 })
		stop()
		f.ok(<-ended)
		f.ok(<-ended)
		f.want(fmt.Sprintf("sent:%d;", 2*planBatch+10))
		if n := f.taken(); n != 2*planBatch+10 {
			t.Errorf("%d were taken", n)
		}
		for key, n := range f.provider.sends {
			if n > 1 {
				t.Errorf("message %s was tried %d times", key, n)
			}
		}
	})
}

// TestShutdown ends an engine while messages are being sent: their outcomes are recorded, and the
// shards are given back.
func TestShutdown(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(40)
		var under atomic.Int32
		f.provider.script = func(*channel.Message, int) step {
			under.Add(1)
			return step{diesTaken: true} // until the graves open
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.plan(e)
		f.ok(f.stop(e))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		f.await("sends to be under way", func() bool { return under.Load() == 40 })
		stop()
		time.Sleep(10 * time.Millisecond)
		close(f.provider.graves)
		f.ok(<-ended)
		f.want("sent:40;")
		if n := f.count(`SELECT COUNT(*) FROM shards WHERE holder <> ''`); n != 0 {
			t.Errorf("%d shards are still held", n)
		}
		if n := f.taken(); n != 40 {
			t.Errorf("%d were taken", n)
		}
	})
}

// stop ends an engine's own ledger before Run makes another.
func (f *fixture) stop(e *Engine) error {
	e.workers.Wait()
	e.ledger.close()
	return nil
}

// TestRandom lets processes die and providers answer as chance has it: each message has one end, and
// none is taken twice by anybody.
func TestRandom(t *testing.T) {
	rounds := map[string]int{"sqlite": 40, "postgres": 12}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		n := rounds["sqlite"]
		if f.st.Dialect() == store.Postgres {
			n = rounds["postgres"]
		}
		for seed := range n {
			f.round(t, uint64(seed))
		}
	})
}

func (f *fixture) round(t *testing.T, seed uint64) {
	g := f.in(t)
	chance := rand.New(rand.NewPCG(seed, 1))
	g.provider = newProvider()
	g.channels.Put(push, g.channel("line"))
	g.channels.Put(mail, g.channel("email"))
	const customers = 30
	g.customers(customers)
	var deaths atomic.Int32
	g.provider.script = func(_ *channel.Message, tries int) step { // called under the provider's lock
		if deaths.Load() < 4 && chance.IntN(30) == 0 {
			deaths.Add(1)
			k := chance.IntN(3)
			return step{diesBefore: k == 0, diesBegun: k == 1, diesTaken: k == 2}
		}
		if tries > 4 {
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		switch k := chance.IntN(14); k {
		case 0:
			return step{out: channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused}}
		case 1:
			return step{out: channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing}}
		case 2:
			return step{out: channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable}, unbegun: true}
		case 3:
			return step{out: channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}}
		default:
			return step{out: channel.Outcome{End: channel.Sent}}
		}
	}
	steps := `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}, {"name": "b", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`
	a := g.armed(steps, size(7))
	g.fire(g.engine(), a)
	var all []*Engine
	for range 60 {
		e := g.engine()
		all = append(all, e)
		g.ok(e.Arm(t.Context(), a))
		g.plan(e)
		before, expired := deaths.Load(), time.Now()
		g.await("a death or the end", func() bool {
			// The dead of these tests only block: one that died just before the leases were expired
			// renewed its own, which a process that is gone does not.
			if time.Since(expired) > time.Second {
				g.expire()
				expired = time.Now()
			}
			g.ok(e.tick(t.Context()))
			return deaths.Load() > before || g.count(`SELECT COUNT(*) FROM messages WHERE state IN ('planned', 'sending')`) == 0
		})
		if deaths.Load() == before {
			break
		}
		// Whoever died holds its shards until their leases run out.
		g.expire()
	}
	close(g.provider.graves)
	for _, e := range all {
		e.workers.Wait()
	}
	g.finish(g.engine())
	if n := g.count(`SELECT COUNT(*) FROM messages WHERE state IN ('sent', 'failed', 'unknown') AND ended_at IS NOT NULL`); n != 2*customers {
		t.Errorf("seed %d: %d messages of %d have an end: %s", seed, n, 2*customers, g.states())
	}
	g.taken()
	if t.Failed() {
		t.Fatalf("seed %d", seed)
	}
}
