// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const ns = "shop"

var start = time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC)

// order, product and event are what the shop knows, kept beside the database for the evaluation.
type order struct {
	id, customer, status string
	at                   time.Time
	items                []item
}

type item struct{ product, name, category string }

type product struct {
	id, name, category string
	stock              *int64
	created            time.Time
}

type event struct {
	id, customer, product string
	at                    time.Time
}

type shop struct {
	t        *testing.T
	db       *store.Store
	now      time.Time
	orders   map[string]*order
	products map[string]*product
	events   map[string]*event
}

func eachStore(t *testing.T, test func(t *testing.T, s *shop)) {
	t.Helper()
	testenv.Stores(t, func(t *testing.T, dsn string) {
		db, err := store.Open(t.Context(), dsn)
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		must(t, db.Migrate(t.Context()))
		test(t, &shop{t, db, start, map[string]*order{}, map[string]*product{}, map[string]*event{}})
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shop) keeper() *recommend.Keeper {
	return &recommend.Keeper{Store: s.db, Clock: testingclock.NewFakeClock(s.now), Log: logr.Discard(), Wanted: func() []string { return []string{ns} }}
}

func (s *shop) catchUp() {
	s.t.Helper()
	must(s.t, s.keeper().CatchUp(s.t.Context(), ns))
}

func (s *shop) tx(f func(tx *store.Tx) error) {
	s.t.Helper()
	must(s.t, s.db.Tx(s.t.Context(), f))
}

func (s *shop) exec(statement string, args ...any) {
	s.t.Helper()
	_, err := s.db.Exec(s.t.Context(), statement, args...)
	must(s.t, err)
}

// ordered ingests orders in one transaction.
func (s *shop) ordered(orders ...*order) {
	s.t.Helper()
	facts := make([]store.Order, len(orders))
	for i, o := range orders {
		s.orders[o.id] = o
		facts[i] = store.Order{ID: o.id, CustomerID: o.customer, PlacedAt: o.at, Total: money.Unit, Status: store.Value(o.status), HasItems: true}
		for _, it := range o.items {
			line := store.Item{Quantity: 1, Name: store.Value(it.name), ProductID: store.Value(it.product), Category: store.Value(it.category)}
			if it.product == "" {
				line.ProductID = store.None[string]()
			}
			if it.category == "" {
				line.Category = store.None[string]()
			}
			facts[i].Items = append(facts[i].Items, line)
		}
		must(s.t, facts[i].Validate())
	}
	s.tx(func(tx *store.Tx) error {
		_, err := tx.UpsertOrders(s.t.Context(), ns, facts, s.now)
		return err
	})
}

// buys ingests an order, "customer product product", so many days ago.
func (s *shop) buys(days float64, text string) *order {
	s.t.Helper()
	words := strings.Fields(text)
	o := &order{id: fmt.Sprintf("o%d", len(s.orders)), customer: words[0], status: "paid", at: s.now.Add(-time.Duration(days * 24 * float64(time.Hour)))}
	for _, p := range words[1:] {
		o.items = append(o.items, item{product: p})
	}
	s.ordered(o)
	return o
}

func (s *shop) told(products ...*product) {
	s.t.Helper()
	facts := make([]store.Product, len(products))
	for i, p := range products {
		if known := s.products[p.id]; known != nil {
			p.created = known.created
		} else {
			p.created = s.now
		}
		s.products[p.id] = p
		facts[i] = store.Product{ID: p.id, Name: store.Value(p.name), Category: store.None[string](), Stock: store.None[int64]()}
		if p.category != "" {
			facts[i].Category = store.Value(p.category)
		}
		if p.stock != nil {
			facts[i].Stock = store.Value(*p.stock)
		}
	}
	s.tx(func(tx *store.Tx) error {
		_, err := tx.UpsertProducts(s.t.Context(), ns, facts, s.now)
		return err
	})
}

// sells tells of products, "id/category" each, with enough in stock.
func (s *shop) sells(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		id, category, _ := strings.Cut(text, "/")
		s.told(&product{id: id, name: "N" + id, category: category})
	}
}

func (s *shop) views(days float64, customer, of string) {
	s.t.Helper()
	e := &event{fmt.Sprintf("e%d", len(s.events)), customer, of, s.now.Add(-time.Duration(days * 24 * float64(time.Hour)))}
	s.events[e.id] = e
	properties, err := json.Marshal(map[string]string{"product_id": of})
	must(s.t, err)
	s.tx(func(tx *store.Tx) error {
		_, err := tx.UpsertEvents(s.t.Context(), ns, []store.Event{{ID: e.id, CustomerID: customer, Name: "Product Viewed", OccurredAt: e.at, Properties: properties}}, s.now)
		return err
	})
}

// live lets random things happen to the shop, some of them in one transaction.
func (s *shop) live(r *rand.Rand, customers, products int) {
	s.t.Helper()
	s.now = s.now.Add(time.Duration(r.IntN(36*3600)) * time.Second)
	someProduct := func() string { return fmt.Sprintf("p%02d", min(r.IntN(products), r.IntN(products))) }
	someCustomer := func() string { return fmt.Sprintf("c%02d", r.IntN(customers)) }
	someItems := func() (items []item) {
		for range 1 + r.IntN(4) {
			id := someProduct()
			items = append(items, item{id, "ordered " + id, []string{"", "tea", "cup"}[r.IntN(3)]})
		}
		if r.IntN(20) == 0 {
			items = append(items, item{name: "postage"})
		}
		return items
	}
	changed := map[string]*order{}
	for range r.IntN(4) {
		id := fmt.Sprintf("o%04d", len(s.orders)+len(changed))
		changed[id] = &order{id, someCustomer(), "paid", s.now.Add(-time.Duration(r.IntN(80*24*3600)) * time.Second), someItems()}
		if r.IntN(3) == 0 { // a visit in whole days, so that many are at the same moment
			changed[id].at = s.now.Truncate(24 * time.Hour).Add(-time.Duration(r.IntN(60)) * 24 * time.Hour)
		}
	}
	known := slices.Sorted(maps.Keys(s.orders))
	for range min(len(known), r.IntN(3)) {
		o := *s.orders[known[r.IntN(len(known))]]
		switch r.IntN(5) {
		case 0:
			o.status = []string{"refunded", "Cancelled"}[r.IntN(2)]
		case 1:
			o.status = "paid"
		case 2:
			o.customer = someCustomer()
		case 3:
			o.items = someItems()
		case 4:
			o.at = o.at.Add(-time.Duration(r.IntN(20*24)) * time.Hour)
		}
		changed[o.id] = &o
	}
	if len(changed) > 0 {
		s.ordered(slices.SortedFunc(maps.Values(changed), func(a, b *order) int { return cmp.Compare(a.id, b.id) })...)
	}
	if r.IntN(2) == 0 {
		p := &product{id: someProduct(), category: []string{"", "tea", "cup", "pot"}[r.IntN(4)]}
		p.name = "told " + p.id
		if r.IntN(3) > 0 {
			stock := int64(r.IntN(4) - 1)
			p.stock = &stock
		}
		s.told(p)
	}
	for range r.IntN(3) {
		s.views(float64(r.IntN(50)), someCustomer(), someProduct())
	}
}

// dump is what was counted, as text.
func (s *shop) dump() string {
	s.t.Helper()
	var out strings.Builder
	for _, table := range []string{"bought", "pairs", "product_sales"} {
		s.write(&out, table)
	}
	return out.String()
}

func (s *shop) write(out *strings.Builder, table string) {
	s.t.Helper()
	rows, err := s.db.Query(s.t.Context(), `SELECT * FROM `+table+` ORDER BY 1, 2, 3`)
	must(s.t, err)
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	must(s.t, err)
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		must(s.t, rows.Scan(values...))
		out.WriteString(table)
		for i := range values {
			fmt.Fprintf(out, " %v", *values[i].(*any))
		}
		out.WriteByte('\n')
	}
	must(s.t, rows.Err())
}

// anew counts everything anew, and is what that gives.
func (s *shop) anew() string {
	s.t.Helper()
	for _, table := range []string{"bought", "pairs", "product_sales", "recommendations"} {
		s.exec(`DELETE FROM ` + table)
	}
	s.catchUp()
	return s.dump()
}

// same fails where what was counted bit by bit is not what counting everything anew gives.
func (s *shop) same(what string) {
	s.t.Helper()
	kept := s.dump()
	if anew := s.anew(); kept != anew {
		s.t.Fatalf("%s: %s", what, firstDifference(kept, anew))
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d of %d: got %q, want %q", i, len(b), a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a), len(b))
}

// state is that of the shop's row of recommendations.
func (s *shop) state() string {
	s.t.Helper()
	var state string
	must(s.t, s.db.QueryRow(s.t.Context(), `SELECT COALESCE((SELECT state FROM recommendations WHERE ns = $1), '')`, ns).Scan(&state))
	return state
}
