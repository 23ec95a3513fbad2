// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

type orderRow struct {
	id, customer             string
	placedAt, total          int64
	currency, status, source Field[string]
	items                    []Item
}

var (
	orderColumns = []string{"ns", "id", "customer_id", "placed_at", "total", "currency", "status", "source", "counted", "received_at"}
	itemColumns  = []string{"ns", "order_id", "line", "customer_id", "product_id", "name", "category", "quantity", "price"}
)

// UpsertOrders adds orders or replaces those with the same id, and brings the metrics and predictions
// of all customers they touch up to date. now is the business time.
func (t *Tx) UpsertOrders(ctx context.Context, ns string, orders []Order, now time.Time) (Counts, error) {
	orders, err := ofSurvivors(ctx, t, ns, orders, func(o *Order) *string { return &o.CustomerID })
	if err != nil {
		return Counts{}, err
	}
	ids, customers := make([]string, len(orders)), make([]string, len(orders))
	for i := range orders {
		ids[i], customers[i] = orders[i].ID, orders[i].CustomerID
	}
	stored, err := t.lockOrders(ctx, ns, distinct(ids), distinct(customers), now)
	if err != nil {
		return Counts{}, err
	}
	return t.writeMerged(ctx, ns, merge(orders, func(o *Order) string { return o.ID }, stored, applyOrder, sameOrder), stored, now)
}

// writeMerged writes a merged batch of orders, and all that follows from it.
func (t *Tx) writeMerged(ctx context.Context, ns string, m merged[orderRow], stored map[string]orderRow, now time.Time) (Counts, error) {
	if err := t.writeOrders(ctx, ns, m, now); err != nil {
		return Counts{}, err
	}
	if err := t.updateMetrics(ctx, ns, m, stored); err != nil {
		return Counts{}, err
	}
	if err := t.arriveOrders(ctx, ns, m, stored, now); err != nil {
		return Counts{}, err
	}
	return m.counts, t.updateReplenishments(ctx, ns, m, stored, now)
}

// arriveOrders puts orders that count, and did not before, before the scenarios that let in who orders.
func (t *Tx) arriveOrders(ctx context.Context, ns string, m merged[orderRow], stored map[string]orderRow, now time.Time) error {
	listeners, err := t.listeners(ctx, ns, ListenOrder)
	if err != nil || len(listeners) == 0 {
		return err
	}
	var arrivals []Arrival
	for _, o := range slices.Concat(m.added, m.changed) {
		if old, known := stored[o.id]; !o.counted() || known && old.counted() {
			continue
		}
		facts, err := o.facts()
		if err != nil {
			return err
		}
		arrivals = append(arrivals, Arrival{Ref: o.id, Customer: o.customer, At: Time(o.placedAt), Facts: facts})
	}
	return t.arrive(ctx, ns, ListenOrder, listeners, arrivals, now)
}

// facts are an order as the tracking protocol's Order Completed says it.
func (r *orderRow) facts() (json.RawMessage, error) {
	products := make([]map[string]any, len(r.items))
	for i := range r.items {
		item := &r.items[i]
		products[i] = map[string]any{"quantity": item.Quantity}
		for name, value := range map[string]Field[string]{"product_id": item.ProductID, "name": item.Name, "category": item.Category} {
			if v, ok := value.Get(); ok {
				products[i][name] = v
			}
		}
		if price, ok := item.Price.Get(); ok {
			products[i]["price"] = json.Number(price.String())
		}
	}
	facts := map[string]any{"order_id": r.id, "total": json.Number(money.Amount(r.total).String()), "products": products}
	for name, value := range map[string]Field[string]{"currency": r.currency, "status": r.status, "source": r.source} {
		if v, ok := value.Get(); ok && v != "" {
			facts[name] = v
		}
	}
	text, err := json.Marshal(facts)
	if err != nil {
		return nil, fmt.Errorf("write order %s: %w", r.id, err)
	}
	return text, nil
}

// updateMetrics brings metrics up to date with a batch of orders. To a customer's metrics orders can be
// added; where one has changed they are computed anew.
func (t *Tx) updateMetrics(ctx context.Context, ns string, m merged[orderRow], stored map[string]orderRow) error {
	var anew []string
	for _, row := range m.changed {
		anew = append(anew, stored[row.id].customer, row.customer)
	}
	anew = distinct(anew)
	plus := slices.Clone(m.added)
	plus = slices.DeleteFunc(plus, func(row orderRow) bool {
		_, found := slices.BinarySearch(anew, row.customer)
		return found
	})
	if err := t.addToMetrics(ctx, ns, plus); err != nil {
		return err
	}
	return t.refreshMetrics(ctx, ns, anew)
}

// lockOrders reads orders and locks the customers that they are said to belong to and those they do
// belong to, in one go, so that two imports cannot wait for each other. Whoever writes an order or
// computes the metrics of a customer holds these locks: the metrics miss no order, and the orders
// stay as they are.
func (t *Tx) lockOrders(ctx context.Context, ns string, ids, customers []string, now time.Time) (map[string]orderRow, error) {
	stored, err := t.readOrders(ctx, ns, ids)
	if err != nil {
		return nil, err
	}
	for _, row := range stored {
		customers = append(customers, row.customer)
	}
	customers = distinct(customers)
	if err := t.ensureCustomers(ctx, ns, customers, t.dialect.ForUpdate(), now); err != nil {
		return nil, err
	}
	if len(stored) == 0 || t.dialect == SQLite {
		return stored, nil // nobody can change them, or adding them will find that somebody did
	}
	if stored, err = t.readOrders(ctx, ns, ids); err != nil {
		return nil, err
	}
	for _, row := range stored {
		if _, locked := slices.BinarySearch(customers, row.customer); !locked {
			return nil, fmt.Errorf("an order moved: %w", ErrRetry)
		}
	}
	return stored, nil
}

func (t *Tx) readOrders(ctx context.Context, ns string, ids []string) (map[string]orderRow, error) {
	stored := make(map[string]orderRow)
	list := List(t.dialect, ids)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var r orderRow
		err := rows.Scan(&r.id, &r.customer, &r.placedAt, &r.total, &r.currency, &r.status, &r.source)
		stored[r.id] = r
		return err
	}, `SELECT id, customer_id, placed_at, total, currency, status, source FROM orders
		WHERE ns = $1 AND id `+t.dialect.AnyText(2), ns, list)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	if len(stored) == 0 {
		return stored, nil
	}
	err = Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		var item Item
		if err := rows.Scan(&id, &item.ProductID, &item.Name, &item.Category, &item.Quantity, &item.Price); err != nil {
			return err
		}
		// Without the lock, an order may have come between the two queries.
		if r, known := stored[id]; known {
			r.items = append(r.items, item)
			stored[id] = r
		}
		return nil
	}, `SELECT order_id, product_id, name, category, quantity, price FROM order_items
		WHERE ns = $1 AND order_id `+t.dialect.AnyText(2)+` ORDER BY order_id, line`, ns, list)
	if err != nil {
		return nil, fmt.Errorf("read the items of orders: %w", err)
	}
	return stored, nil
}

func applyOrder(old orderRow, o *Order) orderRow {
	row := orderRow{
		id: o.ID, customer: o.CustomerID, placedAt: Millis(o.PlacedAt), total: int64(o.Total),
		currency: o.Currency.or(old.currency), source: o.Source.or(old.source), items: old.items,
		status: o.Status.or(old.status),
	}
	if o.HasItems {
		row.items = o.Items
	}
	// The column is not nullable: an order without a status has an empty one.
	if _, ok := row.status.Get(); !ok {
		row.status = Value("")
	}
	return row
}

func (r *orderRow) counted() bool {
	status, _ := r.status.Get()
	return counts(status)
}

func sameOrder(a, b orderRow) bool {
	return a.id == b.id && a.customer == b.customer && a.placedAt == b.placedAt && a.total == b.total &&
		a.currency == b.currency && a.status == b.status && a.source == b.source && slices.Equal(a.items, b.items)
}

func (t *Tx) writeOrders(ctx context.Context, ns string, m merged[orderRow], now time.Time) error {
	err := write(ctx, t, "orders", orderColumns, 2, m, func(r orderRow, row []any) []any {
		status, _ := r.status.Get()
		counted := int64(0)
		if r.counted() {
			counted = 1
		}
		return append(row, ns, r.id, r.customer, r.placedAt, r.total, r.currency.column(), status, r.source.column(), counted, Millis(now))
	})
	if err != nil {
		return err
	}
	if len(m.changed) > 0 {
		ids := make([]string, len(m.changed))
		for i, row := range m.changed {
			ids[i] = row.id
		}
		if _, err := t.Exec(ctx, `DELETE FROM order_items WHERE ns = $1 AND order_id `+t.dialect.AnyText(2), ns, List(t.dialect, ids)); err != nil {
			return fmt.Errorf("replace the items of orders: %w", err)
		}
	}
	_, err = BulkInsert(ctx, t, "order_items", itemColumns, itemRows(ns, m.added, m.changed))
	return err
}

func itemRows(ns string, batches ...[]orderRow) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		buffer := make([]any, 0, len(itemColumns))
		for _, orders := range batches {
			for _, order := range orders {
				for line, item := range order.items {
					if !yield(append(buffer[:0], ns, order.id, int64(line), order.customer, item.ProductID.column(), item.Name.column(),
						item.Category.column(), item.Quantity, priceColumn(item.Price))) {
						return
					}
				}
			}
		}
	}
}

func priceColumn(price Field[money.Amount]) any {
	if v, ok := price.Get(); ok {
		return int64(v)
	}
	return nil
}
