// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	events     []happening
	contracts  []contract
	sent       []sending
	catalogue  map[string]string // categories by product
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

type happening struct {
	id, customer, name string
	at                 time.Time
	properties         map[string]string
}

type contract struct {
	id, customer, plan, status string
	cancelled, delivers        time.Time // zero for none
}

// sending is a message, and when what became of it.
type sending struct {
	id, customer, scenario, channel string
	became                          map[string]time.Time
}

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
		if err := s.loadBehaviour(t, tx, ns, now); err != nil {
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

func (s *shop) loadBehaviour(t testing.TB, tx *store.Tx, ns string, now time.Time) error {
	products := []store.Product{}
	for id, category := range s.catalogue {
		products = append(products, store.Product{ID: id, Category: optional(category)})
	}
	slices.SortFunc(products, func(a, b store.Product) int { return strings.Compare(a.ID, b.ID) })
	if _, err := tx.UpsertProducts(t.Context(), ns, products, now); err != nil {
		return err
	}
	events := make([]store.Event, len(s.events))
	for i, e := range s.events {
		properties, err := json.Marshal(e.properties)
		if err != nil {
			return err
		}
		events[i] = store.Event{ID: e.id, CustomerID: e.customer, Name: e.name, OccurredAt: e.at, Properties: properties}
		if err := events[i].Validate(); err != nil {
			return err
		}
	}
	if _, err := tx.UpsertEvents(t.Context(), ns, events, now); err != nil {
		return err
	}
	contracts := make([]store.Subscription, len(s.contracts))
	for i, c := range s.contracts {
		contracts[i] = store.Subscription{ID: c.id, CustomerID: c.customer, Status: c.status, Plan: optional(c.plan), CancelledAt: optionalTime(c.cancelled), NextDelivery: optionalTime(c.delivers)}
		if err := contracts[i].Validate(); err != nil {
			return err
		}
	}
	if _, err := tx.UpsertSubscriptions(t.Context(), ns, contracts, now); err != nil {
		return err
	}
	for _, m := range s.sent {
		if err := m.load(t, tx, ns); err != nil {
			return err
		}
	}
	return nil
}

// load writes a message as those who send it and hear of it do.
func (m *sending) load(t testing.TB, tx *store.Tx, ns string) error {
	at := func(kind string) any {
		if when, ok := m.became[kind]; ok {
			return store.Millis(when)
		}
		return nil
	}
	_, err := tx.Exec(t.Context(), `INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, attempts, fence,
			parts, cost, due_at, planned_at, expires_at, delivered_at, opened_at, clicked_at, converted_at)
		VALUES ($1, $2, $3, '', $4, $5, 'step', '', '', $6, 'email', 'sent', '', 1, 1, 0, 0, 0, 0, 0, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET delivered_at = excluded.delivered_at, opened_at = excluded.opened_at, clicked_at = excluded.clicked_at, converted_at = excluded.converted_at`,
		m.id, ns, m.scenario, m.customer, m.id, m.channel, at("delivered"), at("opened"), at("clicked"), at("converted"))
	if err != nil {
		return err
	}
	for _, kind := range store.Engagements {
		if err := tx.SyncEngagements(t.Context(), ns, kind, []string{m.id}); err != nil {
			return err
		}
	}
	return nil
}

func optionalTime(at time.Time) store.Field[time.Time] {
	if at.IsZero() {
		return store.None[time.Time]()
	}
	return store.Value(at)
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
	cuts, err := (&audience.Refresher{Store: db}).Thresholds(t.Context(), ns, query.Cuts)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(t.Context(), query.SQL, query.Args(now, cuts)...)
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
