// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// on gives a Scenario an event trigger, and no audience.
func on(event string, where map[string]crm.PropertyValues) func(*crm.ScenarioSpec) {
	return func(s *crm.ScenarioSpec) {
		s.Trigger.Event = &crm.EventTrigger{Name: event, Where: where}
	}
}

func (f *fixture) anybody(a Armed) Armed {
	a.Segment = ""
	return a
}

// happen learns of events, as an import does.
func (f *fixture) happen(events ...store.Event) {
	f.Helper()
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertEvents(f.Context(), "shop", events, f.clock.Now())
		return err
	}))
}

func (f *fixture) order(id, customer, status string, at time.Time) {
	f.Helper()
	o := store.Order{
		ID: id, CustomerID: customer, PlacedAt: at, Total: 1234 * money.Unit, Status: store.Value(status), HasItems: true,
		Items: []store.Item{{ProductID: store.Value("p1"), Category: store.Value("tea"), Quantity: 2}},
	}
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertOrders(f.Context(), "shop", []store.Order{o}, f.clock.Now())
		return err
	}))
}

// segment gives what refreshes a segment of its own.
func (f *fixture) segment(name string, spec *crm.SegmentSpec) (refresh func()) {
	now := clocktesting.NewFakeClock(f.clock.Now())
	segments := &audience.Refresher{Store: f.st, Clock: now}
	return func() {
		f.Helper()
		now.SetTime(f.clock.Now())
		_, err := segments.Refresh(f.Context(), "shop", name, spec, audience.Shop{})
		f.ok(err)
	}
}

func added(id, customer, cart, category string, at time.Time) store.Event {
	properties, _ := json.Marshal(map[string]any{"cart_id": cart, "category": category, "price": 7.5})
	return store.Event{ID: id, CustomerID: customer, Name: "Product Added", OccurredAt: at, Properties: properties}
}

var skincare = map[string]crm.PropertyValues{"category": {"skincare"}}

func TestEventLetsIn(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(6)
		e := f.engine()
		f.happen(added("e0", "c00000", "k0", "skincare", monday)) // before anybody listened
		a := f.anybody(f.armed(`[{"name": "a", "wait": {"for": "1h"}, "if": "entry.price > 7 && entry.event == 'Product Added' && now - entry.at == duration('1h')",
			"email": {"channel": "mail", "subject": "s", "text": "{{ entry.cart_id }} of {{ entry.at | date: '%H:%M' }}"}}]`, on("Product Added", skincare)))
		f.ok(e.Arm(t.Context(), a))
		f.happen(
			added("e1", "c00001", "k1", "skincare", monday), added("e2", "c00002", "k2", "tea", monday),
			added("e3", "c00003", "k3", "skincare", monday.Add(-2*time.Hour)), added("e4", "c00001", "k4", "skincare", monday),
			store.Event{ID: "e5", CustomerID: "c00005", Name: "Product Viewed", OccurredAt: monday, Properties: []byte(`{"category": "skincare"}`)},
		)
		f.happen(added("e1", "c00001", "k1", "skincare", monday)) // imported again
		f.ok(e.tick(t.Context()))
		f.want("")
		f.clock.SetTime(monday.Add(time.Hour))
		f.finish(e)
		f.want("sent:1;")
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE customer_id = 'c00001' AND state = 'completed' AND entry = ''`); n != 1 || f.count(`SELECT COUNT(*) FROM enrolments`) != 1 {
			t.Errorf("%d are enrolled", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM arrivals`); n != 0 {
			t.Errorf("%d facts wait to be decided about", n)
		}
		// Once is once.
		f.happen(added("e9", "c00001", "k9", "skincare", f.clock.Now()))
		f.ok(e.tick(t.Context()))
		f.clock.SetTime(monday.Add(3 * time.Hour))
		f.finish(e)
		f.want("sent:1;")
		f.taken()
	})
}

func TestReentry(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		const steps = `[{"name": "a", "wait": {"for": "1h"}, "email": {"channel": "mail", "subject": "s", "text": "t"}}]`
		// Each happens an hour after the one before.
		carts := []string{"k1", "k1", "k2", "k2", "k3", "k3"}
		for _, c := range []struct {
			reentry *crm.Reentry
			want    string
		}{
			{nil, "sent:1;"},
			{&crm.Reentry{Policy: crm.ReentryAlways, Key: "cart_id"}, "sent:3;"},
			// The way of the first ends at 1h, so that of 3h finds two hours gone, and so on.
			{&crm.Reentry{Policy: crm.ReentryAfterExit, Cooldown: "2h"}, "sent:2;"},
			{&crm.Reentry{Policy: crm.ReentryAfterExit, Cooldown: "0s"}, "sent:3;"},
		} {
			f := f.in(t)
			f.customers(1)
			e := f.engine()
			f.ok(e.Arm(t.Context(), f.anybody(f.armed(steps, on("Product Added", nil), func(s *crm.ScenarioSpec) { s.Reentry = c.reentry }))))
			for i, cart := range carts {
				at := monday.Add(time.Duration(i) * time.Hour)
				f.clock.SetTime(at)
				f.happen(added(fmt.Sprintf("e%d", i), "c00000", cart, "tea", at), added(fmt.Sprintf("f%d", i), "c00000", cart, "tea", at))
				f.ok(e.tick(t.Context()))
				f.finish(e)
			}
			f.clock.SetTime(monday.Add(24 * time.Hour))
			f.finish(e)
			if got := f.states(); got != c.want {
				t.Errorf("%+v: %s, want %s", c.reentry, got, c.want)
			}
		}
	})
}

func TestOrderLetsIn(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		e := f.engine()
		a := f.anybody(f.armed(`[{"name": "a", "if": "entry.total == 1234 && entry.products[0].category == 'tea'", "email": {"channel": "mail", "subject": "s", "text": "{{ entry.order_id }}"}}]`,
			on(crm.EventOrderCompleted, nil), func(s *crm.ScenarioSpec) { s.Reentry = &crm.Reentry{Policy: crm.ReentryAlways, Key: "order_id"} }))
		f.ok(e.Arm(t.Context(), a))
		f.order("o1", "c00000", "paid", monday)
		f.order("o1", "c00000", "completed", monday) // goes on
		f.happen(store.Event{ID: "e1", CustomerID: "c00000", Name: crm.EventOrderCompleted, OccurredAt: monday, Properties: []byte(`{"order_id": "o1"}`)})
		f.order("o2", "c00001", "cancelled", monday)
		f.order("o3", "c00002", "paid", monday.Add(-2*time.Hour)) // imported late
		f.finish(e)
		f.want("sent:1;")
		f.order("o2", "c00001", "paid", monday) // after all
		f.order("o4", "c00000", "paid", monday)
		f.finish(e)
		f.want("sent:3;")
		f.taken()
	})
}

func TestSegmentEntry(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(5)
		f.exec(`DELETE FROM memberships`)
		one := int32(1)
		spec := &crm.SegmentSpec{Match: crm.Match{All: []crm.NestedCondition{{Condition: crm.Condition{Orders: &crm.OrdersCondition{Count: crm.Count{AtLeast: &one}}}}}}}
		refresh := f.segment("buyers", spec)
		e := f.engine()
		a := f.armed(oneMail, func(s *crm.ScenarioSpec) { s.Trigger.SegmentEntry = &crm.SegmentEntryTrigger{} })
		a.Segment = "buyers"
		f.ok(e.Arm(t.Context(), a))
		f.order("o1", "c00000", "paid", monday)
		refresh() // for the first time: nobody enters
		f.order("o2", "c00001", "paid", monday)
		refresh()
		f.finish(e)
		f.want("sent:1;")
		// Out and in again is no entry of who may enter once.
		f.order("o2", "c00001", "cancelled", monday)
		refresh()
		f.order("o2", "c00001", "paid", monday)
		f.order("o3", "c00002", "paid", monday)
		refresh()
		f.finish(e)
		f.want("sent:2;")
		// While it is suspended nobody enters, also not afterwards.
		suspended := f.armed(oneMail, func(s *crm.ScenarioSpec) { s.Trigger.SegmentEntry, s.Suspend = &crm.SegmentEntryTrigger{}, true })
		suspended.Segment = "buyers"
		f.order("o4", "c00003", "paid", monday)
		refresh()
		f.ok(e.Arm(t.Context(), suspended))
		f.order("o5", "c00004", "paid", monday)
		refresh()
		f.ok(e.Arm(t.Context(), a))
		f.finish(e)
		f.want("sent:2;")
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE customer_id IN ('c00001', 'c00002') AND facts IS NOT NULL`); n != 2 {
			t.Errorf("%d entries say what let them in", n)
		}
	})
}

func TestHoldout(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		const n, share = 1000, 0.2
		f.customers(n)
		e := f.engine()
		holdout := func(s *crm.ScenarioSpec) { s.Holdout = &crm.Holdout{Percent: 20} }
		f.fire(e, f.armed(oneMail, holdout, func(s *crm.ScenarioSpec) { s.Dispatch.ShardSize = 500 }))
		f.finish(e)
		held := f.count(`SELECT COUNT(*) FROM enrolments WHERE state = 'holdout' AND ended_at IS NOT NULL`)
		if off := math.Abs(float64(held) - n*share); off > 4*math.Sqrt(n*share*(1-share)) {
			t.Errorf("%d of %d are held out", held, n)
		}
		f.want(fmt.Sprintf("sent:%d;", n-held))
		if both := f.count(`SELECT COUNT(*) FROM messages m JOIN enrolments e ON e.customer_id = m.customer_id WHERE e.state = 'holdout'`); both != 0 {
			t.Errorf("%d who are held out got something", both)
		}
		// Who enters by an event is drawn alike.
		f = f.in(t)
		f.customers(n)
		e = f.engine()
		f.ok(e.Arm(t.Context(), f.anybody(f.armed(oneMail, holdout, on("Product Added", nil)))))
		events := make([]store.Event, n)
		for i := range events {
			events[i] = added(fmt.Sprintf("h%05d", i), fmt.Sprintf("c%05d", i), "k", "tea", monday)
		}
		f.happen(events...)
		f.finish(e)
		f.want(fmt.Sprintf("sent:%d;", n-held))
	})
}

// TestFilterKnowsOfTheFact: an order lets in who belongs to a segment with that order, not without it.
func TestFilterKnowsOfTheFact(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2)
		one := int32(1)
		spec := &crm.SegmentSpec{Match: crm.Match{All: []crm.NestedCondition{{Condition: crm.Condition{Orders: &crm.OrdersCondition{Count: crm.Count{Exactly: &one}}}}}}}
		refresh := f.segment("first", spec)
		f.order("o0", "c00001", "paid", monday.Add(-48*time.Hour))
		refresh()
		e := f.engine()
		a := f.armed(oneMail, on(crm.EventOrderCompleted, nil))
		a.Segment = "first"
		f.ok(e.Arm(t.Context(), a))
		f.order("o1", "c00000", "paid", monday) // now a member
		f.order("o2", "c00001", "paid", monday) // not any more
		f.finish(e)
		f.want("")
		refresh()
		f.finish(e)
		f.want("sent:1;")
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE customer_id = 'c00000'`); n != 1 {
			t.Error("the wrong customer got it")
		}
	})
}

func TestDatesLetIn(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2500) // more than a batch, twice
		e := f.engine()
		a := f.anybody(f.armed(`[{"name": "a", "if": "entry.date == '2026-11-05'", "email": {"channel": "mail", "subject": "s", "text": "{{ entry.date }} {{ entry.plan }}"}}]`,
			func(s *crm.ScenarioSpec) {
				s.Trigger.Date = &crm.DateTrigger{Of: crm.DateNextDelivery, Offset: "-3d", Time: "10:00", StartingDeadline: "2h"}
				s.Reentry = &crm.Reentry{Policy: crm.ReentryAlways, Key: "subscription_id"}
			}))
		deliver := func(from, to int, at time.Time) {
			t.Helper()
			var subscriptions []store.Subscription
			for i := from; i < to; i++ {
				subscriptions = append(subscriptions, store.Subscription{
					ID: fmt.Sprintf("s%05d", i), CustomerID: fmt.Sprintf("c%05d", i%2500), Plan: store.Value("monthly"), Status: "Active", NextDelivery: store.Value(at),
				})
			}
			f.ok(f.st.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.UpsertSubscriptions(t.Context(), "shop", subscriptions, f.clock.Now())
				return err
			}))
		}
		f.ok(e.Arm(t.Context(), a))
		thursday := monday.Add(3*24*time.Hour - time.Hour)
		deliver(0, 2400, thursday)
		deliver(2400, 2420, thursday.Add(24*time.Hour))
		daily := a.Compiled.Journey.Calendar.Daily
		s := daily.Next(monday.Add(-1))
		if !s.Time.Equal(monday) {
			t.Fatalf("the slot is at %s", s.Time)
		}
		for range 2 { // the second time it is claimed already
			_, err := e.Occur(t.Context(), a, s)
			f.ok(err)
		}
		f.finish(e)
		f.want("sent:2400;")
		if n := f.count(`SELECT COUNT(*) FROM fanouts`); n != 0 {
			t.Errorf("%d slots are open", n)
		}
		// What is learnt later counts for as long as the deadline allows.
		f.clock.SetTime(monday.Add(2 * time.Hour))
		deliver(2420, 2430, thursday)
		deliver(0, 5, thursday.Add(time.Minute)) // who was let in already
		f.finish(e)
		f.want("sent:2410;")
		f.clock.SetTime(monday.Add(2*time.Hour + time.Second))
		deliver(2430, 2440, thursday)
		f.finish(e)
		f.want("sent:2410;")
		f.taken()
	})
}

func amount(n int64) money.Amount { return money.Amount(n) * money.Unit }
