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

var productColumns = []string{"ns", "id", "name", "category", "price", "stock", "url", "image_url", "updated_at", "created_at"}

// UpsertProducts adds what is said to what is known of products. now is the business time.
func (t *Tx) UpsertProducts(ctx context.Context, ns string, products []Product, now time.Time) (Counts, error) {
	ids := make([]string, len(products))
	for i := range products {
		ids[i] = products[i].ID
	}
	stored, created := make(map[string]Product), make(map[string]int64)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var p Product
		var at int64
		err := rows.Scan(&p.ID, &p.Name, &p.Category, &p.Price, &p.Stock, &p.URL, &p.ImageURL, &at)
		stored[p.ID], created[p.ID] = p, at
		return err
	}, `SELECT id, name, category, price, stock, url, image_url, created_at FROM products
		WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForUpdate(), ns, List(t.dialect, distinct(ids)))
	if err != nil {
		return Counts{}, fmt.Errorf("read products: %w", err)
	}
	m := merge(products, func(p *Product) string { return p.ID }, stored, func(old Product, p *Product) Product {
		row := Product{
			ID: p.ID, Name: p.Name.or(old.Name), Category: p.Category.or(old.Category), URL: p.URL.or(old.URL),
			ImageURL: p.ImageURL.or(old.ImageURL), Price: p.Price.or(old.Price), Stock: p.Stock.or(old.Stock),
		}
		if _, ok := row.Name.Get(); !ok {
			row.Name = Value(row.ID)
		}
		return row
	}, func(a, b Product) bool { return a == b })
	if err := t.touchFavouring(ctx, ns, m, stored); err != nil {
		return Counts{}, err
	}
	if err := t.announce(ctx, ns, m.changed, stored, now); err != nil {
		return Counts{}, err
	}
	return m.counts, write(ctx, t, "products", productColumns, 2, m, func(p Product, row []any) []any {
		at, known := created[p.ID]
		if !known {
			at = Millis(now)
		}
		return append(row, ns, p.ID, p.Name.column(), p.Category.column(), priceColumn(p.Price), p.Stock.column(), p.URL.column(), p.ImageURL.column(), Millis(now), at)
	})
}

// touchFavouring tells of the customers on whose wish lists are products of which the category changed.
func (t *Tx) touchFavouring(ctx context.Context, ns string, m merged[Product], stored map[string]Product) error {
	var moved []string
	for _, p := range slices.Concat(m.added, m.changed) {
		if old := stored[p.ID]; old.Category.or(None[string]()) != p.Category {
			moved = append(moved, p.ID)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		t.Touch(ns, id, TouchedFavourite)
		return err
	}, `SELECT DISTINCT customer_id FROM favourites WHERE ns = $1 AND product_id `+t.dialect.AnyText(2), ns, List(t.dialect, moved))
	if err != nil {
		return fmt.Errorf("find who favours products: %w", err)
	}
	return nil
}
