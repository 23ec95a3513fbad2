// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Product is a product that is recommended to a customer.
type Product struct {
	ID, Name string
	// These are empty where the shop does not tell.
	Category, URL, ImageURL string
	Price                   *money.Amount
	Stock                   *int64
	// Reason is a short sentence to print beside it.
	Reason string
}

// inStockSQL holds for a row p of products that can be had. Of what the shop does not tell the stock, there is enough.
const inStockSQL = `(p.stock IS NULL OR p.stock > 0)`

func (p *Product) inStock() bool { return p.Stock == nil || *p.Stock > 0 }

// Data is the product as templates see it. What is not known is not in it.
func (p Product) Data() map[string]any {
	data := map[string]any{"id": p.ID}
	for name, value := range map[string]string{"name": p.Name, "category": p.Category, "url": p.URL, "image_url": p.ImageURL, "reason": p.Reason} {
		if value != "" {
			data[name] = value
		}
	}
	if p.Price != nil {
		data["price"] = p.Price.Float()
	}
	if p.Stock != nil {
		data["stock"] = *p.Stock
	}
	return data
}

// Products are products as they are now, by id. Those that the shop has not told of are not in the map.
func Products(ctx context.Context, q store.Querier, ns string, ids []string) (map[string]Product, error) {
	products := make(map[string]Product, len(ids))
	if len(ids) == 0 {
		return products, nil
	}
	err := store.Each(ctx, q, func(rows *sql.Rows) error {
		var p Product
		var category, url, image sql.NullString
		var price sql.Null[int64]
		var stock sql.Null[int64]
		if err := rows.Scan(&p.ID, &p.Name, &category, &price, &stock, &url, &image); err != nil {
			return err
		}
		p.Category, p.URL, p.ImageURL = category.String, url.String, image.String
		if price.Valid {
			amount := money.Amount(price.V)
			p.Price = &amount
		}
		if stock.Valid {
			p.Stock = &stock.V
		}
		products[p.ID] = p
		return nil
	}, `SELECT id, name, category, price, stock, url, image_url FROM products WHERE ns = $1 AND id `+q.Dialect().AnyText(2), ns, store.List(q.Dialect(), ids))
	if err != nil {
		return nil, fmt.Errorf("read products: %w", err)
	}
	return products, nil
}
