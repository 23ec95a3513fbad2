// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func guardedBy(g crm.Guardrails) func(*crm.ScenarioSpec) {
	return func(s *crm.ScenarioSpec) { s.Guardrails = &g }
}

// last is the state and the reason of the latest run.
func (f *fixture) last(e *Engine) string {
	f.Helper()
	runs, err := e.Runs(f.Context(), shop)
	f.ok(err)
	r := runs[len(runs)-1]
	return r.State + " " + r.Reason
}

func (f *fixture) ticks(e *Engine, n int) {
	f.Helper()
	for range n {
		f.ok(e.tick(f.Context()))
	}
}

// TestRunIsHeld until a commit allows it, and nobody gets anything before.
func TestRunIsHeld(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(30)
		e := f.engine()
		f.fire(e, f.armed(oneMail, guardedBy(crm.Guardrails{MaxRecipientsPerRun: 20})))
		f.ticks(e, 4)
		if got := f.last(e); got != "held 30 recipients are more than maxRecipientsPerRun, 20" {
			t.Errorf("the run is %q", got)
		}
		f.want("")
		// Another revision that does not allow it either.
		f.ok(e.Arm(t.Context(), f.armed(oneMail, guardedBy(crm.Guardrails{MaxRecipientsPerRun: 29}))))
		f.ticks(e, 2)
		if got := f.last(e); got != "held 30 recipients are more than maxRecipientsPerRun, 29" {
			t.Errorf("the run is %q", got)
		}
		f.ok(e.Arm(t.Context(), f.armed(oneMail, guardedBy(crm.Guardrails{MaxRecipientsPerRun: 30}))))
		f.finish(e)
		f.want("sent:30;")
		if got := f.last(e); got != "complete " {
			t.Errorf("the run is %q", got)
		}
		f.taken()
	})
}

// TestHeldRunExpires with its slot; those it let in enter at the next one.
func TestHeldRunExpires(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(30)
		e := f.engine()
		f.fire(e, f.armed(oneMail, guardedBy(crm.Guardrails{MaxRecipientsPerRun: 20})))
		f.ticks(e, 3)
		f.clock.SetTime(monday.Add(time.Hour))
		f.ticks(e, 2)
		if got := f.last(e); !strings.HasPrefix(got, "held ") {
			t.Errorf("at its deadline the run is %q", got)
		}
		f.clock.SetTime(monday.Add(time.Hour + time.Second))
		f.ticks(e, 2)
		if got := f.last(e); got != "cancelled held by guardrails until startingDeadline: 30 recipients are more than maxRecipientsPerRun, 20" {
			t.Errorf("the run is %q", got)
		}
		missed, err := e.LastMissed(t.Context(), shop)
		f.ok(err)
		if missed == nil || !missed.Time.Equal(monday) {
			t.Errorf("the slot that was missed is %+v", missed)
		}
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.fire(e, f.armed(oneMail, guardedBy(crm.Guardrails{MaxRecipientsPerRun: 40})))
		f.finish(e)
		f.want("sent:30;")
		f.taken()
	})
}

func TestGrowthAndBudget(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(90)
		f.exec(`UPDATE memberships SET segment = 'later' WHERE customer_id >= 'c00010'`)
		ch := f.channel("email")
		ch.Price = 3 * money.Unit
		f.channels.Put(mail, ch)
		growth := guardedBy(crm.Guardrails{MaxGrowth: "200%"})
		e := f.engine()
		f.fire(e, f.armed(oneMail, growth)) // the first has nothing to be held against
		f.finish(e)
		f.want("sent:10;")
		f.exec(`UPDATE memberships SET segment = 'all' WHERE customer_id < 'c00031'`)
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.fire(e, f.armed(oneMail, growth))
		f.ticks(e, 3)
		if got := f.last(e); got != "held 21 recipients are more than maxGrowth, 200% of 10, which is the median of the last 1 runs" {
			t.Errorf("the run is %q", got)
		}
		budget := func(amount int32) func(*crm.ScenarioSpec) {
			return guardedBy(crm.Guardrails{Budget: &crm.Budget{Amount: intstr.FromInt32(amount), Per: "30d"}})
		}
		f.ok(e.Arm(t.Context(), f.armed(oneMail, budget(92))))
		f.ticks(e, 2)
		if got := f.last(e); got != "held 63 for 21 recipients, beside 30 spent in 30d, is more than the budget of 92" {
			t.Errorf("the run is %q", got)
		}
		f.ok(e.Arm(t.Context(), f.armed(oneMail, budget(93))))
		f.finish(e)
		f.want("sent:31;")
	})
}

// TestRunIsAborted when too many of its messages bounce, and the next is held until something changes.
func TestRunIsAborted(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(60)
		open := make(chan struct{}, 1000)
		f.provider.script = func(*channel.Message, int) step {
			select {
			case <-open:
				return step{out: channel.Outcome{End: channel.Sent}}
			default: // as if the provider were busy
				return step{out: channel.Outcome{End: channel.Retry, Reason: "Busy", RetryAfter: time.Hour}}
			}
		}
		for range 20 {
			open <- struct{}{}
		}
		abortOn := guardedBy(crm.Guardrails{AbortOn: &crm.AbortOn{BounceRate: "10%", MinimumSent: 10}})
		e := f.engine()
		f.fire(e, f.armed(oneMail, abortOn))
		f.settle(e)
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`); n != 20 {
			t.Fatalf("%d were sent", n)
		}
		look := func() {
			t.Helper()
			e.watched = time.Time{}
			f.ok(e.tick(t.Context()))
		}
		f.exec(`UPDATE messages SET bounced_at = 1 WHERE id IN (SELECT id FROM messages WHERE state = 'sent' LIMIT 2)`)
		look()
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned'`); n != 40 {
			t.Errorf("%d are left at the limit", n)
		}
		f.exec(`UPDATE messages SET bounced_at = 1 WHERE id IN (SELECT id FROM messages WHERE state = 'sent' AND bounced_at IS NULL LIMIT 1)`)
		look()
		f.settle(e)
		look()
		f.settle(e)
		f.want("cancelled Guardrails:40;sent:20;")
		if got := f.last(e); got != "complete aborted: 3 of 20 sent, 15.0%, is more than bounceRate, 10%" {
			t.Errorf("the run is %q", got)
		}
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'exited' AND reason = 'Guardrails'`); n != 0 && n != 40 {
			t.Errorf("%d left", n)
		}
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.exec(`DELETE FROM enrolments WHERE customer_id < 'c00005'`)
		f.fire(e, f.armed(oneMail, abortOn))
		f.ticks(e, 3)
		if got := f.last(e); !strings.HasPrefix(got, "held the run before was aborted: 3 of 20") {
			t.Errorf("the next run is %q", got)
		}
		f.taken()
	})
}

// TestStreamIsGuarded is about a Scenario without runs: its budget holds it until the time is over, and rates stop
// it until it is another revision.
func TestStreamIsGuarded(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(40)
		ch := f.channel("email")
		ch.Price = 3 * money.Unit
		f.channels.Put(mail, ch)
		scenario := func(g crm.Guardrails) Armed {
			return f.anybody(f.armed(oneMail, on("Product Added", nil), guardedBy(g)))
		}
		amount := intstr.FromInt32(10)
		a := scenario(crm.Guardrails{
			Budget:  &crm.Budget{Amount: amount, Currency: "JPY", Per: "2d"},
			AbortOn: &crm.AbortOn{BounceRate: "30%", MinimumSent: 5},
		})
		e := f.engine()
		f.ok(e.Arm(t.Context(), a))
		enter := func(from, to int) {
			t.Helper()
			for i := from; i < to; i++ {
				id := fmt.Sprintf("c%05d", i)
				f.happen(added("e"+id, id, "k", "tea", f.clock.Now()))
			}
			for _, a := range e.snapshot() {
				a.guard.at = time.Time{} // as after a while
				a.next = time.Time{}
			}
			f.finish(e)
		}
		enter(0, 4)
		f.want("sent:4;")
		enter(4, 6)
		f.want("sent:4;")
		if got := e.Guarded(shop); got != "12 spent in 2d reach the budget of 10" {
			t.Errorf("it is held for %q", got)
		}
		f.clock.SetTime(monday.Add(49 * time.Hour))
		enter(6, 7)
		f.want("sent:7;")
		f.exec(`UPDATE messages SET bounced_at = 1 WHERE customer_id IN ('c00004', 'c00005')`)
		f.ok(e.Arm(t.Context(), scenario(crm.Guardrails{AbortOn: &crm.AbortOn{BounceRate: "30%", MinimumSent: 3}})))
		enter(7, 9)
		f.want("sent:7;")
		if got := e.Guarded(shop); got != "aborted: 2 of 3 sent, 66.7%, is more than bounceRate, 30%" {
			t.Errorf("it is stopped for %q", got)
		}
		// Another process finds it stopped, whatever the rates are then.
		e = f.engine()
		f.exec(`UPDATE messages SET bounced_at = NULL`)
		f.ok(e.Arm(t.Context(), scenario(crm.Guardrails{AbortOn: &crm.AbortOn{BounceRate: "30%", MinimumSent: 3}})))
		enter(9, 10)
		f.want("sent:7;")
		f.ok(e.Arm(t.Context(), scenario(crm.Guardrails{AbortOn: &crm.AbortOn{BounceRate: "40%", MinimumSent: 3}})))
		enter(10, 11)
		f.want("sent:11;")
	})
}

func TestGuardrailsOfRunsNeedASchedule(t *testing.T) {
	b := journey.Bundle{}
	b.Spec.Trigger.Event = &crm.EventTrigger{Name: "Product Added"}
	b.Spec.Guardrails = &crm.Guardrails{MaxGrowth: "200%"}
	if _, err := journey.Compile(b); err == nil || !strings.Contains(err.Error(), "spec.guardrails.maxGrowth: is about the runs of a schedule") {
		t.Errorf("it is taken, with %v", err)
	}
}
