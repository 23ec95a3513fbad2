// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const shop = "shop"

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func upsertOrders(t *testing.T, s *store.Store, at time.Time, orders ...store.Order) (counts store.Counts) {
	t.Helper()
	for i := range orders {
		if err := orders[i].Validate(); err != nil {
			t.Error(err)
		}
	}
	err := s.Tx(t.Context(), func(tx *store.Tx) (err error) {
		counts, err = tx.UpsertOrders(t.Context(), shop, orders, at)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return counts
}

// dump is what a query gives, a line a row.
func dump(t *testing.T, s *store.Store, query string, args ...any) string {
	t.Helper()
	rows, err := s.Query(t.Context(), query, args...)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	columns, err := rows.Columns()
	must(t, err)
	var out strings.Builder
	for rows.Next() {
		values, pointers := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		must(t, rows.Scan(pointers...))
		for i, v := range values {
			if i > 0 {
				out.WriteByte('|')
			}
			if v.Valid {
				out.WriteString(v.String)
			} else {
				out.WriteByte('-')
			}
		}
		out.WriteByte('\n')
	}
	must(t, rows.Err())
	return out.String()
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%swant:\n%s", what, got, want)
	}
}

func TestOrders(t *testing.T) {
	const (
		orders  = `SELECT id, customer_id, placed_at, total, currency, status, counted, received_at FROM orders ORDER BY id`
		items   = `SELECT order_id, line, customer_id, product_id, quantity, price FROM order_items ORDER BY order_id, line`
		metrics = `SELECT customer_id, orders, spend, first_order_at, last_order_at, previous_order_at FROM metrics ORDER BY customer_id`
	)
	at := func(day int) time.Time { return time.UnixMilli(int64(day)) }
	order := func(id, customer string, day int, total money.Amount, status string) store.Order {
		return store.Order{ID: id, CustomerID: customer, PlacedAt: at(day), Total: total, Status: store.Value(status), Currency: store.Value("JPY")}
	}
	stores(t, func(t *testing.T, s *store.Store) {
		first := []store.Order{order("1", "ann", 10, 100, "paid"), order("2", "ann", 30, 50, "paid"), order("3", "bob", 20, 7, "Cancelled")}
		first[0].Items = []store.Item{{ProductID: store.Value("tea"), Quantity: 2, Price: store.Value[money.Amount](50)}, {Quantity: 1}}
		first[0].HasItems = true
		if got := upsertOrders(t, s, at(100), first...); got != (store.Counts{New: 3}) {
			t.Errorf("counts %+v", got)
		}
		expect(t, "metrics", dump(t, s, metrics), "ann|2|150|10|30|10\nbob|0|0|-|-|-\n")
		expect(t, "stub customers", dump(t, s, `SELECT id, email, attributes FROM customers ORDER BY id`), "ann|-|{}\nbob|-|{}\n")

		if got := upsertOrders(t, s, at(200), first...); got != (store.Counts{Unchanged: 3}) {
			t.Errorf("the same again: counts %+v", got)
		}
		// 2 moves to bob and is refunded there; 1 says nothing of its items or currency; 4 comes twice.
		moved := order("2", "bob", 30, 50, "refunded")
		partial := store.Order{ID: "1", CustomerID: "ann", PlacedAt: at(11), Total: 100}
		if got := upsertOrders(t, s, at(300), moved, partial, order("4", "bob", 5, 1, ""), order("4", "bob", 5, 2, "")); got != (store.Counts{New: 1, Changed: 3}) {
			t.Errorf("counts %+v", got)
		}
		expect(t, "orders", dump(t, s, orders), "1|ann|11|100|JPY|paid|1|300\n2|bob|30|50|JPY|refunded|0|300\n3|bob|20|7|JPY|Cancelled|0|100\n4|bob|5|2|JPY||1|300\n")
		expect(t, "items", dump(t, s, items), "1|0|ann|tea|2|50\n1|1|ann|-|1|-\n")
		expect(t, "metrics", dump(t, s, metrics), "ann|1|100|11|11|-\nbob|1|2|5|5|-\n")

		// With her last order ann's row goes too; her items become bob's.
		partial.CustomerID = "bob"
		upsertOrders(t, s, at(400), partial)
		expect(t, "metrics", dump(t, s, metrics), "bob|2|102|5|11|5\n")
		expect(t, "items", dump(t, s, items), "1|0|bob|tea|2|50\n1|1|bob|-|1|-\n")
		partial.HasItems = true
		upsertOrders(t, s, at(500), partial)
		expect(t, "items", dump(t, s, items), "")
	})
}

// history keeps what the store should hold, by the plainest means.
type history struct {
	orders map[string]store.Order
}

func (h *history) metrics() string {
	type order struct{ at, total int64 }
	counted, seen := map[string][]order{}, map[string]bool{}
	for _, o := range h.orders {
		seen[o.CustomerID] = true
		if status, _ := o.Status.Get(); status != "cancelled" && status != "REFUNDED" {
			counted[o.CustomerID] = append(counted[o.CustomerID], order{o.PlacedAt.UnixMilli(), int64(o.Total)})
		}
	}
	var lines []string
	for customer := range seen {
		orders := counted[customer]
		slices.SortFunc(orders, func(a, b order) int { return int(a.at - b.at) })
		spend, at := int64(0), []string{"-", "-", "-"}
		for _, o := range orders {
			spend += o.total
		}
		if n := len(orders); n > 0 {
			at[0], at[1] = fmt.Sprint(orders[0].at), fmt.Sprint(orders[n-1].at)
			if n > 1 {
				at[2] = fmt.Sprint(orders[n-2].at)
			}
		}
		lines = append(lines, fmt.Sprintf("%s|%d|%d|%s\n", customer, len(orders), spend, strings.Join(at, "|")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func randomOrder(r *rand.Rand, ids int) store.Order {
	return store.Order{
		ID: fmt.Sprintf("o%d", r.IntN(ids)), CustomerID: fmt.Sprintf("c%02d", r.IntN(12)),
		PlacedAt: time.UnixMilli(r.Int64N(40)), Total: money.Amount(r.IntN(1000) - 10),
		Status: store.Value([]string{"paid", "cancelled", "REFUNDED", ""}[r.IntN(4)]),
	}
}

const allMetrics = `SELECT customer_id, orders, spend, first_order_at, last_order_at, previous_order_at FROM metrics WHERE ns = 'shop' ORDER BY customer_id`

func TestMetricsRandom(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for seed := range uint64(3) {
			_, err := s.Exec(ctx, `DELETE FROM orders`)
			must(t, err)
			must(t, s.RebuildMetrics(ctx, shop)) // of no orders: none
			r := rand.New(rand.NewPCG(seed, 1))
			want := history{orders: map[string]store.Order{}}
			for range 30 {
				batch := make([]store.Order, 1+r.IntN(30))
				for i := range batch {
					batch[i] = randomOrder(r, 60)
					want.orders[batch[i].ID] = batch[i]
				}
				upsertOrders(t, s, now, batch...)
				expect(t, fmt.Sprintf("metrics of seed %d", seed), dump(t, s, allMetrics), want.metrics())
				if t.Failed() {
					t.FailNow()
				}
			}
			if wrong, err := s.CheckMetrics(ctx, shop); wrong != 0 || err != nil {
				t.Errorf("%d customers have wrong metrics, %v", wrong, err)
			}
			_, err = s.Exec(ctx, `UPDATE metrics SET spend = spend + 1 WHERE customer_id = 'c01' OR customer_id = 'c02'`)
			must(t, err)
			_, err = s.Exec(ctx, `DELETE FROM metrics WHERE customer_id = 'c03'`)
			must(t, err)
			if wrong, err := s.CheckMetrics(ctx, shop); wrong != 3 || err != nil {
				t.Errorf("the check finds %d of 3 wrong, %v", wrong, err)
			}
			must(t, s.RebuildMetrics(ctx, shop))
			expect(t, "rebuilt metrics", dump(t, s, allMetrics), want.metrics())
		}
	})
}

// TestMetricsConcurrent lets several write orders of the same customers and the same orders at once.
func TestMetricsConcurrent(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for worker := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(worker, 2))
				for range 15 {
					batch := make([]store.Order, 20)
					for i := range batch {
						batch[i] = randomOrder(r, 300)
					}
					upsertOrders(t, s, now, batch...)
				}
			})
		}
		wg.Go(func() { must(t, s.RebuildMetrics(t.Context(), shop)) })
		wg.Wait()
		if wrong, err := s.CheckMetrics(t.Context(), shop); wrong != 0 || err != nil {
			t.Errorf("%d customers have wrong metrics, %v", wrong, err)
		}
	})
}
