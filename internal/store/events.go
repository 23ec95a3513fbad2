// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

var eventColumns = []string{"ns", "id", "customer_id", "name", "occurred_at", "properties", "received_at"}

// UpsertEvents adds events or replaces those with the same id, and brings the wish lists that they
// are about up to date. now is the business time.
func (t *Tx) UpsertEvents(ctx context.Context, ns string, events []Event, now time.Time) (Counts, error) {
	events, err := ofSurvivors(ctx, t, ns, events, func(e *Event) *string { return &e.CustomerID })
	if err != nil {
		return Counts{}, err
	}
	ids, customers := make([]string, len(events)), make([]string, len(events))
	for i := range events {
		ids[i], customers[i] = events[i].ID, events[i].CustomerID
	}
	stored, err := t.readEvents(ctx, ns, distinct(ids), "")
	if err != nil {
		return Counts{}, err
	}
	// Whoever writes a wish list holds its customer's row, in this order, so that it misses no event; and of
	// the others none may be merged into another customer meanwhile.
	if err := t.ensureCustomers(ctx, ns, distinct(append(wishers(events, stored), customers...)), t.dialect.ForUpdate(), now); err != nil {
		return Counts{}, err
	}
	if len(stored) > 0 {
		if stored, err = t.readEvents(ctx, ns, ids, t.dialect.ForUpdate()); err != nil {
			return Counts{}, err
		}
	}
	m := merge(events, func(e *Event) string { return e.ID }, stored,
		func(_ Event, e *Event) Event { return *e }, sameEvent)
	for _, e := range slices.Concat(m.added, m.changed) {
		t.Touch(ns, e.CustomerID, TouchedEvent(e.Name))
		if old, known := stored[e.ID]; known {
			t.Touch(ns, old.CustomerID, TouchedEvent(old.Name))
		}
	}
	err = write(ctx, t, "events", eventColumns, 2, m, func(e Event, row []any) []any {
		return append(row, ns, e.ID, e.CustomerID, e.Name, Millis(e.OccurredAt), string(e.Properties), Millis(now))
	})
	if err != nil {
		return Counts{}, err
	}
	if err := t.arriveEvents(ctx, ns, m.added, now); err != nil {
		return Counts{}, err
	}
	return m.counts, t.updateFavourites(ctx, ns, wishers(slices.Concat(m.added, m.changed), stored))
}

// arriveEvents puts events before the scenarios that let in who does that.
func (t *Tx) arriveEvents(ctx context.Context, ns string, events []Event, now time.Time) error {
	if len(events) == 0 {
		return nil
	}
	listeners, err := t.listeners(ctx, ns, ListenEvent)
	if err != nil || len(listeners) == 0 {
		return err
	}
	arrivals := make([]Arrival, len(events))
	for i, e := range events {
		arrivals[i] = Arrival{Name: e.Name, Ref: e.ID, Customer: e.CustomerID, At: e.OccurredAt, Facts: e.Properties}
	}
	return t.arrive(ctx, ns, ListenEvent, listeners, arrivals, now)
}

// wishers are the customers whose wish lists events are about, and were about as they are stored.
func wishers(events []Event, stored map[string]Event) []string {
	var customers []string
	for i := range events {
		if isWish(events[i].Name) {
			customers = append(customers, events[i].CustomerID)
		}
		if old, known := stored[events[i].ID]; known && isWish(old.Name) {
			customers = append(customers, old.CustomerID)
		}
	}
	return distinct(customers)
}

func (t *Tx) readEvents(ctx context.Context, ns string, ids []string, lock string) (map[string]Event, error) {
	stored := make(map[string]Event)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var e Event
		var at int64
		var properties []byte
		if err := rows.Scan(&e.ID, &e.CustomerID, &e.Name, &at, &properties); err != nil {
			return err
		}
		canonical, err := canonicalJSON(properties)
		e.OccurredAt, e.Properties = Time(at), canonical
		stored[e.ID] = e
		return err
	}, `SELECT id, customer_id, name, occurred_at, properties FROM events
		WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+lock, ns, List(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return stored, nil
}

func sameEvent(a, b Event) bool {
	return a.ID == b.ID && a.CustomerID == b.CustomerID && a.Name == b.Name &&
		Millis(a.OccurredAt) == Millis(b.OccurredAt) && bytes.Equal(a.Properties, b.Properties)
}
