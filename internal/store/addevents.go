// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// AddEvents adds events whose ids are not there yet, and tells which these were: of one that was sent again
// the first stays, whatever the second says. now is the business time.
func (t *Tx) AddEvents(ctx context.Context, ns string, events []Event, now time.Time) (added map[string]bool, err error) {
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	known, err := t.knownEvents(ctx, ns, distinct(ids))
	if err != nil {
		return nil, err
	}
	added = make(map[string]bool, len(events))
	fresh := make([]Event, 0, len(events))
	for i := range events {
		if id := events[i].ID; !known[id] && !added[id] {
			added[id] = true
			fresh = append(fresh, events[i])
		}
	}
	if fresh, err = ofSurvivors(ctx, t, ns, fresh, func(e *Event) *string { return &e.CustomerID }); err != nil || len(fresh) == 0 {
		return added, err
	}
	slices.SortFunc(fresh, func(a, b Event) int { return strings.Compare(a.ID, b.ID) })
	customers := make([]string, len(fresh))
	for i := range fresh {
		customers[i] = fresh[i].CustomerID
	}
	if err := t.ensureCustomers(ctx, ns, distinct(customers), t.dialect.ForUpdate(), now); err != nil {
		return nil, err
	}
	for i := range fresh {
		t.Touch(ns, fresh[i].CustomerID, TouchedEvent(fresh[i].Name))
	}
	err = write(ctx, t, "events", eventColumns, 2, merged[Event]{added: fresh}, func(e Event, row []any) []any {
		return append(row, ns, e.ID, e.CustomerID, e.Name, Millis(e.OccurredAt), string(e.Properties), Millis(now))
	})
	if err != nil {
		return nil, err
	}
	if err := t.arriveEvents(ctx, ns, fresh, now); err != nil {
		return nil, err
	}
	return added, t.updateFavourites(ctx, ns, wishers(fresh, nil))
}

func (t *Tx) knownEvents(ctx context.Context, ns string, ids []string) (map[string]bool, error) {
	known := map[string]bool{}
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		known[id] = true
		return err
	}, `SELECT id FROM events WHERE ns = $1 AND id `+t.dialect.AnyText(2), ns, List(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("look for events: %w", err)
	}
	return known, nil
}
