// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/replenish"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// bought is what a customer's counted orders say of a product.
type bought struct {
	purchases, lastAt, day int64
	logSum, logSquares     int64 // of the intervals, in millionths
	paired                 int64 // 1 where it is one of those that make pairs
}

// million is the unit of logarithms, so that sums of them are whole numbers.
const million = 1e6

func millionths(v float64) int64 { return int64(math.Round(v * million)) }

// basket is all that a customer bought, by product.
type basket map[string]bought

// mostPaired is how many of a customer's products make pairs, the latest: a reseller who bought all of the
// catalogue would make a million, and say little.
const mostPaired = 50

// latest are the products that were bought last, at most n.
func (b basket) latest(n int) []string {
	ids := make([]string, 0, len(b))
	for id := range b {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y string) int {
		return cmp.Or(cmp.Compare(b[y].lastAt, b[x].lastAt), cmp.Compare(x, y))
	})
	return ids[:min(n, len(ids))]
}

// readBaskets reads what customers have bought by now.
func readBaskets(ctx context.Context, q store.Querier, ns string, customers []string, now int64) (map[string]basket, error) {
	baskets := map[string]basket{}
	var customer, product string
	var history replenish.History
	var row bought
	fold := func() {
		if history.Purchases == 0 {
			return
		}
		if baskets[customer] == nil {
			baskets[customer] = basket{}
		}
		row.purchases, row.lastAt, row.day = history.Purchases, history.LastAt, dayOf(history.LastAt, now)
		baskets[customer][product] = row
	}
	err := store.Each(ctx, q, func(rows *sql.Rows) error {
		var c, p string
		var at int64
		if err := rows.Scan(&c, &p, &at); err != nil {
			return err
		}
		if c != customer || p != product {
			fold()
			customer, product, history, row = c, p, replenish.History{}, bought{}
		}
		if logDays, ends := history.Add(at); ends {
			row.logSum += millionths(logDays)
			row.logSquares += millionths(logDays * logDays)
		}
		return nil
	}, `SELECT o.customer_id, i.product_id, o.placed_at FROM `+q.Dialect().Unnest(2)+` u CROSS JOIN orders o CROSS JOIN order_items i
		WHERE o.ns = $1 AND o.customer_id = u.value AND o.counted = 1 AND i.ns = $1 AND i.order_id = o.id AND i.product_id <> ''
		ORDER BY o.customer_id, i.product_id, o.placed_at`, ns, store.List(q.Dialect(), customers))
	if err != nil {
		return nil, fmt.Errorf("read what customers bought: %w", err)
	}
	fold()
	for _, b := range baskets {
		b.pair()
	}
	return baskets, nil
}

// pair says which products make pairs.
func (b basket) pair() {
	for _, product := range b.latest(mostPaired) {
		row := b[product]
		row.paired = 1
		b[product] = row
	}
}

// paired are the products that make pairs.
func (b basket) paired() (products []string) {
	for product, row := range b {
		if row.paired == 1 {
			products = append(products, product)
		}
	}
	return products
}

// readCounted reads what was counted of customers.
func readCounted(ctx context.Context, q store.Querier, ns string, customers []string) (map[string]basket, error) {
	baskets := map[string]basket{}
	err := store.Each(ctx, q, func(rows *sql.Rows) error {
		var c, p string
		var b bought
		if err := rows.Scan(&c, &p, &b.purchases, &b.lastAt, &b.day, &b.logSum, &b.logSquares, &b.paired); err != nil {
			return err
		}
		if baskets[c] == nil {
			baskets[c] = basket{}
		}
		baskets[c][p] = b
		return nil
	}, `SELECT customer_id, product_id, purchases, last_at, day, log_sum, log_squares, paired FROM bought
		WHERE ns = $1 AND customer_id `+q.Dialect().AnyText(2), ns, store.List(q.Dialect(), customers))
	if err != nil {
		return nil, fmt.Errorf("read what was counted: %w", err)
	}
	return baskets, nil
}
