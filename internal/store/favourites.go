// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
)

// The events that make a wish list, named as the tracking protocols name them.
const (
	EventWished   = "Product Added to Wishlist"
	EventUnwished = "Product Removed from Wishlist"
)

func isWish(event string) bool { return event == EventWished || event == EventUnwished }

// updateFavourites makes the wish lists of customers, whose rows this transaction has locked, anew
// from their events. The latest event about a product decides; of two at once, the removal.
func (t *Tx) updateFavourites(ctx context.Context, ns string, customers []string) error {
	if len(customers) == 0 {
		return nil
	}
	among, list := t.dialect.AnyText(2), List(t.dialect, customers)
	if _, err := t.Exec(ctx, `DELETE FROM favourites WHERE ns = $1 AND customer_id `+among, ns, list); err != nil {
		return fmt.Errorf("clear wish lists: %w", err)
	}
	_, err := t.Exec(ctx, `INSERT INTO favourites (ns, customer_id, product_id, category, added_at)
		SELECT ns, customer_id, product, category, occurred_at FROM (
			SELECT e.ns, e.customer_id, e.name, e.product, e.category, e.occurred_at,
				ROW_NUMBER() OVER (PARTITION BY e.customer_id, e.product ORDER BY e.occurred_at DESC, e.name DESC, e.id DESC) AS nth
			FROM (SELECT ns, id, customer_id, name, occurred_at, `+t.dialect.JSONText("properties", 3)+` AS product, `+t.dialect.JSONText("properties", 4)+` AS category
				FROM events WHERE ns = $1 AND customer_id `+among+` AND name IN ($5, $6)) e
			WHERE e.product <> '') latest
		WHERE nth = 1 AND name = $5`,
		ns, list, t.dialect.JSONKey("product_id"), t.dialect.JSONKey("category"), EventWished, EventUnwished)
	if err != nil {
		return fmt.Errorf("write wish lists: %w", err)
	}
	for _, id := range customers {
		t.Touch(ns, id, TouchedFavourite)
	}
	return nil
}
