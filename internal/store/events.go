// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"
)

var eventColumns = []string{"ns", "id", "customer_id", "name", "occurred_at", "properties", "received_at"}

// UpsertEvents adds events or replaces those with the same id. now is the business time.
func (t *Tx) UpsertEvents(ctx context.Context, ns string, events []Event, now time.Time) (Counts, error) {
	ids, customers := make([]string, len(events)), make([]string, len(events))
	for i := range events {
		ids[i], customers[i] = events[i].ID, events[i].CustomerID
	}
	if err := t.ensureCustomers(ctx, ns, distinct(customers), "", now); err != nil {
		return Counts{}, err
	}
	stored := make(map[string]Event)
	err := collect(ctx, t, func(rows *sql.Rows) error {
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
		WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForUpdate(), ns, List(t.dialect, distinct(ids)))
	if err != nil {
		return Counts{}, fmt.Errorf("read events: %w", err)
	}
	m := merge(events, func(e *Event) string { return e.ID }, stored,
		func(_ Event, e *Event) Event { return *e }, sameEvent)
	return m.counts, write(ctx, t, "events", eventColumns, 2, m, func(e Event, row []any) []any {
		return append(row, ns, e.ID, e.CustomerID, e.Name, Millis(e.OccurredAt), string(e.Properties), Millis(now))
	})
}

func sameEvent(a, b Event) bool {
	return a.ID == b.ID && a.CustomerID == b.CustomerID && a.Name == b.Name &&
		Millis(a.OccurredAt) == Millis(b.OccurredAt) && bytes.Equal(a.Properties, b.Properties)
}
