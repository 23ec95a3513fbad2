// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const thenMail = `"email": {"channel": "mail", "subject": "s", "text": "t"}}`

// step is what became of a customer's way: its state and reason, and the step that it waits for.
func (f *fixture) way(customer string) string {
	f.Helper()
	var state, reason, step string
	f.ok(f.st.QueryRow(f.Context(), `SELECT state, reason, step FROM enrolments WHERE customer_id = $1`, customer).Scan(&state, &reason, &step))
	return state + " " + reason + " " + step
}

func TestWaitsForAnEvent(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"untilEvent": {"name": "Order Completed", "timeout": "2d"}}, `+thenMail+`]`))
		f.finish(e)
		f.want("sent:4;")
		viewed := func(id, customer string, at time.Time) store.Event {
			return store.Event{ID: id, CustomerID: customer, Name: crm.EventOrderCompleted, OccurredAt: at, Properties: []byte(`{}`)}
		}
		f.clock.SetTime(monday.Add(time.Hour))
		f.happen(viewed("e0", "c00000", monday.Add(-time.Minute)), viewed("e1", "c00001", monday.Add(30*time.Minute)))
		f.order("o2", "c00002", "paid", monday.Add(time.Hour))
		f.finish(e)
		// What happened before is not what they wait for.
		f.want("sent:6;")
		if got := f.way("c00000"); got != "active  ?b" {
			t.Errorf("who did it before is %q", got)
		}
		f.clock.SetTime(monday.Add(48*time.Hour - time.Second))
		f.finish(e)
		f.want("sent:6;")
		f.clock.SetTime(monday.Add(48 * time.Hour))
		f.finish(e)
		f.want("sent:8;")
		f.taken()
	})
}

func TestExitsWhileWaiting(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(5)
		e := f.engine()
		e.attribute = func(ctx context.Context, a Armed) (int64, error) {
			return report.Attribute(ctx, f.st, a.Namespace, a.Name, a.Epoch, report.Goal{Within: 240 * time.Hour}, time.Time{})
		}
		all := &crm.SegmentSpec{Match: crm.Match{None: []crm.NestedCondition{{Condition: crm.Condition{Attribute: &crm.AttributeCondition{Name: "out", Presence: crm.AttributePresent}}}}}}
		refresh := f.segment("all", all)
		refresh()
		a := f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"for": "7d"}, `+thenMail+`]`, func(s *crm.ScenarioSpec) {
			s.SegmentRef = &crm.LocalReference{Name: "all"}
			s.ExitOn = []crm.ExitReason{crm.ExitGoal, crm.ExitSegment}
		})
		f.fire(e, a)
		f.finish(e)
		f.want("sent:5;")
		f.clock.SetTime(monday.Add(time.Hour))
		f.order("o1", "c00001", "paid", monday.Add(30*time.Minute))
		f.ok(f.st.SetConsent(t.Context(), "shop", "c00002", "email", store.ConsentWithdrawn, "test", f.clock.Now()))
		f.ok(f.st.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{
				{ID: "c00003", Attributes: map[string]json.RawMessage{"out": json.RawMessage("1")}},
				{ID: "c00004", Consents: map[string]string{"email": store.ConsentWithdrawn}},
			}, f.clock.Now())
			return err
		}))
		refresh()
		for _, a := range e.snapshot() { // as after a while
			a.next, a.credited = time.Time{}, time.Time{}
		}
		f.finish(e)
		e.look(shop)
		f.finish(e)
		for customer, want := range map[string]string{
			"c00000": "active  b", "c00001": "exited GoalReached ", "c00002": "exited Unsubscribed ", "c00003": "exited SegmentExit ", "c00004": "exited Unsubscribed ",
		} {
			if got := f.way(customer); got != want {
				t.Errorf("%s is %q, want %q", customer, got, want)
			}
		}
		// Who was looked at and stays waits as long as before.
		f.clock.SetTime(monday.Add(7*24*time.Hour - time.Second))
		f.finish(e)
		f.want("sent:5;")
		f.clock.SetTime(monday.Add(7 * 24 * time.Hour))
		f.finish(e)
		f.want("sent:6;")
	})
}

// TestWokenWaitsOn: who is looked at before the time, and need not leave, waits to the same moment.
func TestWokenWaitsOn(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"for": "2d"}, `+thenMail+`]`))
		f.finish(e)
		for range 3 {
			f.clock.SetTime(f.clock.Now().Add(time.Hour))
			f.ok(f.st.Tx(t.Context(), func(tx *store.Tx) error {
				return tx.Wake(t.Context(), "shop", "", []string{"c00000"}, f.clock.Now())
			}))
			e.look(shop)
			f.finish(e)
		}
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE until_at IS NULL AND due_at = $1`, monday.Add(48*time.Hour).UnixMilli()); n != 1 {
			t.Errorf("they wait otherwise: %d", n)
		}
		f.want("sent:1;")
	})
}

func TestProductNews(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		product := func(id string, stock int64, price int64) {
			t.Helper()
			f.ok(f.st.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.UpsertProducts(t.Context(), "shop", []store.Product{{
					ID: id, Name: store.Value("Tea"), Category: store.Value("tea"), Stock: store.Value(stock), Price: store.Value(amount(price)),
				}}, f.clock.Now())
				return err
			}))
		}
		event := func(id, customer, name, product string, ago time.Duration) store.Event {
			return store.Event{ID: id, CustomerID: customer, Name: name, OccurredAt: monday.Add(-ago), Properties: fmt.Appendf(nil, `{"product_id": %q}`, product)}
		}
		for _, c := range []struct {
			name, audience string
			from, to       [2]int64 // stock and price
			want           string
		}{
			{"Product Restocked", "Favourited", [2]int64{0, 500}, [2]int64{5, 500}, "c00000"},
			{"Product Restocked", "Viewed", [2]int64{0, 500}, [2]int64{5, 500}, "c00001"},
			{"Product Restocked", "Carted", [2]int64{0, 500}, [2]int64{5, 500}, "c00002"},
			{"Product Restocked", "Purchased", [2]int64{0, 500}, [2]int64{5, 500}, "c00003"},
			{"Product Restocked", "Viewed", [2]int64{1, 500}, [2]int64{5, 500}, ""},
			{"Product Low Stock", "Viewed", [2]int64{9, 500}, [2]int64{3, 500}, "c00001"},
			{"Product Low Stock", "Viewed", [2]int64{3, 500}, [2]int64{2, 500}, ""},
			{"Product Low Stock", "Viewed", [2]int64{9, 500}, [2]int64{0, 500}, ""},
			{"Product Price Dropped", "Viewed", [2]int64{9, 500}, [2]int64{9, 499}, "c00001"},
			{"Product Price Dropped", "Viewed", [2]int64{9, 500}, [2]int64{9, 501}, ""},
		} {
			f := f.in(t)
			f.customers(6)
			product("p1", c.from[0], c.from[1])
			product("p2", c.from[0], c.from[1])
			f.happen(
				event("v0", "c00000", store.EventWished, "p1", time.Hour), event("v1", "c00001", "Product Viewed", "p1", time.Hour),
				event("v2", "c00001", "Product Viewed", "p1", 2*time.Hour), event("v3", "c00002", "Product Added", "p1", time.Hour),
				event("v4", "c00004", "Product Viewed", "p2", time.Hour), event("v5", "c00005", "Product Viewed", "p1", 91*24*time.Hour),
			)
			f.order("o1", "c00003", "paid", monday.Add(-time.Hour))
			e := f.engine()
			f.ok(e.Arm(t.Context(), f.anybody(f.armed(`[{"name": "a", "if": "entry.product_id == 'p1' && entry.name == 'Tea'", `+thenMail+`]`, func(s *crm.ScenarioSpec) {
				s.Trigger.ProductEvent = &crm.ProductEventTrigger{Name: c.name, Audience: c.audience}
			}))))
			product("p1", c.to[0], c.to[1])
			f.finish(e)
			who, err := store.Texts(t.Context(), f.st, `SELECT customer_id FROM messages WHERE state = 'sent' ORDER BY customer_id`)
			f.ok(err)
			if got := strings.Join(who, " "); got != c.want {
				t.Errorf("%s, %s: %q got it, want %q", c.name, c.audience, got, c.want)
			}
			if n := f.count(`SELECT COUNT(*) FROM fanouts`); n != 0 {
				t.Errorf("%d news are left", n)
			}
		}
	})
}

func TestUpdatesAndEnters(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		e := f.engine()
		second := f.anybody(f.armed(`[{"name": "b", "if": "entry.scenario == 'winback' && entry.cart_id == 'k1'", `+thenMail+`]`,
			on("Never", nil), func(s *crm.ScenarioSpec) { s.Holdout = nil }))
		second.Name = "welcome"
		f.ok(e.Arm(t.Context(), second))
		first := f.anybody(f.armed(`[{"name": "mark", "update": {"attributes": {"last_cart": "{{ entry.cart_id }}", "points": "", "x": "{{ customer.nothing }}"}}},
			{"name": "mark2", "update": {"attributes": {"last_cart": "{{ entry.cart_id }}", "points": ""}}},
			{"name": "on", "wait": {"for": "1h"}, "if": "customer.last_cart == 'k1'", "enter": {"scenario": "welcome"}},
			{"name": "lost", "enter": {"scenario": "nowhere"}}]`, on("Product Added", nil)))
		f.ok(e.Arm(t.Context(), first))
		f.happen(added("e1", "c00001", "k1", "tea", monday), added("e2", "c00002", "k2", "tea", monday))
		f.finish(e)
		var attributes []byte
		f.ok(f.st.QueryRow(t.Context(), `SELECT attributes FROM customers WHERE id = 'c00001'`).Scan(&attributes))
		var got map[string]any
		f.ok(json.Unmarshal(attributes, &got))
		if len(got) != 1 || got["last_cart"] != "k1" {
			t.Errorf("the attributes are %s", attributes)
		}
		f.exec(`DELETE FROM customers WHERE id = 'c00002'`)
		f.clock.SetTime(monday.Add(time.Hour))
		f.finish(e)
		f.finish(e)
		f.want("sent:1;")
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE scenario = 'welcome' AND customer_id = 'c00001'`); n != 1 {
			t.Errorf("%d are in the other scenario", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM arrivals`); n != 0 {
			t.Errorf("%d are left before a door", n)
		}
	})
}
