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

// What the next purchase can be predicted of.
const (
	ReplenishProduct  = "product"
	ReplenishCategory = "category"
	ReplenishAny      = "any"
)

// target is what predictions are made of.
type target struct{ scope, id string }

func (g target) validate() error {
	switch {
	case g.scope == ReplenishAny && g.id != "":
		return &FieldError{"id", "must be empty where the scope is any"}
	case g.scope == ReplenishAny:
		return nil
	case g.scope != ReplenishProduct && g.scope != ReplenishCategory:
		return &FieldError{"scope", "is none of product, category and any"}
	}
	return validID("id", g.id)
}

// concerns tells whether an order is a purchase of the target.
func (g target) concerns(o *orderRow) bool {
	if g.scope == ReplenishAny {
		return true
	}
	for i := range o.items {
		of := o.items[i].ProductID
		if g.scope == ReplenishCategory {
			of = o.items[i].Category
		}
		if id, ok := of.Get(); ok && id == g.id {
			return true
		}
	}
	return false
}

// purchases is the query for the customers and times of the purchases, each customer's in order. An
// order may come several times. customers nil is everybody.
func (g target) purchases(d Dialect, ns string, customers []string) (query string, args []any) {
	args = []any{ns}
	condition := ""
	if customers != nil {
		args = append(args, List(d, customers))
		condition = " AND o.customer_id " + d.AnyText(len(args))
	}
	if g.scope == ReplenishAny {
		return `SELECT o.customer_id, o.placed_at FROM orders o WHERE o.ns = $1 AND o.counted = 1` + condition +
			` ORDER BY o.customer_id, o.placed_at`, args
	}
	column, from := "product_id", "order_items i CROSS JOIN orders o"
	if g.scope == ReplenishCategory {
		column = "category"
	}
	if customers != nil {
		from = "orders o CROSS JOIN order_items i" // SQLite keeps to this order; the customers are fewer
	}
	args = append(args, g.id)
	return fmt.Sprintf(`SELECT o.customer_id, o.placed_at FROM %s
		WHERE o.ns = $1 AND i.ns = $1 AND i.order_id = o.id AND o.counted = 1%s AND i.%s = $%d
		ORDER BY o.customer_id, o.placed_at`, from, condition, column, len(args)), args
}

// trackedRow is a target with what is known of it.
type trackedRow struct {
	target
	ready   bool // everybody has a row who has bought it
	applied bool // all dates are of this prior
	prior   replenish.Prior
}

// lockTracked reads what is tracked, and keeps others from changing that until the transaction ends.
func (t *Tx) lockTracked(ctx context.Context, ns string) ([]trackedRow, error) {
	wanted, err := t.lockTracking(ctx, ns, t.dialect.ForShare())
	if err != nil || wanted == 0 {
		return nil, err
	}
	return readTracked(ctx, t, ns) // not in one statement, which would not see what came while it waited
}

// lockTracking locks the shop's row of tracking, and makes it for the shop's first orders.
func (t *Tx) lockTracking(ctx context.Context, ns, lock string) (wanted int64, err error) {
	query := `SELECT wanted FROM tracking WHERE ns = $1` + lock
	err = t.QueryRow(ctx, query, ns).Scan(&wanted)
	if IsNotFound(err) {
		if _, err := t.Exec(ctx, `INSERT INTO tracking (ns, wanted) VALUES ($1, 0) ON CONFLICT (ns) DO NOTHING`, ns); err != nil {
			return 0, fmt.Errorf("begin to know what is tracked: %w", err)
		}
		err = t.QueryRow(ctx, query, ns).Scan(&wanted)
	}
	if err != nil {
		return 0, fmt.Errorf("lock what is tracked: %w", err)
	}
	return wanted, nil
}

func readTracked(ctx context.Context, q Querier, ns string) (tracked []trackedRow, err error) {
	err = Each(ctx, q, func(rows *sql.Rows) error {
		var r trackedRow
		var ready, applied Field[int64]
		var median float64
		err := rows.Scan(&r.scope, &r.id, &ready, &applied, &r.prior.Intervals, &median, &r.prior.Within, &r.prior.K)
		_, r.ready = ready.Get()
		_, r.applied = applied.Get()
		if r.prior.Intervals > 0 {
			r.prior.Centre = math.Log(median)
		}
		tracked = append(tracked, r)
		return err
	}, `SELECT t.scope, t.id, t.ready_at, c.applied_at, coalesce(c.intervals, 0), coalesce(c.median_days, 0), coalesce(c.within_variance, 0), coalesce(c.k, 0)
		FROM tracked t LEFT JOIN cycles c ON c.ns = t.ns AND c.scope = t.scope AND c.id = t.id
		WHERE t.ns = $1 AND t.wanted_at IS NOT NULL ORDER BY t.scope, t.id`, ns)
	if err != nil {
		return nil, fmt.Errorf("read what is tracked: %w", err)
	}
	return tracked, nil
}
