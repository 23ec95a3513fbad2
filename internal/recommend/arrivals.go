// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// newFor is how long a product is new.
const newFor = 60 * 24 * time.Hour

// arrival is a new product.
type arrival struct{ product, category string }

// newArrivals recommends the newest products, those of categories that the customer has bought from first.
func newArrivals(ctx context.Context, s *session) error {
	if err := s.describeBought(ctx, math.MaxInt); err != nil {
		return err
	}
	arrivals, err := s.readArrivals(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.customers {
		own := map[string]bool{}
		for product := range c.bought {
			if category := s.categoryOf(c, product); category != "" {
				own[category] = true
			}
		}
		s.takeArrivals(c, arrivals, own, true)
		s.takeArrivals(c, arrivals, own, false)
	}
	return s.fillFromShop(ctx)
}

func (s *session) takeArrivals(c *customer, arrivals []arrival, own map[string]bool, isOwn bool) {
	if len(c.picks) >= s.limit {
		return
	}
	for _, a := range arrivals {
		if own[a.category] == isOwn && s.take(c, a.product, s.words.arrival) {
			return
		}
	}
}

// readArrivals reads the newest products of all and of each category, the newest first.
func (s *session) readArrivals(ctx context.Context) (arrivals []arrival, err error) {
	err = store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var a arrival
		var category sql.NullString
		err := rows.Scan(&a.product, &category)
		a.category = category.String
		arrivals = append(arrivals, a)
		return err
	}, `SELECT id, category FROM (
			SELECT p.id, p.category, p.created_at, row_number() OVER (PARTITION BY p.category ORDER BY p.created_at DESC, p.id) AS nth,
				row_number() OVER (ORDER BY p.created_at DESC, p.id) AS overall
			FROM products p WHERE p.ns = $1 AND p.created_at > $2 AND p.created_at <= $3 AND `+inStockSQL+`
		) r WHERE nth <= $4 OR overall <= $4 ORDER BY created_at DESC, id`,
		s.ns, store.Millis(s.now.Add(-newFor)), store.Millis(s.now), s.length())
	if err != nil {
		return nil, fmt.Errorf("read new products: %w", err)
	}
	return arrivals, nil
}
