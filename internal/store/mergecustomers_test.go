// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var mergedAt = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func mergeThem(t *testing.T, s *store.Store, from, to string) (merged bool) {
	t.Helper()
	must(t, s.Tx(t.Context(), func(tx *store.Tx) (err error) {
		merged, err = tx.Merge(t.Context(), "shop", from, to, mergedAt)
		return err
	}))
	return merged
}

// known is all that facts make of customers, without when it came.
func known(t *testing.T, s *store.Store) string {
	t.Helper()
	var out string
	for _, query := range []string{
		`SELECT id, email, phone, line_user_id, attributes, reach FROM customers ORDER BY id`,
		`SELECT customer_id, channel, state FROM consents ORDER BY customer_id, channel`,
		`SELECT id, customer_id, placed_at, total, status FROM orders ORDER BY id`,
		`SELECT order_id, line, customer_id, product_id FROM order_items ORDER BY order_id, line`,
		`SELECT id, customer_id, name, occurred_at FROM events ORDER BY id`,
		`SELECT id, customer_id, status FROM subscriptions ORDER BY id`,
		`SELECT customer_id, orders, spend, first_order_at, last_order_at, previous_order_at FROM metrics ORDER BY customer_id`,
		`SELECT customer_id, product_id, added_at FROM favourites ORDER BY customer_id, product_id`,
		`SELECT customer_id, scope, id, purchases, last_at, due_at FROM replenishments ORDER BY customer_id, scope, id`,
	} {
		out += dump(t, s, query) + "\n"
	}
	if wrong, err := s.CheckMetrics(t.Context(), "shop"); err != nil || wrong > 0 {
		t.Errorf("%d rows are wrong: %v", wrong, err)
	}
	return out
}

// fact is one thing that is learnt about a customer.
type fact func(ctx *store.Tx, t *testing.T, customer string) error

// life is facts in the order they are learnt, each about one of two ids of the same person.
func life(r *rand.Rand) (facts []fact, of []int) {
	at := func() time.Time { return mergedAt.Add(-time.Duration(r.IntN(1000)) * time.Hour) }
	for i := range 5 + r.IntN(20) {
		id, when, product := fmt.Sprint(i), at(), fmt.Sprint("p", r.IntN(3))
		var f fact
		switch r.IntN(5) {
		case 0, 1:
			o := store.Order{ID: "o" + id, PlacedAt: when, Total: money.Amount(r.IntN(100000)), HasItems: true, Items: []store.Item{{ProductID: store.Value(product), Quantity: 1}}}
			if r.IntN(4) == 0 {
				o.Status = store.Value("cancelled")
			}
			f = func(tx *store.Tx, t *testing.T, customer string) error {
				o.CustomerID = customer
				_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{o}, mergedAt)
				return err
			}
		case 2:
			name := []string{store.EventWished, store.EventUnwished, "Seen"}[r.IntN(3)]
			e := store.Event{ID: "e" + id, Name: name, OccurredAt: when, Properties: json.RawMessage(`{"product_id":"` + product + `"}`)}
			f = func(tx *store.Tx, t *testing.T, customer string) error {
				e.CustomerID = customer
				_, err := tx.AddEvents(t.Context(), "shop", []store.Event{e}, mergedAt)
				return err
			}
		case 3:
			sub := store.Subscription{ID: "s" + id, Status: "Active"}
			f = func(tx *store.Tx, t *testing.T, customer string) error {
				sub.CustomerID = customer
				_, err := tx.UpsertSubscriptions(t.Context(), "shop", []store.Subscription{sub}, mergedAt)
				return err
			}
		default:
			// What both say is the same, or the two would differ by who said it last.
			c := store.Customer{Attributes: map[string]json.RawMessage{"a" + fmt.Sprint(r.IntN(3)): json.RawMessage(`"x"`)}, Consents: map[string]string{store.ChannelEmail: store.ConsentGranted}}
			if r.IntN(2) == 0 {
				c.Email = store.Value("anna@shop.example")
			} else {
				c.LineUserID, c.Consents = store.Value("U1"), map[string]string{store.ChannelLINE: store.ConsentGranted}
			}
			f = func(tx *store.Tx, t *testing.T, customer string) error {
				c.ID = customer
				_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{c}, mergedAt)
				return err
			}
		}
		facts, of = append(facts, f), append(of, r.IntN(2))
	}
	return facts, of
}

// TestMergedIsAsIfItHadAlwaysBeenOne: whatever is learnt about two ids, before they are merged and after,
// makes what the same would have made of one.
func TestMergedIsAsIfItHadAlwaysBeenOne(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		must(t, s.TrackReplenishment(t.Context(), "shop", store.ReplenishAny, "", mergedAt))
		empty := func() {
			for _, table := range []string{"customers", "consents", "orders", "order_items", "events", "subscriptions", "metrics", "favourites", "replenishments", "aliases"} {
				_, err := s.Exec(t.Context(), `DELETE FROM `+table)
				must(t, err)
			}
		}
		learn := func(f fact, customer string) {
			t.Helper()
			must(t, s.Tx(t.Context(), func(tx *store.Tx) error { return f(tx, t, customer) }))
		}
		for seed := range uint64(12) {
			r := rand.New(rand.NewPCG(seed, 1))
			facts, of := life(r)
			empty()
			learn(func(tx *store.Tx, t *testing.T, customer string) error {
				_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: customer}}, mergedAt)
				return err
			}, "anna")
			for _, f := range facts {
				learn(f, "anna")
			}
			want := known(t, s)
			empty()
			ids, when := []string{"anna", "shop-7"}, r.IntN(len(facts)+1)
			for i, f := range facts {
				if i == when {
					mergeThem(t, s, "shop-7", "anna")
				}
				learn(f, ids[of[i]])
			}
			mergeThem(t, s, "shop-7", "anna")
			expect(t, fmt.Sprintf("seed %d, merged after %d of %d", seed, when, len(facts)), known(t, s), want)
			if mergeThem(t, s, "shop-7", "anna") || mergeThem(t, s, "anna", "shop-7") {
				t.Error("merged again")
			}
			expect(t, "merged twice", known(t, s), want)
		}
	})
}

func TestMergeConsentsAndAddresses(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{
				{ID: "anna", Email: store.Value("a@shop.example"), Attributes: map[string]json.RawMessage{"x": json.RawMessage(`1`)},
					Consents: map[string]string{store.ChannelEmail: store.ConsentGranted, store.ChannelSMS: store.ConsentWithdrawn}},
				{ID: "old", Email: store.Value("b@shop.example"), Phone: store.Value("+819012345678"), Attributes: map[string]json.RawMessage{"x": json.RawMessage(`2`), "y": json.RawMessage(`2`)},
					Consents: map[string]string{store.ChannelEmail: store.ConsentWithdrawn, store.ChannelSMS: store.ConsentGranted, store.ChannelLINE: store.ConsentGranted}},
			}, mergedAt)
			return err
		}))
		must(t, s.Suppress(t.Context(), "shop", store.ChannelEmail, "b@shop.example", "bounced", mergedAt))
		must(t, s.SetConsent(t.Context(), "shop", "old", store.ChannelEmail, store.ConsentWithdrawn, "unsubscribe", mergedAt))
		mergeThem(t, s, "old", "anna")
		expect(t, "customers", dump(t, s, `SELECT id, email, phone, reach FROM customers`), "anna|a@shop.example|+819012345678|0\n")
		expect(t, "consents", dump(t, s, `SELECT channel, state, source FROM consents ORDER BY channel`), "email|withdrawn|unsubscribe\nline|granted|import\nsms|withdrawn|import\n")
		expect(t, "suppressions", dump(t, s, `SELECT address FROM suppressions`), "b@shop.example\n")
		expect(t, "attributes", dump(t, s, `SELECT COUNT(*) FROM customers WHERE CAST(attributes AS TEXT) LIKE '%"x":%1%' AND CAST(attributes AS TEXT) LIKE '%"y":%2%'`), "1\n")
		// What the old id says later, it says of the survivor.
		must(t, s.SetConsent(t.Context(), "shop", "old", store.ChannelLINE, store.ConsentWithdrawn, "unsubscribe", mergedAt.Add(time.Hour)))
		expect(t, "a later consent", dump(t, s, `SELECT customer_id, state FROM consents WHERE channel = 'line'`), "anna|withdrawn\n")
	})
}

func TestMergeChains(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		upsertOrders(t, s, mergedAt, store.Order{ID: "1", CustomerID: "a", PlacedAt: mergedAt, Total: 1})
		for _, step := range []struct {
			from, to string
			want     bool
		}{{"a", "b", true}, {"b", "c", true}, {"c", "a", false}, {"a", "c", false}, {"d", "a", true}, {"b", "e", true}} {
			if got := mergeThem(t, s, step.from, step.to); got != step.want {
				t.Errorf("%s into %s: merged %t", step.from, step.to, got)
			}
		}
		expect(t, "aliases", dump(t, s, `SELECT alias, customer_id FROM aliases ORDER BY alias`), "a|e\nb|e\nc|e\nd|e\n")
		expect(t, "customers", dump(t, s, `SELECT id FROM customers`), "e\n")
		expect(t, "orders", dump(t, s, `SELECT customer_id FROM orders`), "e\n")
		err := s.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Merge(t.Context(), "shop", "x", "x", mergedAt)
			return err
		})
		if err == nil {
			t.Error("a customer was merged into itself")
		}
		expect(t, "another shop", dump(t, s, `SELECT COUNT(*) FROM aliases WHERE ns <> 'shop'`), "0\n")
	})
}

// TestMergeWhileFactsComeIn: nothing stays behind with an id that is no customer any more.
func TestMergeWhileFactsComeIn(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		const ids = 6
		var group sync.WaitGroup
		for w := range 4 {
			group.Go(func() {
				for i := range 15 {
					id, customer := fmt.Sprintf("%d-%d", w, i), fmt.Sprint("c", (w+i)%ids)
					err := s.Tx(t.Context(), func(tx *store.Tx) error {
						if _, err := tx.AddEvents(t.Context(), "shop", []store.Event{{ID: id, CustomerID: customer, Name: store.EventWished, OccurredAt: mergedAt, Properties: json.RawMessage(`{"product_id":"p"}`)}}, mergedAt); err != nil {
							return err
						}
						if _, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: customer}}, mergedAt); err != nil {
							return err
						}
						_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{{ID: id, CustomerID: customer, PlacedAt: mergedAt, Total: 1}}, mergedAt)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		for w := range 2 {
			group.Go(func() {
				for i := range ids {
					from, to := fmt.Sprint("c", i), fmt.Sprint("c", (i+1+w)%ids)
					if err := s.Tx(t.Context(), func(tx *store.Tx) error {
						_, err := tx.Merge(t.Context(), "shop", from, to, mergedAt)
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		expect(t, "left behind", dump(t, s, `SELECT (SELECT COUNT(*) FROM events v WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = v.customer_id))
			+ (SELECT COUNT(*) FROM orders v WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = v.customer_id))
			+ (SELECT COUNT(*) FROM customers c JOIN aliases a ON a.alias = c.id) + (SELECT COUNT(*) FROM aliases a JOIN aliases b ON b.alias = a.customer_id)`), "0\n")
		expect(t, "facts", dump(t, s, `SELECT (SELECT COUNT(*) FROM events), (SELECT COUNT(*) FROM orders)`), "60|60\n")
		if wrong, err := s.CheckMetrics(t.Context(), "shop"); err != nil || wrong > 0 {
			t.Errorf("%d rows are wrong: %v", wrong, err)
		}
	})
}

// TestMergeUnderWay: a customer who is under way twice goes on where they are further along.
func TestMergeUnderWay(t *testing.T) {
	for name, tt := range map[string]struct {
		// ways are customer, entry, state of the enrolment, and the states of its messages.
		ways [][]string
		want string
	}{
		"one of them only":             {[][]string{{"old", "e1", "active", "sent"}}, "e1 active s0:sent"},
		"the survivor is further":      {[][]string{{"old", "e1", "active", "planned"}, {"anna", "e1", "active", "sent"}}, "e1 active s0:sent|e1~old exited s0:cancelled"},
		"the other is further":         {[][]string{{"old", "e1", "active", "sent", "planned"}, {"anna", "e1", "active", "planned"}}, "e1 active s0:sent s1:planned|e1~old exited s0:cancelled"},
		"of two entries":               {[][]string{{"old", "e1", "active", "sent"}, {"anna", "e2", "active", "sent", "sent"}}, "e1 exited s0:sent|e2 active s0:sent s1:sent"},
		"one has come to its end":      {[][]string{{"old", "e1", "completed", "sent", "sent"}, {"anna", "e1", "active", "sent"}}, "e1 completed s0:sent s1:sent|e1~old exited s0:sent"},
		"both have":                    {[][]string{{"old", "e1", "completed", "sent"}, {"anna", "e1", "completed", "sent"}}, "e1 completed s0:sent|e1~old completed s0:sent"},
		"one that is being sent stays": {[][]string{{"old", "e1", "active", "sending"}, {"anna", "e1", "active", "sent", "sent"}}, "e1 active s0:sent s1:sent|e1~old exited s0:sending"},
		"an earlier one and one now":   {[][]string{{"old", "e1", "completed", "sent"}, {"anna", "e2", "active", "sent"}}, "e1 completed s0:sent|e2 active s0:sent"},
	} {
		t.Run(name, func(t *testing.T) {
			stores(t, func(t *testing.T, s *store.Store) {
				must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
					_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: "anna"}, {ID: "old"}}, mergedAt)
					return err
				}))
				for _, w := range tt.ways {
					_, err := s.Exec(t.Context(), `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at) VALUES ('shop', 'sale', '1', $1, $2, '', $3, '', '', 1, 1)`, w[0], w[1], w[2])
					must(t, err)
					_, err = s.Exec(t.Context(), `INSERT INTO coupons (ns, pool, code, customer_id, scenario, epoch, entry) VALUES ('shop', 'pool', $1, $1, 'sale', '1', $2)`, w[0], w[1])
					must(t, err)
					for i, state := range w[3:] {
						_, err := s.Exec(t.Context(), `INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, attempts, fence, parts, cost, due_at, planned_at, expires_at)
							VALUES ($1, 'shop', 'sale', '1', $2, $3, $4, '', 'r', 'mail', 'email', $5, '', 0, 0, 0, 0, 0, 0, 0)`, uuid.NewString(), w[0], w[1], fmt.Sprint("s", i), state)
						must(t, err)
					}
				}
				mergeThem(t, s, "old", "anna")
				rows, err := s.Query(t.Context(), `SELECT e.entry, e.state, COALESCE(m.step, ''), COALESCE(m.state, '') FROM enrolments e
					LEFT JOIN messages m ON m.customer_id = e.customer_id AND m.entry = e.entry WHERE e.customer_id = 'anna' ORDER BY e.entry, m.step`)
				must(t, err)
				defer func() { _ = rows.Close() }()
				got, last := "", ""
				for rows.Next() {
					var entry, state, step, message string
					must(t, rows.Scan(&entry, &state, &step, &message))
					if way := entry + " " + state; way != last {
						if last != "" {
							got += "|"
						}
						got, last = got+way, way
					}
					got += " " + step + ":" + message
				}
				must(t, rows.Err())
				expect(t, "ways", got, tt.want)
				expect(t, "left", dump(t, s, `SELECT (SELECT COUNT(*) FROM enrolments WHERE customer_id = 'old') + (SELECT COUNT(*) FROM messages WHERE customer_id = 'old') + (SELECT COUNT(*) FROM coupons WHERE customer_id = 'old')`), "0\n")
			})
		})
	}
}
