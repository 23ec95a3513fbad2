// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/store"
)

var (
	boughtColumns = []string{"ns", "customer_id", "product_id", "purchases", "last_at", "day", "log_sum", "log_squares", "paired"}
	pairColumns   = []string{"ns", "product_id", "other_id", "customers"}
	salesColumns  = []string{"ns", "product_id", "buyers", "weight", "score", "repeaters", "intervals", "log_sum", "log_squares", "own_squares", "counts_squared"}
)

// recount brings the tables up to date with what customers have bought, each of whom is named once. The transaction
// holds the shop's row of recommendations.
func recount(ctx context.Context, tx *store.Tx, ns string, customers []string, now int64) error {
	counted, baskets, err := read(ctx, tx, ns, customers, now)
	if err != nil {
		return err
	}
	d := differ(customers, counted, baskets)
	d.pair(customers, counted, baskets)
	if err := d.write(ctx, tx, ns); err != nil {
		return err
	}
	return d.writePairs(ctx, tx, ns)
}

// recountUnpaired is recount without the pairs.
func recountUnpaired(ctx context.Context, tx *store.Tx, ns string, customers []string, now int64) error {
	counted, baskets, err := read(ctx, tx, ns, customers, now)
	if err != nil {
		return err
	}
	return differ(customers, counted, baskets).write(ctx, tx, ns)
}

// read reads what was counted of customers, and what they have bought by now.
func read(ctx context.Context, tx *store.Tx, ns string, customers []string, now int64) (counted, baskets map[string]basket, err error) {
	if counted, err = readCounted(ctx, tx, ns, customers); err == nil {
		baskets, err = readBaskets(ctx, tx, ns, customers, now)
	}
	return counted, baskets, err
}

func (d *difference) write(ctx context.Context, tx *store.Tx, ns string) error {
	if err := d.writeBaskets(ctx, tx, ns); err != nil {
		return err
	}
	return d.writeSales(ctx, tx, ns)
}

func (d *difference) writeBaskets(ctx context.Context, tx *store.Tx, ns string) error {
	if _, err := store.BulkInsert(ctx, tx, "bought", boughtColumns, boughtRows(ns, d.added)); err != nil {
		return err
	}
	if _, err := store.BulkUpsert(ctx, tx, "bought", boughtColumns, 3, boughtRows(ns, d.changed)); err != nil {
		return err
	}
	var gone []string
	for customer, of := range d.changed {
		for _, b := range of {
			if b.purchases == 0 {
				gone = append(gone, customer)
			}
		}
	}
	return forget(ctx, tx, `DELETE FROM bought WHERE ns = $1 AND customer_id `+tx.Dialect().AnyText(2)+` AND purchases = 0`, ns, gone)
}

func boughtRows(ns string, baskets map[string]basket) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, 0, len(boughtColumns))
		for _, customer := range slices.Sorted(maps.Keys(baskets)) {
			of := baskets[customer]
			for _, product := range slices.Sorted(maps.Keys(of)) {
				b := of[product]
				if !yield(append(row[:0], ns, customer, product, b.purchases, b.lastAt, b.day, b.logSum, b.logSquares, b.paired)) {
					return
				}
			}
		}
	}
}

func (d *difference) writePairs(ctx context.Context, tx *store.Tx, ns string) error {
	keys := slices.SortedFunc(maps.Keys(d.pairs), func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.product, b.product), cmp.Compare(a.other, b.other))
	})
	var fewer []string
	rows := func(yield func([]any) bool) {
		row := make([]any, 0, len(pairColumns))
		for _, k := range keys {
			by := d.pairs[k]
			if by == 0 {
				continue
			}
			if by < 0 {
				fewer = append(fewer, k.product)
			}
			if !yield(append(row[:0], ns, k.product, k.other, by)) {
				return
			}
		}
	}
	if _, err := store.BulkAdd(ctx, tx, "pairs", pairColumns, 3, rows); err != nil {
		return err
	}
	return forget(ctx, tx, `DELETE FROM pairs WHERE ns = $1 AND product_id `+tx.Dialect().AnyText(2)+` AND customers = 0`, ns, slices.Compact(fewer))
}

func (d *difference) writeSales(ctx context.Context, tx *store.Tx, ns string) error {
	if err := d.addSales(ctx, tx, ns); err != nil {
		return err
	}
	var gone []string
	for product, s := range d.sales {
		if s.buyers == 0 {
			gone = append(gone, product)
		}
	}
	if _, err := store.BulkUpsert(ctx, tx, "product_sales", salesColumns, 2, d.salesRows(ns)); err != nil {
		return err
	}
	return forget(ctx, tx, `DELETE FROM product_sales WHERE ns = $1 AND product_id `+tx.Dialect().AnyText(2)+` AND buyers = 0`, ns, gone)
}

// addSales adds what is stored of products to what changes: databases cannot add numbers of this size.
func (d *difference) addSales(ctx context.Context, tx *store.Tx, ns string) error {
	err := store.Each(ctx, tx, func(rows *sql.Rows) error {
		var product, weight string
		var s sums
		err := rows.Scan(&product, &s.buyers, &weight, &s.repeaters, &s.intervals, &s.logSum, &s.logSquares, &s.ownSquares, &s.countsSquared)
		if err != nil {
			return err
		}
		if s.weight, err = parseWeight(weight); err != nil {
			return err
		}
		d.sales[product].add(&s)
		return nil
	}, `SELECT product_id, buyers, weight, repeaters, intervals, log_sum, log_squares, own_squares, counts_squared FROM product_sales
		WHERE ns = $1 AND product_id `+tx.Dialect().AnyText(2), ns, store.List(tx.Dialect(), slices.Collect(maps.Keys(d.sales))))
	if err != nil {
		return fmt.Errorf("read the sums of products: %w", err)
	}
	return nil
}

func (d *difference) salesRows(ns string) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, 0, len(salesColumns))
		for _, product := range slices.Sorted(maps.Keys(d.sales)) {
			s := d.sales[product]
			if !yield(append(row[:0], ns, product, s.buyers, s.weight.Text(16), scoreOf(s.weight),
				s.repeaters, s.intervals, s.logSum, s.logSquares, s.ownSquares, s.countsSquared)) {
				return
			}
		}
	}
}

// forget runs a statement that deletes rows of some customers or products, if there are any.
func forget(ctx context.Context, tx *store.Tx, statement, ns string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, statement, ns, store.List(tx.Dialect(), ids)); err != nil {
		return fmt.Errorf("delete rows that count nothing: %w", err)
	}
	return nil
}
