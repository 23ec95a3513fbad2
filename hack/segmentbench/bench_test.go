// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func smallBench(t *testing.T, dsn string) *bench {
	t.Helper()
	s := &shop{customers: 600, seed: 7}
	p := &progress{w: t.Output()}
	db, err := open(t.Context(), dsn, s, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	asked, err := questions()
	if err != nil {
		t.Fatal(err)
	}
	clock := testingclock.NewFakeClock(today)
	return &bench{
		db: db, shop: s, questions: asked, runs: 1, rounds: 2, later: 15 * time.Minute, progress: p, clock: clock,
		refresher: &audience.Refresher{Store: db, Clock: clock},
		report:    &storeReport{Store: string(db.Dialect()), Customers: s.customers},
	}
}

// TestBench runs the whole of it over a small shop: everything must agree, and what was loaded straight
// into the tables must be what the store's own way in keeps.
func TestBench(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		b := smallBench(t, dsn)
		checkLoaded(t, b)
		checkUndo(t, b)
		supported, err := b.supported()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.full(t.Context(), supported); err != nil {
			t.Fatal(err)
		}
		if err := b.round(t.Context(), supported); err != nil {
			t.Fatal(err)
		}
		for _, d := range b.report.Disagreements {
			t.Error(d)
		}
		if wrong, err := b.db.CheckMetrics(t.Context(), namespace); wrong != 0 || err != nil {
			t.Errorf("the metrics of %d customers are wrong (%v)", wrong, err)
		}
		if n := len(b.report.Full); n < 12 {
			t.Errorf("%d segments were compared, want at least 12", n)
		}
		if r := b.report.Round; len(r.Segments) != 50 || r.Orders != 3 || r.Base <= 0 || r.Round <= 0 || len(r.Rounds) != 2 {
			t.Errorf("the round was of %d segments and %d orders, in %v ms where the base tables took %v", len(r.Segments), r.Orders, r.Round, r.Base)
		}
		var table, text bytes.Buffer
		if err := errors.Join(b.report.print(&table), printJSON(&text, []*storeReport{b.report})); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(text.Bytes()) || !bytes.Contains(table.Bytes(), []byte("geometric mean of 30")) {
			t.Errorf("%s\n%s", table.Bytes(), text.Bytes())
		}
	})
}

// TestVerifyTells that members who do not belong, or are missing, are found.
func TestVerifyTells(t *testing.T) {
	b := smallBench(t, testenv.SQLite(t))
	b.questions = b.questions[:1]
	supported, err := b.supported()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.round(t.Context(), supported); err != nil {
		t.Fatal(err)
	}
	if len(b.report.Disagreements) > 0 {
		t.Fatalf("all is right, and yet %q", b.report.Disagreements)
	}
	const change = `UPDATE memberships SET customer_id = 'nobody' WHERE customer_id = (SELECT min(customer_id) FROM memberships)`
	if _, err := b.db.Exec(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	if err := b.verify(t.Context(), supported); err != nil {
		t.Fatal(err)
	}
	if len(b.report.Disagreements) != 2 {
		t.Errorf("told %q, want one for each of two comparisons", b.report.Disagreements)
	}
}

// checkLoaded tells whether reach, wish lists and totals are as they would be kept.
func checkLoaded(t *testing.T, b *bench) {
	t.Helper()
	for what, query := range map[string]string{
		"reach": `SELECT count(*) FROM customers c WHERE (c.reach & 1 <> 0) <> (c.email <> '' AND c.email IS NOT NULL
			AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = c.ns AND k.customer_id = c.id AND k.channel = 'email' AND k.state = 'granted')
			AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = c.ns AND x.channel = 'email' AND x.address = c.email))`,
		"orders": `SELECT count(*) FROM orders o WHERE total <> (SELECT sum(price * quantity) FROM order_items i WHERE i.ns = o.ns AND i.order_id = o.id)`,
		"favourites": `SELECT count(*) FROM favourites f WHERE EXISTS (SELECT 1 FROM events r WHERE r.ns = f.ns AND r.customer_id = f.customer_id
			AND r.name = 'Product Removed from Wishlist' AND r.properties ->> 'product_id' = f.product_id AND r.occurred_at >= f.added_at)`,
	} {
		var wrong int64
		if err := b.db.QueryRow(t.Context(), query).Scan(&wrong); err != nil || wrong > 0 {
			t.Errorf("%s: %d are wrong (%v)", what, wrong, err)
		}
	}
}

// checkUndo tells whether a churn that is only measured leaves nothing.
func checkUndo(t *testing.T, b *bench) {
	t.Helper()
	c := &churn{b.shop.maker(), b.later, 0}
	for _, in := range []ingest{whole, bare} {
		for range 2 {
			if _, err := c.run(t.Context(), b.db, in, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := undo(t.Context(), b.db, func(*store.Tx) error { return store.ErrNotFound }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an error of the writing became %v", err)
	}
	var orders, events int64
	if err := b.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM events)`).Scan(&orders, &events); err != nil {
		t.Fatal(err)
	}
	if orders != int64(b.shop.orders()) || events != int64(b.shop.events()) {
		t.Errorf("there are %d orders and %d events, want %d and %d", orders, events, b.shop.orders(), b.shop.events())
	}
}
