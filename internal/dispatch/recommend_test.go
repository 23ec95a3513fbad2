// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/intstr"
	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// stocked makes products p1, p2, ….
func (f *fixture) stocked(stocks ...int64) {
	f.Helper()
	var products []store.Product
	for i, stock := range stocks {
		id := fmt.Sprintf("p%d", i+1)
		products = append(products, store.Product{ID: id, Name: store.Value("Tea " + id), Category: store.Value("tea"),
			Price: store.Value(money.Amount(i+1) * money.Unit), Stock: store.Value(stock)})
	}
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertProducts(f.Context(), "shop", products, f.clock.Now())
		return err
	}))
}

func (f *fixture) bought(customer string, products ...string) {
	f.Helper()
	o := store.Order{ID: "o-" + customer, CustomerID: customer, PlacedAt: monday.Add(-time.Hour), Total: money.Unit, HasItems: true}
	for _, p := range products {
		o.Items = append(o.Items, store.Item{ProductID: store.Value(p), Quantity: 1})
	}
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertOrders(f.Context(), "shop", []store.Order{o}, f.clock.Now())
		return err
	}))
}

// texts are what the provider takes, by customer.
func (f *fixture) texts() func() map[string]string {
	var mu sync.Mutex
	said := map[string]string{}
	f.provider.script = func(m *channel.Message, _ int) step {
		mu.Lock()
		defer mu.Unlock()
		if m.Email != nil {
			said[m.Customer] = m.Email.Text
		}
		return step{out: channel.Outcome{End: channel.Sent}}
	}
	return func() map[string]string {
		mu.Lock()
		defer mu.Unlock()
		return said
	}
}

// TestRecommendations go into messages once the shop's orders are counted; until then those messages wait.
func TestRecommendations(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		f.stocked(5, 5, 0, 5)
		for i := range 3 {
			f.bought(fmt.Sprintf("c%05d", i), "p1", "p2", "p3")
		}
		f.bought("c00003", "p1", "p4")
		said := f.texts()
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "recommend": {"strategy": "BoughtTogether", "limit": 2},
			"text": "{% for p in recommendations %}{{ p.name }} {{ p.price }} ({{ p.reason }}) {% endfor %}"}}]`))
		f.plan(e)
		for range 3 {
			f.expire()
			f.ok(e.tick(t.Context()))
			time.Sleep(20 * time.Millisecond)
		}
		if got := len(said()); got != 0 {
			t.Fatalf("%d were sent before the orders were counted", got)
		}
		if got := e.Recommending(); len(got) != 1 || got[0] != "shop" {
			t.Errorf("recommendations are wanted for %v", got)
		}
		keeper := &recommend.Keeper{Store: f.st, Clock: clocktesting.NewFakeClock(monday), Log: logr.Discard(), Wanted: e.Recommending}
		f.ok(keeper.CatchUp(t.Context(), "shop"))
		f.finish(e)
		f.want("sent:4;")
		// p3 is sold out, and what they have is not recommended.
		if got := said()["c00003"]; !strings.HasPrefix(got, `Tea p2 2 (`) || strings.Contains(got, "p1 ") || strings.Contains(got, "p3") {
			t.Errorf("c00003 is recommended %q", got)
		}
		if got := said()["c00000"]; !strings.HasPrefix(got, "Tea p4 4 (") {
			t.Errorf("c00000 is recommended %q", got)
		}
	})
	f := newFixture(t, testenv.SQLite(t))
	if err := f.refused(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{{ recommendations[0].name }}"}}]`); err == nil || !strings.Contains(err.Error(), "spec.steps[0].email: reads recommendations, and there are none: set recommend") {
		t.Errorf("it is taken, with %v", err)
	}
}

// TestEntryProduct is the product that let in, as it is when a condition or a template reads it.
func TestEntryProduct(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		f.stocked(5, 7)
		said := f.texts()
		e := f.engine()
		f.ok(e.Arm(t.Context(), f.anybody(f.armed(`[{"name": "a", "wait": {"for": "1h"}, "if": "entry.product.stock > 0",
			"email": {"channel": "mail", "subject": "s", "text": "{{ entry.product.name }}, {{ entry.product.stock }} left"}}]`, on("Product Added", nil)))))
		event := func(id, customer, properties string) store.Event {
			return store.Event{ID: id, CustomerID: customer, Name: "Product Added", OccurredAt: monday, Properties: []byte(properties)}
		}
		f.happen(event("e0", "c00000", `{"product_id": "p1"}`), event("e1", "c00001", `{"products": [{"product_id": "p2"}, {"product_id": "p1"}]}`),
			event("e2", "c00002", `{"product_id": "unknown"}`), event("e3", "c00003", `{"product_id": "p1"}`))
		f.ok(e.tick(t.Context()))
		f.stocked(3, 7)
		f.clock.SetTime(monday.Add(time.Hour))
		f.finish(e)
		f.want("sent:3;skipped ConditionFalse:1;")
		for customer, want := range map[string]string{"c00000": "Tea p1, 3 left", "c00001": "Tea p2, 7 left", "c00003": "Tea p1, 3 left"} {
			if got := said()[customer]; got != want {
				t.Errorf("%s was told %q, want %q", customer, got, want)
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM enrolments WHERE CAST(facts AS TEXT) LIKE '%Tea%'`); n > 0 {
			t.Errorf("%d entries have kept the product", n)
		}
	})
}

// TestPricesOfRecommendations counts the parts of a text with what is recommended in it.
func TestPricesOfRecommendations(t *testing.T) {
	f := newFixture(t, testenv.SQLite(t))
	f.customers(3)
	f.stocked(5)
	f.exec(`UPDATE customers SET phone = '+8190' || id`)
	f.exec(`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) SELECT 'shop', id, 'sms', 'granted', 'test', 0 FROM customers`)
	ch := f.channel("sms")
	ch.Price = 10 * money.Unit
	f.channels.Put(Ref{"shop", "sms"}, ch)
	keeper := &recommend.Keeper{Store: f.st, Clock: clocktesting.NewFakeClock(monday), Log: logr.Discard(), Wanted: func() []string { return []string{"shop"} }}
	f.bought("c00000", "p0")
	f.ok(keeper.CatchUp(t.Context(), "shop"))
	text := strings.Repeat("{{ recommendations[0].name }} ", 40)
	e := f.engine()
	f.fire(e, f.armed(`[{"name": "a", "sms": {"channel": "sms", "text": "`+text+`", "recommend": {"strategy": "NewArrivals", "limit": 1}}}]`,
		guardedBy(crm.Guardrails{Budget: &crm.Budget{Amount: intstr.FromInt32(50), Currency: "JPY", Per: "1d"}})))
	f.ticks(e, 3)
	if got := f.last(e); !strings.HasPrefix(got, "held 60 for 3 recipients") {
		t.Errorf("the run is %q", got)
	}
}
