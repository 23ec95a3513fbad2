// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// slice is a kind of facts that make a difference when they get to a certain age: a last order that
// is 30 days old, an event that leaves a window, a delivery that comes near. Between two refreshes,
// those facts did which are dated between the two moments that lie so far back.
type slice struct {
	facts facts
	// name and id are what the facts need to be told: an event's name, a kind of engagement, a prediction.
	name, id string
	// age is negative for facts that lie ahead.
	age time.Duration
}

type facts uint8

const (
	factOrders facts = iota
	factEvents
	factCancellations
	factDeliveries
	factEngagements
	factFavourites
	factPredictions
	factItems
	factItemsOfCategory
	factItemsOfProduct
	factSubscriptions
	factAttributes
)

// customers selects those who have such a fact from one moment to another.
func (s slice) customers(t0, t1 time.Time) (query string, args []any) {
	args = []any{store.Millis(t0.Add(-s.age)), store.Millis(t1.Add(-s.age))}
	between := func(table, column, more string) string {
		return fmt.Sprintf("SELECT x.customer_id FROM %s x WHERE x.ns = $1 AND x.%s > $2 AND x.%s <= $3%s", table, column, column, more)
	}
	switch s.facts {
	case factOrders:
		return between("orders", "placed_at", ""), args
	case factEvents:
		return between("events", "occurred_at", " AND x.name = $4"), append(args, s.name)
	case factCancellations:
		return between("subscriptions", "cancelled_at", ""), args
	case factDeliveries:
		return between("subscriptions", "next_delivery_at", ""), args
	case factEngagements:
		return between("engagements", "at", " AND x.kind = $4"), append(args, s.name)
	case factFavourites:
		return between("favourites", "added_at", ""), args
	default:
		return between("replenishments", "due_at", " AND x.scope = $4 AND x.id = $5"), append(args, s.name, s.id)
	}
}
