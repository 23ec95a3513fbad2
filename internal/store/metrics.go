// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
)

// metricsOf computes the rows of metrics from orders. condition chooses customers. An order that does
// not count still gives its customer a row.
func metricsOf(condition string) string {
	return `SELECT ns, customer_id, CAST(sum(counted) AS BIGINT) AS orders,
		CAST(coalesce(sum(total) FILTER (WHERE counted = 1), 0) AS BIGINT) AS spend,
		min(placed_at) FILTER (WHERE counted = 1) AS first_order_at,
		max(placed_at) FILTER (WHERE counted = 1) AS last_order_at,
		max(placed_at) FILTER (WHERE counted = 1 AND nth = 2) AS previous_order_at
	FROM (
		SELECT ns, customer_id, placed_at, counted, total,
			row_number() OVER (PARTITION BY customer_id, counted ORDER BY placed_at DESC) AS nth
		FROM orders WHERE ns = $1` + condition + `
	) o
	GROUP BY ns, customer_id`
}

// refreshMetrics recomputes the metrics of customers, whose rows this transaction has locked.
func (t *Tx) refreshMetrics(ctx context.Context, ns string, customers []string) error {
	if len(customers) == 0 {
		return nil
	}
	list := List(t.dialect, customers)
	before, err := t.readMetrics(ctx, ns, customers)
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `INSERT INTO metrics (ns, customer_id, orders, spend, first_order_at, last_order_at, previous_order_at)
		`+metricsOf(" AND customer_id "+t.dialect.AnyText(2))+`
		ON CONFLICT (ns, customer_id) DO UPDATE SET orders = excluded.orders, spend = excluded.spend,
			first_order_at = excluded.first_order_at, last_order_at = excluded.last_order_at, previous_order_at = excluded.previous_order_at`,
		ns, list)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	_, err = t.Exec(ctx, `DELETE FROM metrics WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2)+`
		AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.ns = metrics.ns AND o.customer_id = metrics.customer_id)`, ns, list)
	if err != nil {
		return fmt.Errorf("delete metrics: %w", err)
	}
	for _, id := range customers {
		t.touchOrders(ns, before[id], id)
	}
	return nil
}

func (t *Tx) readMetrics(ctx context.Context, ns string, customers []string) (map[string]metricsRow, error) {
	stored := make(map[string]metricsRow)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var r metricsRow
		err := rows.Scan(&r.customer, &r.orders, &r.spend, &r.first, &r.last, &r.previous)
		stored[r.customer] = r
		return err
	}, `SELECT customer_id, orders, spend, first_order_at, last_order_at, previous_order_at FROM metrics
		WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2), ns, List(t.dialect, customers))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return stored, nil
}

type metricsRow struct {
	customer              string
	orders, spend         int64
	first, last, previous Field[int64]
}

var metricsColumns = []string{"ns", "customer_id", "orders", "spend", "first_order_at", "last_order_at", "previous_order_at"}

// addToMetrics adds new orders to the metrics of their customers, whose rows this transaction has locked.
func (t *Tx) addToMetrics(ctx context.Context, ns string, orders []orderRow) error {
	if len(orders) == 0 {
		return nil
	}
	customers := make([]string, len(orders))
	for i := range orders {
		customers[i] = orders[i].customer
	}
	stored, err := t.readMetrics(ctx, ns, distinct(customers))
	if err != nil {
		return err
	}
	for i := range orders {
		t.touchOrders(ns, stored[orders[i].customer], orders[i].customer)
	}
	m := merge(orders, func(o *orderRow) string { return o.customer }, stored, metricsRow.plus, func(a, b metricsRow) bool { return a == b })
	return write(ctx, t, "metrics", metricsColumns, 2, m, func(r metricsRow, row []any) []any {
		return append(row, ns, r.customer, r.orders, r.spend, r.first.column(), r.last.column(), r.previous.column())
	})
}

func (r metricsRow) plus(o *orderRow) metricsRow {
	r.customer = o.customer
	r.first, r.last, r.previous = r.first.or(None[int64]()), r.last.or(None[int64]()), r.previous.or(None[int64]())
	if !o.counted() {
		return r
	}
	r.orders++
	r.spend += o.total
	if first, ok := r.first.Get(); !ok || o.placedAt < first {
		r.first = Value(o.placedAt)
	}
	last, any := r.last.Get()
	previous, two := r.previous.Get()
	switch {
	case !any || o.placedAt >= last:
		r.last, r.previous = Value(o.placedAt), r.last
	case !two || o.placedAt > previous:
		r.previous = Value(o.placedAt)
	}
	return r
}

const rebuildBatch = 5000

// RebuildMetrics computes the metrics and predictions of all customers of a shop anew, some thousand at
// a time, while others may write.
func (s *Store) RebuildMetrics(ctx context.Context, ns string) error {
	for after, more := "", true; more; {
		err := s.Tx(ctx, func(tx *Tx) error {
			var customers []string
			err := Each(ctx, tx, func(rows *sql.Rows) error {
				var id string
				err := rows.Scan(&id)
				customers = append(customers, id)
				return err
			}, `SELECT id FROM customers WHERE ns = $1 AND id > $2 ORDER BY id LIMIT $3`+tx.dialect.ForUpdate(), ns, after, rebuildBatch)
			if err != nil {
				return fmt.Errorf("read customers: %w", err)
			}
			if err := tx.refreshMetrics(ctx, ns, customers); err != nil {
				return err
			}
			if err := tx.rebuildReplenishments(ctx, ns, customers); err != nil {
				return err
			}
			if err := tx.rebuildDerived(ctx, ns, customers); err != nil {
				return err
			}
			if more = len(customers) == rebuildBatch; more {
				after = customers[rebuildBatch-1]
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("rebuild metrics: %w", err)
		}
	}
	return nil
}

// CheckMetrics counts the customers of a shop whose metrics are not what their orders make, and the
// predictions, engagements, wish lists and reaches that are not what they are made of. There are none.
func (s *Store) CheckMetrics(ctx context.Context, ns string) (wrong int64, err error) {
	const kept = `SELECT ns, customer_id, orders, spend, first_order_at, last_order_at, previous_order_at FROM metrics WHERE ns = $1`
	computed := metricsOf("")
	err = s.QueryRow(ctx, `SELECT count(DISTINCT customer_id) FROM (
		SELECT * FROM (`+kept+` EXCEPT `+computed+`) a
		UNION ALL
		SELECT * FROM (`+computed+` EXCEPT `+kept+`) b
	) d`, ns).Scan(&wrong)
	if err != nil {
		return 0, fmt.Errorf("check metrics: %w", err)
	}
	predictions, err := s.checkReplenishments(ctx, ns)
	if err != nil {
		return 0, err
	}
	derived, err := s.checkDerived(ctx, ns)
	return wrong + predictions + derived, err
}
