// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// ingestBatch is how many facts go into a transaction.
const ingestBatch = 5000

// ingest is a way to write a batch of the churn's orders or events.
type ingest struct {
	orders func(ctx context.Context, tx *store.Tx, orders []store.Order, now time.Time) error
	events func(ctx context.Context, tx *store.Tx, events []store.Event, now time.Time) error
}

// whole is the store's own way in, with the metrics and whatever else is kept up to date there.
var whole = ingest{
	orders: func(ctx context.Context, tx *store.Tx, orders []store.Order, now time.Time) error {
		_, err := tx.UpsertOrders(ctx, namespace, orders, now)
		return err
	},
	events: func(ctx context.Context, tx *store.Tx, events []store.Event, now time.Time) error {
		_, err := tx.UpsertEvents(ctx, namespace, events, now)
		return err
	},
}

// bare reads, locks and writes what the store's way in does for new facts, and keeps nothing up to date.
var bare = ingest{orders: bareOrders, events: bareEvents}

func bareOrders(ctx context.Context, tx *store.Tx, orders []store.Order, now time.Time) error {
	ids, customers := make([]string, len(orders)), make([]string, len(orders))
	for i := range orders {
		ids[i], customers[i] = orders[i].ID, orders[i].CustomerID
	}
	dialect := tx.Dialect()
	if err := drain(ctx, tx, `SELECT id, customer_id, placed_at, total, currency, status, source FROM orders
		WHERE ns = $1 AND id `+dialect.AnyText(2), namespace, store.List(dialect, ids)); err != nil {
		return err
	}
	if err := drain(ctx, tx, `SELECT id FROM customers WHERE ns = $1 AND id `+dialect.AnyText(2)+` ORDER BY id`+dialect.ForUpdate(),
		namespace, store.List(dialect, customers)); err != nil {
		return err
	}
	_, err := store.BulkInsert(ctx, tx, "orders", []string{"ns", "id", "customer_id", "placed_at", "total", "currency", "status", "source", "counted", "received_at"},
		func(yield func([]any) bool) {
			for _, o := range orders {
				currency, _ := o.Currency.Get()
				status, _ := o.Status.Get()
				source, _ := o.Source.Get()
				counted := (&order{status: status}).counted()
				if !yield([]any{namespace, o.ID, o.CustomerID, store.Millis(o.PlacedAt), int64(o.Total), currency, status, source, counted, store.Millis(now)}) {
					return
				}
			}
		})
	if err != nil {
		return err
	}
	_, err = store.BulkInsert(ctx, tx, "order_items", []string{"ns", "order_id", "line", "customer_id", "product_id", "name", "category", "quantity", "price"},
		bareItems(orders))
	return err
}

func bareItems(orders []store.Order) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, o := range orders {
			for line, it := range o.Items {
				product, _ := it.ProductID.Get()
				category, _ := it.Category.Get()
				price, _ := it.Price.Get()
				if !yield([]any{namespace, o.ID, int64(line), o.CustomerID, product, nil, category, it.Quantity, int64(price)}) {
					return
				}
			}
		}
	}
}

func bareEvents(ctx context.Context, tx *store.Tx, events []store.Event, now time.Time) error {
	ids, customers := make([]string, len(events)), make([]string, len(events))
	for i := range events {
		ids[i], customers[i] = events[i].ID, events[i].CustomerID
	}
	dialect := tx.Dialect()
	if err := drain(ctx, tx, `SELECT id FROM customers WHERE ns = $1 AND id `+dialect.AnyText(2)+` ORDER BY id`, namespace, store.List(dialect, customers)); err != nil {
		return err
	}
	if err := drain(ctx, tx, `SELECT id, customer_id, name, occurred_at, properties FROM events
		WHERE ns = $1 AND id `+dialect.AnyText(2)+` ORDER BY id`+dialect.ForUpdate(), namespace, store.List(dialect, ids)); err != nil {
		return err
	}
	_, err := store.BulkInsert(ctx, tx, "events", []string{"ns", "id", "customer_id", "name", "occurred_at", "properties", "received_at"},
		func(yield func([]any) bool) {
			for _, e := range events {
				if !yield([]any{namespace, e.ID, e.CustomerID, e.Name, store.Millis(e.OccurredAt), string(e.Properties), store.Millis(now)}) {
					return
				}
			}
		})
	return err
}

// drain reads what a query gives, for the time that it takes.
func drain(ctx context.Context, tx *store.Tx, query string, args ...any) (err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		continue
	}
	return rows.Err()
}

// run writes the churn, and tells how long that took. Only measured, each transaction is undone.
func (c *churn) run(ctx context.Context, db *store.Store, in ingest, only bool) (time.Duration, error) {
	now := c.end()
	write := commit
	if only {
		write = undo
	}
	var took time.Duration
	for from := 0; from < c.size(); from += ingestBatch {
		to := min(from+ingestBatch, c.size())
		orders, events := make([]store.Order, 0, to-from), make([]store.Event, 0, to-from)
		for n := from; n < to; n++ {
			orders, events = append(orders, orderFact(c.order(n))), append(events, eventFact(c.event(n)))
		}
		for _, facts := range []func(*store.Tx) error{
			func(tx *store.Tx) error { return in.orders(ctx, tx, orders, now) },
			func(tx *store.Tx) error { return in.events(ctx, tx, events, now) },
		} {
			d, err := write(ctx, db, facts)
			if err != nil {
				return 0, fmt.Errorf("ingest: %w", err)
			}
			took += d
		}
	}
	return took, nil
}

func commit(ctx context.Context, db *store.Store, write func(*store.Tx) error) (time.Duration, error) {
	began := time.Now()
	err := db.Tx(ctx, write)
	return time.Since(began), err
}

// undo lets a transaction write, to the last of what the store adds at its end, and fail then: at the
// commit, for a row that refers to another which is not there.
func undo(ctx context.Context, db *store.Store, write func(*store.Tx) error) (time.Duration, error) {
	var began time.Time
	written := false
	err := db.Tx(ctx, func(tx *store.Tx) error {
		for _, statement := range []string{
			`CREATE TEMP TABLE undo (id INTEGER PRIMARY KEY)`,
			`CREATE TEMP TABLE undone (id INTEGER REFERENCES undo (id) DEFERRABLE INITIALLY DEFERRED)`,
			`INSERT INTO undone (id) VALUES (1)`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		began = time.Now()
		err := write(tx)
		written = err == nil
		return err
	})
	took := time.Since(began)
	if err == nil {
		return 0, errors.New("a transaction was committed that should have failed")
	}
	if !written {
		return 0, err
	}
	return took, nil
}

func orderFact(o *order) store.Order {
	fact := store.Order{
		ID: o.id(), CustomerID: customerID(o.customer), PlacedAt: o.at, Total: o.total,
		Currency: store.Value("JPY"), Status: store.Value(o.status), Source: store.Value(o.source), HasItems: true,
	}
	for _, it := range o.items {
		fact.Items = append(fact.Items, store.Item{
			ProductID: store.Value(productID(it.product)), Name: store.None[string](), Category: store.Value(category(it.product)),
			Quantity: it.quantity, Price: store.Value[money.Amount](price(it.product)),
		})
	}
	return fact
}

func eventFact(e *event) store.Event {
	return store.Event{
		ID: e.id(), CustomerID: customerID(e.customer), Name: e.name, OccurredAt: e.at, Properties: json.RawMessage(e.properties()),
	}
}
