// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/replenish"
	"github.com/kaeru-dev/kaeru/internal/store"
)

type tracked struct{ scope, id string }

// purchase is an order of products, each with its category.
func purchase(id, customer string, day float64, products ...string) store.Order {
	o := store.Order{ID: id, CustomerID: customer, PlacedAt: now.Add(time.Duration(day * 24 * float64(time.Hour))), Total: money.Unit, HasItems: true}
	for _, product := range products {
		category, _, _ := strings.Cut(product, "-")
		o.Items = append(o.Items, store.Item{ProductID: store.Value(product), Category: store.Value(category), Quantity: 1})
	}
	return o
}

func (g tracked) bought(o *store.Order) bool {
	return g.scope == store.ReplenishAny || slices.ContainsFunc(o.Items, func(item store.Item) bool {
		product, _ := item.ProductID.Get()
		category, _ := item.Category.Get()
		return g.scope == store.ReplenishProduct && product == g.id || g.scope == store.ReplenishCategory && category == g.id
	})
}

func priorOf(t *testing.T, s *store.Store, g tracked) (p replenish.Prior) {
	t.Helper()
	var median float64
	must(t, s.QueryRow(t.Context(), `SELECT intervals, median_days, within_variance, k FROM cycles WHERE ns = $1 AND scope = $2 AND id = $3`, shop, g.scope, g.id).
		Scan(&p.Intervals, &median, &p.Within, &p.K))
	if p.Intervals > 0 {
		p.Centre = math.Log(median)
	}
	return p
}

const hour = int64(60 * 60 * 1000)

// replenishments is what the store should hold of a target, by the plainest means.
func (h *history) replenishments(prior replenish.Prior, g tracked, at time.Time) string {
	times := map[string][]int64{}
	for _, o := range h.orders {
		if status, _ := o.Status.Get(); status != "cancelled" && status != "REFUNDED" && g.bought(&o) {
			times[o.CustomerID] = append(times[o.CustomerID], o.PlacedAt.UnixMilli())
		}
	}
	var out strings.Builder
	for _, customer := range slices.Sorted(maps.Keys(times)) {
		of := slices.Sorted(slices.Values(times[customer]))
		purchases, logs := int64(1), 0.0
		for i := 1; i < len(of); i++ {
			if gap := of[i] - of[i-1]; gap >= 24*hour {
				purchases++
				logs += math.Log(float64(gap) / float64(24*hour))
			}
		}
		last := of[len(of)-1]
		missed, due, confidence := int64(-1), "-", "-"
		if p, ok := prior.Predict(replenish.History{Purchases: purchases, LastAt: last, LogSum: logs}, at.UnixMilli()); ok {
			missed, due, confidence = p.Missed, fmt.Sprint(p.DueAt/1000), fmt.Sprintf("%.6f", p.Confidence)
		}
		fmt.Fprintf(&out, "%s|%d|%d|%.6f|%d|%s|%s\n", customer, purchases, last, logs, missed, due, confidence)
	}
	return out.String()
}

// predictions is the same as the store has it.
func predictions(t *testing.T, s *store.Store, g tracked) string {
	t.Helper()
	rows, err := s.Query(t.Context(), `SELECT customer_id, purchases, last_at, log_sum, missed, due_at, confidence FROM replenishments
		WHERE ns = $1 AND scope = $2 AND id = $3 ORDER BY customer_id`, shop, g.scope, g.id)
	must(t, err)
	defer func() { must(t, rows.Close()) }()
	var out strings.Builder
	for rows.Next() {
		var customer string
		var purchases, last, missed int64
		var logs float64
		var due store.Field[int64]
		var confidence store.Field[float64]
		must(t, rows.Scan(&customer, &purchases, &last, &logs, &missed, &due, &confidence))
		dueText, confidenceText := "-", "-"
		if at, ok := due.Get(); ok {
			dueText = fmt.Sprint(at / 1000)
		}
		if c, ok := confidence.Get(); ok {
			confidenceText = fmt.Sprintf("%.6f", c)
		}
		fmt.Fprintf(&out, "%s|%d|%d|%.6f|%d|%s|%s\n", customer, purchases, last, logs, missed, dueText, confidenceText)
	}
	must(t, rows.Err())
	return out.String()
}

func wantChecked(t *testing.T, s *store.Store, want int64) {
	t.Helper()
	if wrong, err := s.CheckMetrics(t.Context(), shop); wrong != want || err != nil {
		t.Errorf("the check finds %d wrong, want %d, %v", wrong, want, err)
	}
}

var products = []string{"tea-green", "tea-black", "cup-1", "cup-2", "rare-1"}

// randomPurchase is of a few customers in the 300 days before now, by whole hours, so that some are at
// one time and some are exactly a day apart. Some say nothing of their items.
func randomPurchase(r *rand.Rand, ids int) store.Order {
	o := purchase(fmt.Sprintf("o%d", r.IntN(ids)), fmt.Sprintf("c%02d", r.IntN(12)), -float64(r.IntN(300*24))/24)
	o.Status = store.Value([]string{"paid", "paid", "", "cancelled", "REFUNDED"}[r.IntN(5)])
	for range r.IntN(3) {
		o.Items = append(o.Items, purchase("", "", 0, products[min(r.IntN(9), 4)]).Items...)
	}
	o.HasItems = r.IntN(4) > 0
	if !o.HasItems {
		o.Items = nil
	}
	return o
}

// add keeps an order as the store does.
func (h *history) add(o store.Order) {
	if !o.HasItems {
		o.Items = h.orders[o.ID].Items
	}
	h.orders[o.ID] = o
}

func TestReplenishmentsRandom(t *testing.T) {
	later := []tracked{{"category", "cup"}, {"product", "rare-1"}, {"product", "nothing"}}
	stores(t, func(t *testing.T, s *store.Store) {
		for seed := range uint64(3) {
			for _, table := range []string{"orders", "order_items", "metrics", "tracked", "tracking", "cycles", "replenishments"} {
				_, err := s.Exec(t.Context(), `DELETE FROM `+table)
				must(t, err)
			}
			r := rand.New(rand.NewPCG(seed, 3))
			want := history{orders: map[string]store.Order{}}
			batch := func(count int) {
				orders := make([]store.Order, count)
				for i := range orders {
					orders[i] = randomPurchase(r, 250)
					want.add(orders[i])
				}
				upsertOrders(t, s, now, orders...)
			}
			batch(150)
			targets := []tracked{{"any", ""}, {"category", "tea"}, {"product", "tea-green"}}
			for _, g := range targets {
				must(t, s.TrackReplenishment(t.Context(), shop, g.scope, g.id, now))
			}
			for round := range 25 {
				if round == 10 {
					for _, g := range later {
						must(t, s.TrackReplenishment(t.Context(), shop, g.scope, g.id, now))
					}
					targets = append(targets, later...)
				}
				batch(1 + r.IntN(15))
				for _, g := range targets {
					expect(t, fmt.Sprintf("predictions of %v, seed %d, round %d", g, seed, round), predictions(t, s, g), want.replenishments(priorOf(t, s, g), g, now))
				}
				wantChecked(t, s, 0)
				if t.Failed() {
					t.FailNow()
				}
			}
			_, err := s.Exec(t.Context(), `UPDATE replenishments SET due_at = due_at + 90000 WHERE scope = 'any' AND customer_id IN ('c01', 'c02')`)
			must(t, err)
			_, err = s.Exec(t.Context(), `DELETE FROM replenishments WHERE scope = 'any' AND customer_id = 'c03'`)
			must(t, err)
			_, err = s.Exec(t.Context(), `UPDATE replenishments SET customer_id = 'c99' WHERE scope = 'category' AND id = 'tea' AND customer_id = 'c04'`)
			must(t, err)
			wantChecked(t, s, 5)
			_, err = s.Exec(t.Context(), `INSERT INTO customers (ns, id, attributes, created_at, updated_at) VALUES ('shop', 'c99', '{}', 0, 0) ON CONFLICT DO NOTHING`)
			must(t, err)
			must(t, s.RebuildMetrics(t.Context(), shop))
			wantChecked(t, s, 0)
			_, err = s.RefreshCycles(t.Context(), shop, now) // those rebuilt from nothing may be overdue
			must(t, err)
			for _, g := range targets {
				expect(t, fmt.Sprintf("rebuilt predictions of %v", g), predictions(t, s, g), want.replenishments(priorOf(t, s, g), g, now))
			}
		}
	})
}

// TestTrackWhileIngesting lets several write orders while others begin to track.
func TestTrackWhileIngesting(t *testing.T) {
	targets := []tracked{{"any", ""}, {"category", "tea"}, {"product", "cup-1"}}
	stores(t, func(t *testing.T, s *store.Store) {
		var wg sync.WaitGroup
		for worker := range uint64(3) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(worker, 4))
				for range 25 {
					batch := make([]store.Order, 12)
					for i := range batch {
						batch[i] = randomPurchase(r, 600)
						batch[i].CustomerID = fmt.Sprintf("c%03d", r.IntN(150)) // many are new
					}
					upsertOrders(t, s, now, batch...)
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				for _, g := range targets {
					if err := s.TrackReplenishment(t.Context(), shop, g.scope, g.id, now); err != nil {
						t.Error(err)
					}
				}
				if _, err := s.RefreshCycles(t.Context(), shop, now); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Go(func() { must(t, s.RebuildMetrics(t.Context(), shop)) })
		wg.Wait()
		wantChecked(t, s, 0)
		var rows, customers int64
		must(t, s.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM replenishments WHERE scope = 'any'), (SELECT count(*) FROM metrics WHERE orders > 0)`).Scan(&rows, &customers))
		if rows != customers || rows == 0 {
			t.Errorf("%d of %d customers have a prediction", rows, customers)
		}
	})
}

// TestTrackWaitsForOpenTransactions: a new customer's order that was written before, and is committed
// after tracking began, is in no list that a backfill could read.
func TestTrackWaitsForOpenTransactions(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		upsertOrders(t, s, now, purchase("1", "old", -9, "tea-green"))
		done := make(chan error, 1)
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.UpsertOrders(t.Context(), shop, []store.Order{purchase("2", "new", -5, "tea-green")}, now); err != nil {
				return err
			}
			go func() { done <- s.TrackReplenishment(t.Context(), shop, "category", "tea", now) }()
			select {
			case err := <-done:
				return errors.Join(errors.New("tracking did not wait"), err)
			case <-time.After(200 * time.Millisecond):
				return nil
			}
		}))
		must(t, <-done)
		expect(t, "who has bought tea", dump(t, s, `SELECT customer_id, purchases FROM replenishments ORDER BY customer_id`), "new|1\nold|1\n")
	})
}
