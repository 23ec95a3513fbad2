// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// shop is a shop in memory, from which a database is filled and the oracle reads.
type shop struct {
	people     []person
	purchases  []purchase
	suppressed []address
	segments   map[string][]string // ids by segment
	audience.Shop
}

type person struct {
	id, email, phone, line string
	attributes             map[string]any
	consents               map[string]bool
}

type purchase struct {
	id, customer   string
	at             time.Time
	total          money.Amount
	status, source string
	items          []item
}

type item struct{ product, category string }

type address struct{ channel, address string }

func eachStore(t *testing.T, test func(t *testing.T, db *store.Store)) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		db, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, db)
	})
}

// load writes the shop as its facts would have been: through the store's own way in.
func (s *shop) load(t testing.TB, db *store.Store, ns string, now time.Time) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		customers := make([]store.Customer, len(s.people))
		for i, p := range s.people {
			customers[i] = store.Customer{
				ID: p.id, Email: optional(p.email), Phone: optional(p.phone), LineUserID: optional(p.line),
				Attributes: map[string]json.RawMessage{}, Consents: map[string]string{},
			}
			for name, value := range p.attributes {
				text, err := json.Marshal(value)
				if err != nil {
					return err
				}
				customers[i].Attributes[name] = text
			}
			for channel, granted := range p.consents {
				customers[i].Consents[channel] = map[bool]string{true: store.ConsentGranted, false: store.ConsentWithdrawn}[granted]
			}
			if err := customers[i].Validate(); err != nil {
				return fmt.Errorf("%s: %w", p.id, err)
			}
		}
		if _, err := tx.UpsertCustomers(t.Context(), ns, customers, now); err != nil {
			return err
		}
		orders := make([]store.Order, len(s.purchases))
		for i, p := range s.purchases {
			orders[i] = store.Order{
				ID: p.id, CustomerID: p.customer, PlacedAt: p.at, Total: p.total,
				Status: optional(p.status), Source: optional(p.source), HasItems: true,
			}
			for _, it := range p.items {
				orders[i].Items = append(orders[i].Items, store.Item{ProductID: optional(it.product), Category: optional(it.category), Quantity: 1})
			}
			if err := orders[i].Validate(); err != nil {
				return fmt.Errorf("%s: %w", p.id, err)
			}
		}
		if _, err := tx.UpsertOrders(t.Context(), ns, orders, now); err != nil {
			return err
		}
		for _, a := range s.suppressed {
			if err := tx.Suppress(t.Context(), ns, a.channel, a.address, "test", now); err != nil {
				return err
			}
		}
		for segment, ids := range s.segments {
			for _, id := range ids {
				if _, err := tx.Exec(t.Context(), `INSERT INTO memberships (ns, segment, customer_id, entered_at) VALUES ($1, $2, $3, 0)`, ns, segment, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func optional(v string) store.Field[string] {
	if v == "" {
		return store.None[string]()
	}
	return store.Value(v)
}

// matching runs the statement that Compile makes, and gives the ids in order.
func matching(t testing.TB, db *store.Store, ns string, match v1alpha1.Match, s audience.Shop, now time.Time) []string {
	t.Helper()
	query, err := audience.Compile(match, audience.Env{Namespace: ns, Segment: "test", Shop: s, Dialect: db.Dialect()})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(t.Context(), query.SQL, query.Args(now)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, query.SQL)
	}
	defer func() { _ = rows.Close() }()
	ids := []string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%v\n%s", err, query.SQL)
	}
	slices.Sort(ids)
	return ids
}
