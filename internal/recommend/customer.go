// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// purchases are those of a product by a customer.
type purchases struct {
	history replenish.History
	// name and category are as the latest order says them that does, for products that the shop has not told of.
	name, category string
}

// readPurchases reads what counted orders say.
func (s *session) readPurchases(ctx context.Context, ids []string, byID map[string]*customer) error {
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var customer, product string
		var name, category sql.NullString
		var at int64
		if err := rows.Scan(&customer, &product, &name, &category, &at); err != nil {
			return err
		}
		of := byID[customer].bought
		p := of[product]
		if p == nil {
			p = &purchases{}
			of[product] = p
		}
		p.history.Add(at)
		p.name, p.category = cmp.Or(name.String, p.name), cmp.Or(category.String, p.category)
		return nil
	}, `SELECT o.customer_id, i.product_id, i.name, i.category, o.placed_at FROM `+s.q.Dialect().Unnest(2)+` u CROSS JOIN orders o CROSS JOIN order_items i
		WHERE o.ns = $1 AND o.customer_id = u.value AND o.counted = 1 AND i.ns = $1 AND i.order_id = o.id AND i.product_id <> ''
		ORDER BY o.customer_id, i.product_id, o.placed_at, o.id, i.line`, s.ns, store.List(s.q.Dialect(), ids))
	if err != nil {
		return fmt.Errorf("read what customers bought: %w", err)
	}
	return nil
}

// latest are the products that the customer bought last, at most n.
func (c *customer) latest(n int) []string {
	ids := c.products()
	slices.SortStableFunc(ids, func(x, y string) int {
		return cmp.Compare(c.bought[y].history.LastAt, c.bought[x].history.LastAt)
	})
	return ids[:min(n, len(ids))]
}

// products are all that the customer bought, in order.
func (c *customer) products() []string {
	ids := make([]string, 0, len(c.bought))
	for id := range c.bought {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// mostBought is how many products any of the customers has bought: a list that is so much longer than the limit has
// enough for each of them.
func (s *session) mostBought() int {
	most := 0
	for _, c := range s.customers {
		most = max(most, len(c.bought))
	}
	return most
}

// described is what is known of a product.
type described struct {
	known          bool // the shop has told of it
	inStock        bool
	name, category string
	buyers         int64
	moments        moments
}

// describe reads what is known of products, each once in a session.
func (s *session) describe(ctx context.Context, ids []string) error {
	ids = slices.DeleteFunc(ids, func(id string) bool { return s.products[id] != nil })
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var id string
		var name, category sql.NullString
		var stock sql.NullInt64
		d := &described{}
		m := &d.moments
		err := rows.Scan(&id, &name, &category, &stock, &d.buyers, &m.repeaters, &m.intervals, &m.logSum, &m.logSquares, &m.ownSquares, &m.countsSquared)
		d.name, d.category, d.known = name.String, category.String, name.Valid
		d.inStock = name.Valid && (!stock.Valid || stock.Int64 > 0)
		s.products[id] = d
		return err
	}, `SELECT u.value, p.name, p.category, p.stock, COALESCE(s.buyers, 0), COALESCE(s.repeaters, 0), COALESCE(s.intervals, 0),
			COALESCE(s.log_sum, 0), COALESCE(s.log_squares, 0), COALESCE(s.own_squares, 0), COALESCE(s.counts_squared, 0)
		FROM `+s.q.Dialect().Unnest(2)+` u LEFT JOIN products p ON p.ns = $1 AND p.id = u.value
		LEFT JOIN product_sales s ON s.ns = $1 AND s.product_id = u.value`, s.ns, store.List(s.q.Dialect(), ids))
	if err != nil {
		return fmt.Errorf("read what is known of products: %w", err)
	}
	return nil
}

// describeBought describes the products that the customers bought last.
func (s *session) describeBought(ctx context.Context, latest int) error {
	var ids []string
	for _, c := range s.customers {
		ids = append(ids, c.latest(latest)...)
	}
	return s.describe(ctx, ids)
}

// categoryOf is a bought product's, as the shop tells it by now, or else as the order said.
func (s *session) categoryOf(c *customer, product string) string {
	return cmp.Or(s.products[product].category, c.bought[product].category)
}

// viewedFor is for how long it matters what somebody looked at.
const viewedFor = 30 * 24 * time.Hour

// view is that a customer looked at a product.
type view struct {
	product string
	times   int64
	lastAt  int64
}

// readViews reads what customers looked at lately, by customer, in the order of the products.
func (s *session) readViews(ctx context.Context, customers []*customer) (map[string][]view, error) {
	views := map[string][]view{}
	if len(customers) == 0 {
		return views, nil
	}
	ids := make([]string, len(customers))
	for i, c := range customers {
		ids[i] = c.id
	}
	d := s.q.Dialect()
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var id string
		var v view
		err := rows.Scan(&id, &v.product, &v.times, &v.lastAt)
		views[id] = append(views[id], v)
		return err
	}, `SELECT customer_id, product_id, COUNT(*), MAX(occurred_at) FROM (
			SELECT e.customer_id, e.occurred_at, CAST(`+d.ProductOf()+` AS TEXT) AS product_id FROM `+d.Unnest(2)+` u CROSS JOIN events e
			WHERE e.ns = $1 AND e.customer_id = u.value AND e.name = 'Product Viewed' AND e.occurred_at > $3 AND e.occurred_at <= $4
		) v WHERE product_id <> '' GROUP BY customer_id, product_id ORDER BY customer_id, product_id`,
		s.ns, store.List(d, ids), store.Millis(s.now.Add(-viewedFor)), store.Millis(s.now))
	if err != nil {
		return nil, fmt.Errorf("read what customers looked at: %w", err)
	}
	return views, nil
}
