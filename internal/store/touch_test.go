// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// asked makes a shop have a segment, for without one nobody is told of.
func asked(t *testing.T, db *store.Store) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `INSERT INTO segments (ns, name, spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us)
		VALUES ('shop', 's', '', 0, '', 0, 0, 0, 0, 0, 0, 0, 0)`); err != nil {
		t.Fatal(err)
	}
}

type told struct {
	seq    int64
	id     string
	kinds  store.Touched
	before string
}

func touchedSince(t *testing.T, db *store.Store, seq int64) (out []told) {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT seq, customer_id, kinds, COALESCE(orders_before, -1), COALESCE(spend_before, -1), COALESCE(last_before, -1)
		FROM touched WHERE ns = 'shop' AND seq > $1 ORDER BY seq, customer_id`, seq)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var x told
		var orders, spend, last int64
		if err := rows.Scan(&x.seq, &x.id, &x.kinds, &orders, &spend, &last); err != nil {
			t.Fatal(err)
		}
		x.before = fmt.Sprint(orders, spend, last)
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTouched(t *testing.T) {
	stores(t, func(t *testing.T, db *store.Store) {
		now := time.UnixMilli(1_000_000)
		write := func(f func(tx *store.Tx) error) {
			t.Helper()
			if err := db.Tx(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		order := func(id, customer, status string, at time.Time) func(tx *store.Tx) error {
			return func(tx *store.Tx) error {
				_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{{ID: id, CustomerID: customer, PlacedAt: at, Total: 5 * money.Unit, Status: store.Value(status)}}, now)
				return err
			}
		}
		write(order("o1", "a", "paid", now))
		if got := touchedSince(t, db, 0); got != nil {
			t.Errorf("without a segment %v were touched", got)
		}
		asked(t, db)
		seq := int64(1)
		next := func(name string, want ...told) {
			t.Helper()
			got := touchedSince(t, db, seq)
			seq++
			for i := range want {
				want[i].seq = seq
				if want[i].before == "" {
					want[i].before = "-1 -1 -1"
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		first := fmt.Sprint(1, int64(5*money.Unit), 1_000_000)
		write(order("o2", "b", "paid", now))
		next("a first order", told{id: "b", kinds: store.TouchedOrders | store.TouchedNew})
		write(order("o3", "b", "paid", now.Add(time.Second)))
		next("a second order", told{id: "b", kinds: store.TouchedOrders, before: first})
		write(order("o3", "a", "paid", now.Add(time.Second)))
		next("an order that moved", told{id: "a", kinds: store.TouchedOrders, before: first}, told{id: "b", kinds: store.TouchedOrders, before: fmt.Sprint(2, int64(10*money.Unit), 1_001_000)})
		write(order("o2", "b", "cancelled", now))
		next("a cancelled order", told{id: "b", kinds: store.TouchedOrders, before: first})
		write(func(tx *store.Tx) error {
			_, err := tx.UpsertEvents(t.Context(), "shop", []store.Event{{ID: "e", CustomerID: "a", Name: store.EventWished, OccurredAt: now, Properties: json.RawMessage(`{"product_id":"p"}`)}}, now)
			return err
		})
		next("a wish", told{id: "a", kinds: store.TouchedEvent(store.EventWished) | store.TouchedFavourite})
		write(func(tx *store.Tx) error {
			_, err := tx.UpsertProducts(t.Context(), "shop", []store.Product{{ID: "p", Category: store.Value("tea")}}, now)
			return err
		})
		next("a product of another category", told{id: "a", kinds: store.TouchedFavourite})
		write(func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: "a", Email: store.Value("a@example.com"), Consents: map[string]string{"email": store.ConsentGranted}}}, now)
			return err
		})
		next("an address and consent", told{id: "a", kinds: store.TouchedCustomer | store.TouchedReach})
		if err := db.Suppress(t.Context(), "shop", "email", "A@example.com", "bounced", now); err != nil {
			t.Fatal(err)
		}
		next("a suppression", told{id: "a", kinds: store.TouchedReach})
		write(func(tx *store.Tx) error {
			return tx.Unsuppress(t.Context(), "shop", "email", "a@example.com", "bounced")
		})
		next("no suppression", told{id: "a", kinds: store.TouchedReach})
		if err := db.SetConsent(t.Context(), "shop", "a", "email", store.ConsentWithdrawn, "unsubscribe", now); err != nil {
			t.Fatal(err)
		}
		next("no consent", told{id: "a", kinds: store.TouchedReach})
		write(func(tx *store.Tx) error {
			_, err := tx.UpsertSubscriptions(t.Context(), "shop", []store.Subscription{{ID: "s", CustomerID: "b", Status: "Active"}}, now)
			return err
		})
		next("a subscription", told{id: "b", kinds: store.TouchedSubscription})

		failed := errors.New("failed")
		if err := db.Tx(t.Context(), func(tx *store.Tx) error {
			tx.Touch("shop", "a", store.TouchedOrders)
			return failed
		}); !errors.Is(err, failed) {
			t.Error(err)
		}
		write(order("o2", "b", "cancelled", now)) // which says nothing new
		if got := touchedSince(t, db, seq); got != nil {
			t.Errorf("what failed or said nothing new touched %v", got)
		}
	})
}

// TestWhoSeesANumberSeesAllBefore lets many write at once: whoever reads the feed's number must find
// every number up to it.
func TestWhoSeesANumberSeesAllBefore(t *testing.T) {
	stores(t, func(t *testing.T, db *store.Store) {
		// What comes first is not told, as nobody can have asked before.
		if err := db.Tx(t.Context(), func(tx *store.Tx) error {
			tx.Touch("shop", "first", store.TouchedOrders)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		asked(t, db)
		const writers, each = 6, 40
		var group sync.WaitGroup
		defer group.Wait()
		for w := range writers {
			group.Go(func() {
				for n := range each {
					err := db.Tx(t.Context(), func(tx *store.Tx) error {
						tx.Touch("shop", fmt.Sprintf("c%d-%d", w, n), store.TouchedOrders)
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { group.Wait(); close(done) }()
		for looks := 0; ; looks++ {
			var seq, found int64
			err := db.QueryRow(t.Context(), `SELECT COALESCE(MAX(seq), 0) FROM feeds WHERE ns = 'shop'`).Scan(&seq)
			if err == nil {
				err = db.QueryRow(t.Context(), `SELECT COUNT(*) FROM touched WHERE ns = 'shop' AND seq <= $1`, seq).Scan(&found)
			}
			if err != nil {
				t.Fatal(err)
			}
			if found != seq-1 {
				t.Fatalf("the feed is at %d, and %d are there", seq, found)
			}
			select {
			case <-done:
				if seq == writers*each+1 {
					return
				}
			default:
			}
			if looks > 100_000 {
				t.Fatalf("only %d of %d", seq, writers*each)
			}
		}
	})
}
