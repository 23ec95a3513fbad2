// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// cycle is a prior, and the scope it was learnt from.
type cycle struct {
	source string
	prior  replenish.Prior
}

// learner learns priors from all orders of a shop, each of them once.
type learner struct {
	store  *Store
	ns     string
	learnt map[target]cycle
}

// cycleOf is the prior of a target: its own, or where its intervals are too few that of the product's
// category, or of the shop. Without intervals there is none.
func (l *learner) cycleOf(ctx context.Context, g target) (cycle, error) {
	for {
		c, ok, err := l.learn(ctx, g)
		if err != nil {
			return cycle{}, fmt.Errorf("learn how often %s %q is bought: %w", g.scope, g.id, err)
		}
		if ok {
			return c, nil
		}
		if g.scope == ReplenishAny {
			return cycle{source: ReplenishAny}, nil
		}
		if g, err = l.wider(ctx, g); err != nil {
			return cycle{}, err
		}
	}
}

func (l *learner) learn(ctx context.Context, g target) (c cycle, ok bool, err error) {
	if c, known := l.learnt[g]; known {
		return c, c.prior.Intervals > 0, nil
	}
	var sample replenish.Sample
	query, args := g.purchases(l.store.dialect, l.ns, nil)
	err = Each(ctx, l.store, func(rows *sql.Rows) error {
		var customer string
		var at int64
		err := rows.Scan(&customer, &at)
		sample.Add(customer, at)
		return err
	}, query, args...)
	if err != nil {
		return c, false, err
	}
	c.source = g.scope
	if prior, ok := sample.Prior(); ok {
		c.prior = prior
	}
	l.learnt[g] = c
	return c, c.prior.Intervals > 0, nil
}

// wider is the category of a product, as it is known or as an order says, and else the whole shop.
func (l *learner) wider(ctx context.Context, g target) (target, error) {
	var category Field[string]
	if g.scope == ReplenishProduct {
		err := l.store.QueryRow(ctx, `SELECT coalesce(
			(SELECT category FROM products WHERE ns = $1 AND id = $2),
			(SELECT min(category) FROM order_items WHERE ns = $1 AND product_id = $2))`, l.ns, g.id).Scan(&category)
		if err != nil {
			return target{}, fmt.Errorf("find the category of product %q: %w", g.id, err)
		}
	}
	if id, ok := category.Get(); ok {
		return target{ReplenishCategory, id}, nil
	}
	return target{ReplenishAny, ""}, nil
}

// writeCycle replaces the prior of a target. applied says that no date is of the one before.
func (t *Tx) writeCycle(ctx context.Context, ns string, g target, c cycle, now time.Time, applied bool) error {
	median, appliedAt := 0.0, None[int64]()
	if c.prior.Intervals > 0 {
		median = math.Exp(c.prior.Centre)
	}
	if applied {
		appliedAt = Value(Millis(now))
	}
	_, err := t.Exec(ctx, `INSERT INTO cycles (ns, scope, id, source, intervals, median_days, within_variance, k, computed_at, applied_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (ns, scope, id) DO UPDATE SET source = excluded.source, intervals = excluded.intervals, median_days = excluded.median_days,
			within_variance = excluded.within_variance, k = excluded.k, computed_at = excluded.computed_at, applied_at = excluded.applied_at`,
		ns, g.scope, g.id, c.source, c.prior.Intervals, median, c.prior.Within, c.prior.K, Millis(now), appliedAt.column())
	if err != nil {
		return fmt.Errorf("write the cycle of %s %q: %w", g.scope, g.id, err)
	}
	return nil
}

// cycleApplied records that all dates of a target are those of its cycle.
func (s *Store) cycleApplied(ctx context.Context, ns string, g target, now time.Time) error {
	_, err := s.Exec(ctx, `UPDATE cycles SET applied_at = $4 WHERE ns = $1 AND scope = $2 AND id = $3`, ns, g.scope, g.id, Millis(now))
	if err != nil {
		return fmt.Errorf("record the cycle of %s %q: %w", g.scope, g.id, err)
	}
	return nil
}

// RefreshCycles learns anew how often what a shop tracks is bought, makes the predictions anew where
// that has moved or their date has passed, and drops what nobody has wanted for a week. It counts the
// customers with another date, for each prediction. now is the business time.
func (s *Store) RefreshCycles(ctx context.Context, ns string, now time.Time) (changed int64, err error) {
	if err := s.dropUnwanted(ctx, ns, now); err != nil {
		return 0, err
	}
	tracked, err := readTracked(ctx, s, ns)
	if err != nil {
		return 0, err
	}
	learner := &learner{s, ns, map[target]cycle{}}
	for i := range tracked {
		g := &tracked[i]
		if !g.ready {
			continue // its backfill will end with all of this done
		}
		c, err := learner.cycleOf(ctx, g.target)
		if err != nil {
			return changed, err
		}
		n, err := s.refreshCycle(ctx, ns, g, c, now)
		changed += n
		if err != nil {
			return changed, fmt.Errorf("predict purchases of %s %q anew: %w", g.scope, g.id, err)
		}
	}
	return changed, nil
}

func (s *Store) refreshCycle(ctx context.Context, ns string, g *trackedRow, c cycle, now time.Time) (int64, error) {
	if g.applied && !g.prior.Moved(c.prior) {
		// What is renewed is not before now, or has no date: the next page is the first again.
		return s.repredict(ctx, ns, g.target, now, func(string) (string, []any) {
			return `SELECT customer_id FROM replenishments WHERE ns = $1 AND scope = $2 AND id = $3 AND due_at < $4 ORDER BY due_at LIMIT $5`,
				[]any{ns, g.scope, g.id, Millis(now), rebuildBatch}
		})
	}
	// Whoever predicted with the prior before has committed when the pages are read.
	err := s.changeTracked(ctx, ns, func(tx *Tx) error { return tx.writeCycle(ctx, ns, g.target, c, now, false) })
	if err != nil {
		return 0, err
	}
	n, err := s.repredict(ctx, ns, g.target, now, func(after string) (string, []any) {
		return `SELECT customer_id FROM replenishments WHERE ns = $1 AND scope = $2 AND id = $3 AND customer_id > $4 ORDER BY customer_id LIMIT $5`,
			[]any{ns, g.scope, g.id, after, rebuildBatch}
	})
	if err != nil {
		return n, err
	}
	return n, s.cycleApplied(ctx, ns, g.target, now)
}

// repredict makes predictions anew of the histories as they are, a page of customers at a time. page
// is the query for those after a customer.
func (s *Store) repredict(ctx context.Context, ns string, g target, now time.Time, page func(after string) (string, []any)) (changed int64, err error) {
	for after, more := "", true; more; {
		customers, err := s.readIDs(ctx, page, after)
		if err != nil {
			return changed, err
		}
		if more = len(customers) == rebuildBatch; more {
			after = customers[rebuildBatch-1]
		}
		var n int64
		err = s.Tx(ctx, func(tx *Tx) error {
			row, err := tx.lockTarget(ctx, ns, g, customers)
			if err != nil || row == nil {
				return err
			}
			stored, err := tx.readReplenishments(ctx, ns, g, customers)
			if err != nil {
				return err
			}
			rows := make([]replenishment, 0, len(stored))
			for _, customer := range distinct(customers) {
				if r, known := stored[customer]; known {
					rows = append(rows, predictAt(now)(row, r, r))
				}
			}
			n, err = tx.writeReplenishments(ctx, ns, g, stored, rows)
			return err
		})
		if err != nil {
			return changed, err
		}
		changed += n
	}
	return changed, nil
}

func (s *Store) readIDs(ctx context.Context, page func(after string) (string, []any), after string) (ids []string, err error) {
	query, args := page(after)
	err = Each(ctx, s, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// lockTarget locks customers, as whoever ingests their orders does, and then reads a target. It is nil
// if nobody wants it any more.
func (t *Tx) lockTarget(ctx context.Context, ns string, g target, customers []string) (*trackedRow, error) {
	_, err := t.Exec(ctx, `SELECT id FROM customers WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForUpdate(),
		ns, List(t.dialect, customers))
	if err != nil {
		return nil, fmt.Errorf("lock customers: %w", err)
	}
	tracked, err := t.lockTracked(ctx, ns)
	if err != nil {
		return nil, err
	}
	for i := range tracked {
		if tracked[i].target == g {
			return &tracked[i], nil
		}
	}
	return nil, nil
}

// batches reads the customers of purchases, each once, some thousand at a time.
func (s *Store) batches(ctx context.Context, ns string, g target) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		stopped := errors.New("stopped")
		var batch []string
		query, args := g.purchases(s.dialect, ns, nil)
		err := Each(ctx, s, func(rows *sql.Rows) error {
			var customer string
			var at int64
			if err := rows.Scan(&customer, &at); err != nil {
				return err
			}
			if len(batch) > 0 && batch[len(batch)-1] == customer {
				return nil
			}
			if len(batch) == rebuildBatch {
				if !yield(batch, nil) {
					return stopped
				}
				batch = nil
			}
			batch = append(batch, customer)
			return nil
		}, query, args...)
		if errors.Is(err, stopped) {
			return
		}
		if err == nil && len(batch) > 0 {
			yield(batch, nil)
		} else if err != nil {
			yield(nil, fmt.Errorf("read purchases: %w", err))
		}
	}
}
