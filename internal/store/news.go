// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// The news of a product.
const (
	ProductRestocked    = "Product Restocked"
	ProductLowStock     = "Product Low Stock"
	ProductPriceDropped = "Product Price Dropped"
)

// isNews tells whether a change of a product is this news; few is how many pieces are few. What is sold
// out is not low in stock.
func isNews(name string, old, now *Product, few int64) bool {
	before, knownBefore := old.Stock.Get()
	stock, known := now.Stock.Get()
	switch name {
	case ProductRestocked:
		return known && knownBefore && before <= 0 && stock > 0
	case ProductLowStock:
		return known && knownBefore && before > few && stock <= few && stock > 0
	case ProductPriceDropped:
		oldPrice, hadOne := old.Price.Get()
		price, hasOne := now.Price.Get()
		return hadOne && hasOne && price < oldPrice
	}
	return false
}

// announce puts the news of products before the scenarios that listen to them, which find whom they
// are about.
func (t *Tx) announce(ctx context.Context, ns string, changed []Product, stored map[string]Product, now time.Time) error {
	if len(changed) == 0 {
		return nil
	}
	listeners, err := t.listeners(ctx, ns, ListenProduct)
	if err != nil || len(listeners) == 0 {
		return err
	}
	for i := range changed {
		p := &changed[i]
		old := stored[p.ID]
		for name, who := range listeners {
			for _, l := range who {
				if !isNews(name, &old, p, l.param) {
					continue
				}
				facts, err := json.Marshal(newsOf(&old, p))
				if err != nil {
					return fmt.Errorf("write the news of product %s: %w", p.ID, err)
				}
				_, err = t.Exec(ctx, `INSERT INTO fanouts (ns, scenario, slot, slot_at, facts, customer_id, ref) VALUES ($1, $2, $3, $4, `+t.dialect.JSONParam(5)+`, '', '')`,
					ns, l.scenario, uuid.Must(uuid.NewV7()).String(), Millis(now), string(facts))
				if err != nil {
					return fmt.Errorf("announce the news of product %s: %w", p.ID, err)
				}
			}
		}
	}
	return nil
}

// newsOf is a product as the tracking protocol's events say it.
func newsOf(old, p *Product) map[string]any {
	facts := map[string]any{"product_id": p.ID}
	for name, field := range map[string]Field[string]{"name": p.Name, "category": p.Category, "url": p.URL, "image_url": p.ImageURL} {
		if v, ok := field.Get(); ok && v != "" {
			facts[name] = v
		}
	}
	for name, field := range map[string]Field[money.Amount]{"price": p.Price, "previous_price": old.Price} {
		if v, ok := field.Get(); ok {
			facts[name] = json.Number(v.String())
		}
	}
	for name, field := range map[string]Field[int64]{"stock": p.Stock, "previous_stock": old.Stock} {
		if v, ok := field.Get(); ok {
			facts[name] = v
		}
	}
	return facts
}
