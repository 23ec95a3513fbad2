// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// replenishment is a customer's row for one target.
type replenishment struct {
	customer   string
	history    replenish.History
	missed     int64
	due        Field[int64]
	confidence Field[float64]
}

// noneLeft is a row's missed where there is no prediction.
const noneLeft = -1

var replenishmentColumns = []string{"ns", "scope", "id", "customer_id", "purchases", "last_at", "log_sum", "missed", "due_at", "confidence"}

// predicted is the row with a prediction, or without if there is none.
func (r replenishment) predicted(p replenish.Prediction, ok bool) replenishment {
	r.missed, r.due, r.confidence = noneLeft, None[int64](), None[float64]()
	if ok {
		r.missed, r.due, r.confidence = p.Missed, Value(p.DueAt), Value(p.Confidence)
	}
	return r
}

// predictor makes the prediction of a row anew. old is the row as it is stored.
type predictor func(g *trackedRow, row, old replenishment) replenishment

// predictAt makes predictions that hold at now.
func predictAt(now time.Time) predictor {
	return func(g *trackedRow, row, _ replenishment) replenishment {
		return row.predicted(g.prior.Predict(row.history, Millis(now)))
	}
}

// updateReplenishments brings predictions up to date with a batch of orders. To a customer's history
// orders can be added that are not before its last; otherwise it is read anew.
func (t *Tx) updateReplenishments(ctx context.Context, ns string, m merged[orderRow], stored map[string]orderRow, now time.Time) error {
	if len(m.added)+len(m.changed) == 0 {
		return nil
	}
	tracked, err := t.lockTracked(ctx, ns)
	if err != nil {
		return err
	}
	for i := range tracked {
		g := &tracked[i]
		var anew []string
		for j := range m.changed {
			row := &m.changed[j]
			if old := stored[row.id]; g.concerns(&old) || g.concerns(row) {
				anew = append(anew, old.customer, row.customer)
			}
		}
		added := map[string][]int64{}
		for j := range m.added {
			if row := &m.added[j]; row.counted() && g.concerns(row) {
				added[row.customer] = append(added[row.customer], row.placedAt)
			}
		}
		if err := t.addPurchases(ctx, ns, g, distinct(anew), added, predictAt(now)); err != nil {
			return fmt.Errorf("predict purchases of %s %q: %w", g.scope, g.id, err)
		}
	}
	return nil
}

// addPurchases adds the times of orders to the rows of a target, and makes the rows of the customers in
// anew from their orders. The transaction has locked all of these customers.
func (t *Tx) addPurchases(ctx context.Context, ns string, g *trackedRow, anew []string, added map[string][]int64, predict predictor) error {
	customers := distinct(slices.AppendSeq(slices.Clone(anew), maps.Keys(added)))
	if len(customers) == 0 {
		return nil
	}
	stored, err := t.readReplenishments(ctx, ns, g.target, customers)
	if err != nil {
		return err
	}
	histories := make(map[string]replenish.History, len(customers))
	for customer, times := range added {
		row, known := stored[customer]
		slices.Sort(times)
		if known && times[0] < row.history.LastAt || !known && !g.ready {
			anew = append(anew, customer)
			continue
		}
		for _, at := range times {
			row.history.Add(at)
		}
		histories[customer] = row.history
	}
	if anew = distinct(anew); len(anew) > 0 {
		for _, customer := range anew {
			histories[customer] = replenish.History{}
		}
		if err := t.readHistories(ctx, ns, g.target, anew, histories); err != nil {
			return err
		}
	}
	rows := make([]replenishment, 0, len(customers))
	for _, customer := range customers {
		row := replenishment{customer: customer, history: histories[customer]}
		rows = append(rows, predict(g, row, stored[customer]))
	}
	_, err = t.writeReplenishments(ctx, ns, g.target, stored, rows)
	return err
}

// readHistories replaces the histories of customers by what their orders make.
func (t *Tx) readHistories(ctx context.Context, ns string, g target, customers []string, histories map[string]replenish.History) error {
	query, args := g.purchases(t.dialect, ns, customers)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var customer string
		var at int64
		err := rows.Scan(&customer, &at)
		h := histories[customer]
		h.Add(at)
		histories[customer] = h
		return err
	}, query, args...)
	if err != nil {
		return fmt.Errorf("read purchases: %w", err)
	}
	return nil
}

func (t *Tx) readReplenishments(ctx context.Context, ns string, g target, customers []string) (map[string]replenishment, error) {
	stored := make(map[string]replenishment, len(customers))
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var r replenishment
		err := rows.Scan(&r.customer, &r.history.Purchases, &r.history.LastAt, &r.history.LogSum, &r.missed, &r.due, &r.confidence)
		stored[r.customer] = r
		return err
	}, `SELECT customer_id, purchases, last_at, log_sum, missed, due_at, confidence FROM replenishments
		WHERE ns = $1 AND scope = $2 AND id = $3 AND customer_id `+t.dialect.AnyText(4), ns, g.scope, g.id, List(t.dialect, customers))
	if err != nil {
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	return stored, nil
}

// writeReplenishments replaces stored rows by others, in the order of their customers, and counts
// those with another date. A row without a purchase goes.
func (t *Tx) writeReplenishments(ctx context.Context, ns string, g target, stored map[string]replenishment, rows []replenishment) (moved int64, err error) {
	var m merged[replenishment]
	var gone []string
	for _, row := range rows {
		old, known := stored[row.customer]
		switch {
		case row.history.Purchases == 0:
			if known {
				gone = append(gone, row.customer)
			}
		case !known:
			m.added = append(m.added, row)
		case old != row:
			m.changed = append(m.changed, row)
		}
		if old.due.or(None[int64]()) != row.due {
			t.Touch(ns, row.customer, TouchedReplenishment)
			moved++
		}
	}
	err = write(ctx, t, "replenishments", replenishmentColumns, 4, m, func(r replenishment, row []any) []any {
		return append(row, ns, g.scope, g.id, r.customer, r.history.Purchases, r.history.LastAt, r.history.LogSum, r.missed, r.due.column(), r.confidence.column())
	})
	if err != nil || len(gone) == 0 {
		return moved, err
	}
	_, err = t.Exec(ctx, `DELETE FROM replenishments WHERE ns = $1 AND scope = $2 AND id = $3 AND customer_id `+t.dialect.AnyText(4),
		ns, g.scope, g.id, List(t.dialect, gone))
	if err != nil {
		return 0, fmt.Errorf("delete predictions: %w", err)
	}
	return moved, nil
}

// rebuildReplenishments makes all rows of customers anew, whom the transaction has locked. It keeps how
// many predictions were missed: time is none of its business.
func (t *Tx) rebuildReplenishments(ctx context.Context, ns string, customers []string) error {
	tracked, err := t.lockTracked(ctx, ns)
	if err != nil {
		return err
	}
	for i := range tracked {
		err := t.addPurchases(ctx, ns, &tracked[i], customers, nil, func(g *trackedRow, row, old replenishment) replenishment {
			if old.history != row.history {
				old.missed = 0
			}
			return row.predicted(g.prior.After(row.history, old.missed))
		})
		if err != nil {
			return fmt.Errorf("predict purchases of %s %q: %w", tracked[i].scope, tracked[i].id, err)
		}
	}
	return nil
}
