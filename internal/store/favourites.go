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
	wishes, args := t.dialect.wishes(" AND customer_id " + t.dialect.AnyText(6))
	_, err := t.Exec(ctx, `INSERT INTO favourites (ns, customer_id, product_id, category, added_at) `+wishes, append(append([]any{ns}, args...), list)...)
	if err != nil {
		return fmt.Errorf("write wish lists: %w", err)
	}
	for _, id := range customers {
		t.Touch(ns, id, TouchedFavourite)
	}
	return nil
}

// wishes computes the wish lists of a shop, $1, from its events. condition chooses some of these; the
// arguments are $2 to $5.
func (d Dialect) wishes(condition string) (query string, args []any) {
	return `SELECT ns, customer_id, product, category, occurred_at FROM (
			SELECT e.ns, e.customer_id, e.name, e.product, e.category, e.occurred_at,
				ROW_NUMBER() OVER (PARTITION BY e.customer_id, e.product ORDER BY e.occurred_at DESC, e.name DESC, e.id DESC) AS nth
			FROM (SELECT ns, id, customer_id, name, occurred_at, ` + d.JSONText("properties", 2) + ` AS product, ` + d.JSONText("properties", 3) + ` AS category
				FROM events WHERE ns = $1` + condition + ` AND name IN ($4, $5)) e
			WHERE e.product <> '') latest
		WHERE nth = 1 AND name = $4`, []any{d.JSONKey("product_id"), d.JSONKey("category"), EventWished, EventUnwished}
}
