// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const benchmarkBatch = 5000

// benchmarkOrders is a batch of a shop where a customer orders some ten times, each time of three
// categories in turn. Orders of one number have the same id.
func benchmarkOrders(batch, customers int) []store.Order {
	orders := make([]store.Order, benchmarkBatch)
	for i := range orders {
		n := batch*benchmarkBatch + i
		customer := n * 2654435761 % customers
		orders[i] = purchase(fmt.Sprintf("o%09d", n), fmt.Sprintf("c%07d", customer), float64(n)*30/float64(customers)-295,
			[]string{"tea-1", "cup-1", "pot-1"}[n/customers%3])
	}
	return orders
}

func benchmarkStores(b *testing.B, run func(b *testing.B, s *store.Store)) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(b.Context(), dsn(b))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Migrate(b.Context()); err != nil {
				b.Fatal(err)
			}
			run(b, s)
		})
	}
}

func benchmarkUpsert(b *testing.B, s *store.Store, orders []store.Order) {
	err := s.Tx(b.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertOrders(b.Context(), shop, orders, now)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkUpsertOrders ingests batches of 5,000 orders: go test -run '^$' -bench UpsertOrders -benchtime 10x
func BenchmarkUpsertOrders(b *testing.B) {
	const customers = 10_000
	for _, targets := range [][]tracked{nil, {{"category", "tea"}}, {{"category", "tea"}, {"category", "cup"}, {"any", ""}}} {
		b.Run(fmt.Sprintf("tracked=%d", len(targets)), func(b *testing.B) {
			benchmarkStores(b, func(b *testing.B, s *store.Store) {
				const before = 10
				for batch := range before {
					benchmarkUpsert(b, s, benchmarkOrders(batch, customers))
				}
				for _, g := range targets {
					if err := s.TrackReplenishment(b.Context(), shop, g.scope, g.id, now); err != nil {
						b.Fatal(err)
					}
				}
				// So that the planner knows the tables, as it does of any shop that is a minute old.
				if _, err := s.Exec(b.Context(), `ANALYZE`); err != nil {
					b.Fatal(err)
				}
				batch := before
				for b.Loop() {
					b.StopTimer()
					orders := benchmarkOrders(batch, customers)
					batch++
					b.StartTimer()
					benchmarkUpsert(b, s, orders)
				}
			})
		})
	}
}

// BenchmarkTrack begins to track in a shop with b.N orders, and refreshes:
// go test -run '^$' -bench Track -benchtime 500000x
func BenchmarkTrack(b *testing.B) {
	benchmarkStores(b, func(b *testing.B, s *store.Store) {
		for batch := range b.N / benchmarkBatch {
			benchmarkUpsert(b, s, benchmarkOrders(batch, b.N/10))
		}
		for _, g := range []tracked{{"any", ""}, {"category", "tea"}} {
			start := time.Now()
			if err := s.TrackReplenishment(b.Context(), shop, g.scope, g.id, now); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(start).Seconds(), "s-track-"+g.scope)
		}
		for _, at := range []time.Time{now, now.Add(6 * day)} {
			start := time.Now()
			changed, err := s.RefreshCycles(b.Context(), shop, at)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(start).Seconds(), fmt.Sprintf("s-refresh-%d-dates", changed))
		}
	})
}
