// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// catalogue is how many products a shop of the benchmark sells, in forty categories. How often they are bought falls
// as their rank grows, and a customer keeps to a few categories.
const catalogue = 5000

type market struct {
	r    *rand.Rand
	zipf *rand.Zipf
	n    int
}

func newMarket() *market {
	r := rand.New(rand.NewPCG(1, 1))
	return &market{r: r, zipf: rand.NewZipf(r, 1.1, 10, catalogue/40-1)}
}

// order is one of one to five products, on any of the last 400 days.
func (m *market) order(customer int, now time.Time) store.Order {
	m.n++
	o := store.Order{ID: fmt.Sprintf("o%08d", m.n), CustomerID: fmt.Sprintf("c%07d", customer), Total: 30 * money.Unit, HasItems: true,
		PlacedAt: now.Add(-time.Duration(m.r.Float64() * 400 * 24 * float64(time.Hour))), Status: store.Value("paid")}
	for range 1 + m.r.IntN(5) {
		category := (customer*7 + int(math.Abs(m.r.NormFloat64())*3)) % 40
		id := int(m.zipf.Uint64())*40 + category
		o.Items = append(o.Items, store.Item{ProductID: store.Value(fmt.Sprintf("p%05d", id)), Quantity: 1,
			Name: store.None[string](), Category: store.Value(fmt.Sprintf("k%02d", category)), Price: store.None[money.Amount]()})
	}
	return o
}

func (m *market) ingest(b *testing.B, db *store.Store, orders []store.Order, now time.Time) {
	b.Helper()
	for len(orders) > 0 {
		batch := orders[:min(len(orders), 5000)]
		orders = orders[len(batch):]
		if err := db.Tx(b.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertOrders(b.Context(), ns, batch, now)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func (m *market) products(b *testing.B, db *store.Store, now time.Time) {
	b.Helper()
	products := make([]store.Product, catalogue)
	for i := range products {
		products[i] = store.Product{ID: fmt.Sprintf("p%05d", i), Name: store.Value(fmt.Sprintf("Product %d", i)), Category: store.Value(fmt.Sprintf("k%02d", i%40))}
	}
	if err := db.Tx(b.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertProducts(b.Context(), ns, products, now)
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

// views are two a customer.
func (m *market) views(b *testing.B, db *store.Store, customers int, now time.Time) {
	b.Helper()
	for from := 0; from < 2*customers; from += 5000 {
		var events []store.Event
		for i := from; i < min(from+5000, 2*customers); i++ {
			events = append(events, store.Event{ID: fmt.Sprintf("e%08d", i), CustomerID: fmt.Sprintf("c%07d", i%customers), Name: "Product Viewed",
				OccurredAt: now.Add(-time.Duration(m.r.Float64() * 60 * 24 * float64(time.Hour))), Properties: []byte(fmt.Sprintf(`{"product_id":"p%05d"}`, m.r.IntN(catalogue)))})
		}
		if err := db.Tx(b.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertEvents(b.Context(), ns, events, now)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkShop tells how long the first walk of a shop with five orders a customer takes, a pass after one in a
// hundred customers ordered, a walk that finds nothing, and recommendations for 200 customers:
// go test -run '^$' -bench Shop -benchtime 1x, with KAERU_BENCH_CUSTOMERS for another size than 20,000.
func BenchmarkShop(b *testing.B) {
	customers := 20_000
	if n, err := strconv.Atoi(os.Getenv("KAERU_BENCH_CUSTOMERS")); err == nil {
		customers = n
	}
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			db, err := store.Open(b.Context(), dsn(b))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if err := db.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			benchmarkShop(b, db, customers)
		})
	}
}

func benchmarkShop(b *testing.B, db *store.Store, customers int) {
	m, now := newMarket(), start
	m.products(b, db, now)
	orders := make([]store.Order, 0, 5*customers)
	for i := range 5 * customers {
		orders = append(orders, m.order(i%customers, now))
	}
	m.ingest(b, db, orders, now)
	m.views(b, db, customers, now)
	exec(b, db, `ANALYZE`)
	k := &recommend.Keeper{Store: db, Clock: testingclock.NewFakeClock(now), Log: logr.Discard()}
	timed := func(b *testing.B, before func()) {
		var longest time.Duration
		for b.Loop() {
			b.StopTimer()
			before()
			b.StartTimer()
			for more := true; more; {
				began := clock.Real().Now()
				var err error
				if more, err = k.Step(b.Context(), ns); err != nil {
					b.Fatal(err)
				}
				longest = max(longest, clock.Real().Since(began))
			}
		}
		b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
	}
	b.Run("first", func(b *testing.B) {
		timed(b, func() {
			for _, table := range []string{"bought", "pairs", "product_sales", "recommendations"} {
				exec(b, db, `DELETE FROM `+table)
			}
		})
		for _, table := range []string{"bought", "pairs"} {
			var rows float64
			if err := db.QueryRow(b.Context(), `SELECT COUNT(*) FROM `+table).Scan(&rows); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(rows, table)
		}
	})
	exec(b, db, `ANALYZE`)
	b.Run("churn", func(b *testing.B) {
		timed(b, func() {
			var more []store.Order
			for range customers / 100 {
				more = append(more, m.order(m.r.IntN(customers), now))
			}
			m.ingest(b, db, more, now)
		})
	})
	b.Run("again", func(b *testing.B) {
		timed(b, func() { exec(b, db, `UPDATE recommendations SET state = 'again', after = ''`) })
	})
	for _, strategy := range recommend.Strategies {
		b.Run("for="+strategy, func(b *testing.B) {
			for b.Loop() {
				ids := make([]string, 200)
				for i := range ids {
					ids[i] = fmt.Sprintf("c%07d", m.r.IntN(customers))
				}
				if _, err := recommend.For(b.Context(), db, ns, strategy, 3, ids, recommend.Options{Now: now, Language: "ja"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func exec(b *testing.B, db *store.Store, statement string) {
	b.Helper()
	if _, err := db.Exec(b.Context(), statement); err != nil {
		b.Fatal(err)
	}
}
