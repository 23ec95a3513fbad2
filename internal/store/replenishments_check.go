// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// checkReplenishments counts the rows of a shop that are not what the orders make, those missing
// and those too many.
func (s *Store) checkReplenishments(ctx context.Context, ns string) (wrong int64, err error) {
	err = s.ReadTx(ctx, func(tx *Tx) error {
		wrong = 0
		tracked, err := readTracked(ctx, tx, ns)
		if err != nil {
			return err
		}
		for i := range tracked {
			if !tracked[i].ready {
				continue
			}
			n, err := tx.checkTarget(ctx, ns, &tracked[i])
			if err != nil {
				return fmt.Errorf("check the predictions of %s %q: %w", tracked[i].scope, tracked[i].id, err)
			}
			wrong += n
		}
		return nil
	})
	return wrong, err
}

// checkTarget reads each customer's row and then their purchases, in one go and in that order.
func (t *Tx) checkTarget(ctx context.Context, ns string, g *trackedRow) (wrong int64, err error) {
	purchases, args := g.purchases(t.dialect, ns, nil)
	n := len(args)
	query := fmt.Sprintf(`SELECT customer_id, 0 AS kind, last_at AS at, purchases, log_sum, missed, due_at, confidence
		FROM replenishments WHERE ns = $1 AND scope = $%d AND id = $%d
		UNION ALL SELECT customer_id, 1, placed_at, 0, 0, 0, NULL, NULL FROM (%s) p
		ORDER BY 1, 2, 3`, n+1, n+2, purchases)
	var stored replenishment
	var history replenish.History
	compare := func() {
		if stored.history.Purchases+history.Purchases > 0 && !stored.right(g, history) {
			wrong++
		}
	}
	err = Each(ctx, t, func(rows *sql.Rows) error {
		var r replenishment
		var kind, at int64
		if err := rows.Scan(&r.customer, &kind, &at, &r.history.Purchases, &r.history.LogSum, &r.missed, &r.due, &r.confidence); err != nil {
			return err
		}
		if r.customer != stored.customer {
			compare()
			stored, history = replenishment{customer: r.customer}, replenish.History{}
		}
		if kind == 0 {
			r.history.LastAt = at
			stored = r
		} else {
			history.Add(at)
		}
		return nil
	}, query, append(args, g.scope, g.id)...)
	if err != nil {
		return 0, err
	}
	compare()
	return wrong, nil
}

// right tells whether a row is what its history and the prior make, but for rounding.
func (r replenishment) right(g *trackedRow, h replenish.History) bool {
	if r.history.Purchases != h.Purchases || r.history.LastAt != h.LastAt || math.Abs(r.history.LogSum-h.LogSum) > 1e-6 {
		return false
	}
	if !g.applied {
		return true // its date may be that of the cycle before
	}
	due, ok := r.due.Get()
	p, any := g.prior.After(h, r.missed)
	if !ok || !any {
		return ok == any || r.missed < 0 && !ok
	}
	confidence, _ := r.confidence.Get()
	return max(due-p.DueAt, p.DueAt-due) <= 1000 && math.Abs(confidence-p.Confidence) < 1e-6
}
