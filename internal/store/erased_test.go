// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	annasLine = "Uaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	annasMail = "anna@example.com"
)

// customerWithEverything makes anna, who was anna-web too, and bert, who stays.
func customerWithEverything(t *testing.T, db *store.Store, now time.Time) {
	t.Helper()
	ctx := t.Context()
	must(t, db.Tx(ctx, func(tx *store.Tx) error {
		for _, id := range []string{"anna", "bert", "anna-web"} {
			if _, err := tx.UpsertCustomers(ctx, "shop", []store.Customer{{
				ID: id, Email: store.Value(strings.Split(id, "-")[0] + "@example.com"), Phone: store.Value("+819012345678"),
				Attributes: map[string]json.RawMessage{"name": json.RawMessage(`"` + id + `"`)},
				Consents:   map[string]string{"email": "withdrawn", "sms": "granted", "sms/news": "withdrawn"},
			}}, now); err != nil {
				return err
			}
			if _, err := tx.UpsertOrders(ctx, "shop", []store.Order{{
				ID: "o-" + id, CustomerID: id, PlacedAt: now, Total: 5 * money.Unit, HasItems: true, Items: []store.Item{{ProductID: store.Value("tea"), Quantity: 1}},
			}}, now); err != nil {
				return err
			}
			if _, err := tx.UpsertEvents(ctx, "shop", []store.Event{{ID: "e-" + id, CustomerID: id, Name: store.EventWished, OccurredAt: now, Properties: json.RawMessage(`{"product_id":"tea"}`)}}, now); err != nil {
				return err
			}
			if _, err := tx.UpsertSubscriptions(ctx, "shop", []store.Subscription{{ID: "s-" + id, CustomerID: id, Status: "Active"}}, now); err != nil {
				return err
			}
		}
		_, err := tx.UpsertCustomers(ctx, "shop", []store.Customer{{ID: "anna", LineUserID: store.Value(annasLine)}}, now)
		return err
	}))
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(ctx, query, args...); err != nil {
			t.Fatal(query, err)
		}
	}
	for i, id := range []string{"anna", "bert"} {
		for k, state := range []string{"planned", "sending", "sent", "failed"} {
			key := fmt.Sprintf("00000000-0000-0000-000%d-00000000000%d", i, k)
			exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, provider_id, attempts, fence, parts, cost, due_at, planned_at, expires_at, opened_at)
VALUES ($1, 'shop', 'hello', '', $2, $3, $4, '', 'r', 'mail', 'email', $5, $6, $7, 0, 0, 1, 0, 0, 0, 0, 5)`, key, id, "o-"+id, fmt.Sprint("s", k), state, "550 no such user "+id+"@example.com", "<"+key+"@example.com>")
			exec(`INSERT INTO receipts (ns, id, message_id, kind, detail, machine, occurred_at, received_at) VALUES ('shop', $1, $2, 'opened', '{"agent":"Mail"}', 0, 1, 1)`, "twilio/SM"+key, key)
			exec(`INSERT INTO links (code, ns, message_id, kind, url) VALUES ($1, 'shop', $2, 'l', 'https://shop.example/?who='||CAST($3 AS TEXT))`, "code"+key, key, id)
			exec(`INSERT INTO engagements (ns, message_id, kind, customer_id, at, scenario, channel) VALUES ('shop', $1, 'opened', $2, 5, 'hello', 'mail')`, key, id)
		}
		exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at, order_id, revenue, converted_at, facts)
VALUES ('shop', 'hello', '', $1, $2, '', 'active', '', 'a', 0, 0, $2, 50000, 1, '{"order_id":"x"}'), ('shop', 'once', '', $1, '', '', 'active', '', 'a', 0, 0, NULL, NULL, NULL, NULL)`, id, "o-"+id)
		exec(`INSERT INTO coupons (ns, pool, code, customer_id, scenario, epoch, entry) VALUES ('shop', 'p', $1, $2, 'hello', '', $3)`, fmt.Sprint("C", i), id, "o-"+id)
		exec(`INSERT INTO memberships (ns, segment, customer_id, entered_at) VALUES ('shop', 'all', $1, 0)`, id)
		exec(`INSERT INTO past_memberships (ns, segment, customer_id, entered_at, exited_at) VALUES ('shop', 'old', $1, 0, 1)`, id)
		exec(`INSERT INTO arrivals (ns, scenario, id, kind, name, ref, customer_id, at, facts) VALUES ('shop', 'hello', $1, 'event', 'x', 'e', $1, 0, '{}')`, id)
		exec(`INSERT INTO ranked (ns, ranking, customer_id, amount) VALUES ('shop', '{}', $1, 1)`, id)
		exec(`INSERT INTO bought (ns, customer_id, product_id, purchases, last_at, day, log_sum, log_squares, paired) VALUES ('shop', $1, 'tea', 1, 0, 0, 0, 0, 0)`, id)
		exec(`INSERT INTO replenishments (ns, scope, id, customer_id, purchases, last_at, log_sum, missed) VALUES ('shop', 'product', 'tea', $1, 1, 0, 0, 0)`, id)
		exec(`INSERT INTO follows (ns, line_user_id, state, changed_at) VALUES ('shop', $1, 'followed', 0)`, map[string]string{"anna": annasLine, "bert": "Ub"}[id])
	}
	must(t, db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Merge(ctx, "shop", "anna-web", "anna", now)
		return err
	}))
}

// everything is all rows of all tables, as text.
func everything(t *testing.T, db *store.Store) string {
	t.Helper()
	tables := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if db.Dialect() == store.Postgres {
		tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name`
	}
	names, err := store.Texts(t.Context(), db, tables)
	must(t, err)
	var b strings.Builder
	for _, name := range names {
		must(t, store.Each(t.Context(), db, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for i, v := range values {
				if raw, ok := v.([]byte); ok {
					values[i] = string(raw)
				}
			}
			fmt.Fprintln(&b, name, values)
			return nil
		}, "SELECT * FROM "+name))
	}
	return b.String()
}

func TestErase(t *testing.T) {
	stores(t, func(t *testing.T, db *store.Store) {
		ctx, now := t.Context(), time.UnixMilli(1_000_000)
		asked(t, db)
		customerWithEverything(t, db, now)
		held, err := db.Export(ctx, "shop", "anna-web")
		must(t, err)
		counts := map[string]int{}
		for table, rows := range held {
			counts[table] = len(rows)
		}
		want := map[string]int{
			"aliases": 1, "consent_changes": 6 - 3, "consents": 2, "coupons": 1, "customers": 1, "enrolments": 2, "events": 2, "follows": 1, "links": 4, "memberships": 1,
			"messages": 4, "order_items": 2, "orders": 2, "past_memberships": 1, "purpose_consents": 1, "receipts": 4, "subscriptions": 2,
		}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("exported %s", diff)
		}
		if text, err := json.Marshal(held); err != nil || !strings.Contains(string(text), `"attributes":{"name":"anna"}`) || !strings.Contains(string(text), `"placed_at":"1970-01-01T00:16:40Z"`) || strings.Contains(string(text), "bert") {
			t.Errorf("%s %v", text, err)
		}

		done, err := db.Erase(ctx, "shop", "anna-web", now.Add(time.Hour))
		must(t, err)
		told := map[string]int64{}
		for _, d := range done {
			told[d.Table+" "+d.Fate] = d.Rows
		}
		for what, n := range map[string]int64{
			"suppressions added": 1, "enrolments ended": 2, "messages ended": 2, "customers removed": 1, "orders removed": 2, "aliases removed": 1,
			"messages pseudonymised": 4, "enrolments pseudonymised": 2, "receipts pseudonymised": 4, "links removed": 4, "coupons pseudonymised": 1,
		} {
			if told[what] != n {
				t.Errorf("%s: %d, want %d (%v)", what, told[what], n, done)
			}
		}
		left := everything(t, db)
		for line := range strings.Lines(left) {
			if !strings.Contains(line, "anna") && !strings.Contains(line, annasLine) {
				continue
			}
			// The address that anna did not want to be used is all that stays.
			if !strings.HasPrefix(line, "suppressions ") || !strings.Contains(line, annasMail) {
				t.Errorf("what is left: %s", line)
			}
		}
		if n := strings.Count(left, "bert"); n < 20 {
			t.Errorf("of another customer %d things are left:\n%s", n, left)
		}
		for query, want := range map[string]int{
			`SELECT COUNT(*) FROM messages WHERE state = 'cancelled' AND reason = 'Erased'`:                            1,
			`SELECT COUNT(*) FROM messages WHERE state = 'unknown' AND reason = 'Erased'`:                              1,
			`SELECT COUNT(*) FROM enrolments WHERE state = 'exited' AND reason = 'Erased'`:                             2,
			`SELECT COUNT(*) FROM enrolments WHERE revenue = 50000`:                                                    2,
			`SELECT COUNT(*) FROM messages m JOIN enrolments e ON e.customer_id = m.customer_id AND e.entry = m.entry`: 8,
			`SELECT COUNT(*) FROM metrics`: 1,
			`SELECT COUNT(*) FROM touched WHERE seq = (SELECT MAX(seq) FROM touched) AND customer_id LIKE 'erased:%' AND orders_before = 2`: 1,
			`SELECT COUNT(*) FROM coupons WHERE customer_id IS NULL`:                                                                        0,
		} {
			var n int
			must(t, db.QueryRow(ctx, query).Scan(&n))
			if n != want {
				t.Errorf("%s: %d, want %d", query, n, want)
			}
		}

		// Nobody is there any more, and doing it again does nothing.
		if _, err := db.Export(ctx, "shop", "anna"); !store.IsNotFound(err) {
			t.Error(err)
		}
		if done, err := db.Erase(ctx, "shop", "anna", now.Add(2*time.Hour)); err != nil || len(done) > 0 {
			t.Error(done, err)
		}
		if again := everything(t, db); again != left {
			t.Errorf("again: %s", cmp.Diff(left, again))
		}

		// One who comes back has no past, is in what lets in once, and stays unsubscribed by address.
		must(t, db.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(ctx, "shop", []store.Customer{{ID: "anna", Email: store.Value(annasMail), Consents: map[string]string{"email": "granted"}}}, now)
			return err
		}))
		ways, err := store.Texts(ctx, db, `SELECT scenario || ' ' || state FROM enrolments WHERE customer_id = 'anna'`)
		if diff := cmp.Diff([]string{"once exited"}, ways); diff != "" || err != nil {
			t.Error(diff, err)
		}
		var reach int
		must(t, db.QueryRow(ctx, `SELECT reach FROM customers WHERE id = 'anna'`).Scan(&reach))
		if reach != 0 {
			t.Errorf("reach %d", reach)
		}
	})
}

func TestPseudonymsAreNoIDs(t *testing.T) {
	const id = "erased:1"
	for name, err := range map[string]error{
		"customer":     (&store.Customer{ID: id}).Validate(),
		"order":        (&store.Order{ID: "1", CustomerID: id, PlacedAt: time.Now()}).Validate(),
		"event":        (&store.Event{ID: "1", CustomerID: id, Name: "x", OccurredAt: time.Now()}).Validate(),
		"subscription": (&store.Subscription{ID: "1", CustomerID: id, Status: "Active"}).Validate(),
	} {
		if err == nil || !strings.Contains(err.Error(), "is kept for customers who were erased") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
