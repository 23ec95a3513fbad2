// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

type subscriptionRow struct {
	id, customer, status               string
	plan                               Field[string]
	startedAt, cancelledAt, deliversAt Field[int64]
}

var subscriptionColumns = []string{"ns", "id", "customer_id", "plan", "status", "started_at", "cancelled_at", "next_delivery_at", "updated_at"}

// UpsertSubscriptions adds what is said to what is known of subscriptions. now is the business time.
func (t *Tx) UpsertSubscriptions(ctx context.Context, ns string, subscriptions []Subscription, now time.Time) (Counts, error) {
	subscriptions, err := ofSurvivors(ctx, t, ns, subscriptions, func(s *Subscription) *string { return &s.CustomerID })
	if err != nil {
		return Counts{}, err
	}
	ids, customers := make([]string, len(subscriptions)), make([]string, len(subscriptions))
	for i := range subscriptions {
		ids[i], customers[i] = subscriptions[i].ID, subscriptions[i].CustomerID
	}
	if err := t.ensureCustomers(ctx, ns, distinct(customers), t.dialect.ForUpdate(), now); err != nil {
		return Counts{}, err
	}
	stored := make(map[string]subscriptionRow)
	err = Each(ctx, t, func(rows *sql.Rows) error {
		var r subscriptionRow
		err := rows.Scan(&r.id, &r.customer, &r.plan, &r.status, &r.startedAt, &r.cancelledAt, &r.deliversAt)
		stored[r.id] = r
		return err
	}, `SELECT id, customer_id, plan, status, started_at, cancelled_at, next_delivery_at FROM subscriptions
		WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForUpdate(), ns, List(t.dialect, distinct(ids)))
	if err != nil {
		return Counts{}, fmt.Errorf("read subscriptions: %w", err)
	}
	m := merge(subscriptions, func(s *Subscription) string { return s.ID }, stored, func(old subscriptionRow, s *Subscription) subscriptionRow {
		return subscriptionRow{
			id: s.ID, customer: s.CustomerID, status: s.Status, plan: s.Plan.or(old.plan),
			startedAt:   millisField(s.StartedAt).or(old.startedAt),
			cancelledAt: millisField(s.CancelledAt).or(old.cancelledAt),
			deliversAt:  millisField(s.NextDelivery).or(old.deliversAt),
		}
	}, func(a, b subscriptionRow) bool { return a == b })
	for _, r := range slices.Concat(m.added, m.changed) {
		t.Touch(ns, r.customer, TouchedSubscription)
		// A subscription that moved was somebody else's.
		if old, known := stored[r.id]; known && old.customer != r.customer {
			t.Touch(ns, old.customer, TouchedSubscription)
		}
	}
	return m.counts, write(ctx, t, "subscriptions", subscriptionColumns, 2, m, func(r subscriptionRow, row []any) []any {
		return append(row, ns, r.id, r.customer, r.plan.column(), r.status, r.startedAt.column(), r.cancelledAt.column(), r.deliversAt.column(), Millis(now))
	})
}
