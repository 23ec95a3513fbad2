// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// The events that say what became of an order, named as the tracking protocols name them.
const (
	EventOrderCompleted = "Order Completed"
	EventOrderUpdated   = "Order Updated"
	EventOrderRefunded  = "Order Refunded"
	EventOrderCancelled = "Order Cancelled"
)

// IsOrderEvent tells whether an event says what became of an order.
func IsOrderEvent(name string) bool {
	return name == EventOrderCompleted || name == EventOrderUpdated || name == EventOrderRefunded || name == EventOrderCancelled
}

// The statuses that tracked orders get.
const (
	statusCompleted = "completed"
	statusCancelled = "cancelled"
	statusRefunded  = "refunded"
)

// OrderNews is what an event says of an order.
type OrderNews struct {
	Order
	// Event is one of the events of IsOrderEvent.
	Event string
	// HasTotal says that Total was told. Of a refund it is what was paid back.
	HasTotal bool
}

// TrackOrders brings orders up to date with what events say of them, in their order. Each event must be told
// once. now is the business time.
func (t *Tx) TrackOrders(ctx context.Context, ns string, news []OrderNews, now time.Time) error {
	if len(news) == 0 {
		return nil
	}
	news, err := ofSurvivors(ctx, t, ns, news, func(o *OrderNews) *string { return &o.CustomerID })
	if err != nil {
		return err
	}
	ids, customers := make([]string, len(news)), make([]string, len(news))
	for i := range news {
		ids[i], customers[i] = news[i].ID, news[i].CustomerID
	}
	stored, err := t.lockOrders(ctx, ns, distinct(ids), distinct(customers), now)
	if err != nil {
		return err
	}
	_, err = t.writeMerged(ctx, ns, merge(news, func(o *OrderNews) string { return o.ID }, stored, applyNews, sameOrder), stored, now)
	return err
}

// applyNews is an order after an event. Of one that is known, whose it is and when it was placed stay; and
// what was cancelled or paid back does not count again because a word of its completion comes late.
func applyNews(old orderRow, n *OrderNews) orderRow {
	known := old.id != ""
	said := n.Order
	if known {
		said.CustomerID, said.PlacedAt = old.customer, Time(old.placedAt)
	}
	over := known && !old.counted()
	switch n.Event {
	case EventOrderCompleted, EventOrderUpdated:
		if status, _ := old.status.Get(); status == "" {
			said.Status = Value(statusCompleted)
		}
		if known && !n.HasTotal {
			said.Total = money.Amount(old.total)
		}
	case EventOrderCancelled:
		said.Status = Value(statusCancelled)
		if known {
			said.Total, said.HasItems = money.Amount(old.total), false
		}
	case EventOrderRefunded:
		said.Status = Value(statusRefunded)
		if known {
			said.Total, said.HasItems = money.Amount(old.total), false
			if n.HasTotal && !over && int64(n.Total) < old.total { // a part of it
				said.Status, said.Total = Field[string]{}, money.Amount(old.total)-n.Total
			}
		}
	}
	return applyOrder(old, &said)
}
