// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// printed is all rows of a table, made in the order that order gives.
func printed(s *shop, name string, order func(n, of int) int) map[int]uint64 {
	out := map[int]uint64{}
	for _, t := range s.tables() {
		if t.name != name {
			continue
		}
		m := s.maker()
		for i := range t.numbers {
			n := order(i, t.numbers)
			hash := fnv.New64()
			t.rows(m, n, func(row ...any) { fmt.Fprintln(hash, row...) })
			out[n] = hash.Sum64()
		}
	}
	return out
}

func TestRowsDependOnSeedAndNumberAlone(t *testing.T) {
	forward := func(n, _ int) int { return n }
	backward := func(n, of int) int { return of - 1 - n }
	for _, table := range (&shop{customers: 1}).tables() {
		t.Run(table.name, func(t *testing.T) {
			one, two := printed(&shop{300, 1}, table.name, forward), printed(&shop{300, 1}, table.name, backward)
			other := printed(&shop{300, 2}, table.name, forward)
			if len(one) == 0 {
				t.Fatal("there are no rows")
			}
			same := 0
			for n, hash := range one {
				if two[n] != hash {
					t.Fatalf("row %d differs when rows are made in another order", n)
				}
				if other[n] == hash {
					same++
				}
			}
			fixed := table.name == "products" || table.name == "suppressions"
			if !fixed && same == len(one) {
				t.Error("another seed makes the same rows")
			}
		})
	}
}

// TestShopIsRealistic holds the shares that the questions rely on.
func TestShopIsRealistic(t *testing.T) {
	s := &shop{customers: 2000, seed: 1}
	m := s.maker()
	orders, counted, items := make([]int, s.customers), 0, 0
	var last time.Time
	for n := range s.orders() {
		o := m.orderNumber(n)
		orders[o.customer]++
		counted += int(o.counted())
		items += len(o.items)
		if o.at.Before(last) || o.at.After(today) || o.at.Before(today.Add(-history)) {
			t.Fatalf("order %d is of %v, after one of %v", n, o.at, last)
		}
		last = o.at
	}
	never, most := 0, 0
	for _, n := range orders {
		if n == 0 {
			never++
		}
		most = max(most, n)
	}
	names := map[string]int{}
	for n := range s.events() {
		e := m.eventNumber(n)
		names[e.name]++
		if e.at.After(today) {
			t.Fatalf("event %d is of %v", n, e.at)
		}
	}
	for what, share := range map[string]struct{ got, least, most float64 }{
		"never ordered":      {float64(never) / float64(s.customers), 0.15, 0.30},
		"most orders of one": {float64(most), 20, 200},
		"counted orders":     {float64(counted) / float64(s.orders()), 0.95, 0.99},
		"items an order":     {float64(items) / float64(s.orders()), 1.8, 2.2},
		"views":              {float64(names[viewed]) / float64(s.events()), 0.5, 0.65},
		"removed wishes":     {float64(names[unwished]) / float64(s.events()), 0.005, 0.015},
	} {
		if share.got < share.least || share.got > share.most {
			t.Errorf("%s: %v, want from %v to %v", what, share.got, share.least, share.most)
		}
	}
}

func TestChurnTouchesEachCustomerOnce(t *testing.T) {
	for _, customers := range []int{100, 1000, 50_000} {
		c := &churn{(&shop{customers: customers, seed: 1}).maker(), 15 * time.Minute, 1}
		buying, looking := map[int]bool{}, map[int]bool{}
		for n := range c.size() {
			o, e := orderFact(c.order(n)), eventFact(c.event(n))
			if err := o.Validate(); err != nil {
				t.Fatal(err)
			}
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			buying[c.maker.order.customer], looking[c.maker.event.customer] = true, true
			for _, at := range []time.Time{o.PlacedAt, e.OccurredAt} {
				if at.Before(c.begin()) || at.After(c.end()) {
					t.Fatalf("%v is not from %v until %v", at, c.begin(), c.end())
				}
			}
		}
		if len(buying) != max(customers/200, 1) || len(looking) != max(customers/200, 1) {
			t.Errorf("of %d customers, %d buy and %d look around", customers, len(buying), len(looking))
		}
	}
}

func TestQuestions(t *testing.T) {
	asked, err := questions()
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 50 {
		t.Errorf("there are %d segments, want 50", len(asked))
	}
	names, kinds := map[string]bool{}, 0
	for i := range asked {
		q := &asked[i]
		if names[q.name] {
			t.Errorf("two segments are called %s", q.name)
		}
		names[q.name] = true
		if q.first {
			kinds++
		}
		for _, dialect := range []store.Dialect{store.Postgres, store.SQLite} {
			for _, templates := range [][]string{q.kind.Base, q.kind.Metrics} {
				if ways, err := q.statements(templates, today, dialect); err != nil || len(ways) == 0 {
					t.Errorf("%s on %s: %d statements, %v", q.name, dialect, len(ways), err)
				}
			}
		}
	}
	if kinds < 12 {
		t.Errorf("there are %d kinds, want at least 12", kinds)
	}
}

func TestSummarize(t *testing.T) {
	if got := summarize([]float64{1, 4}); got.N != 2 || got.Largest != 4 || got.Mean != 2 {
		t.Errorf("got %+v", got)
	}
}
