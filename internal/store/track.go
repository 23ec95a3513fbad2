// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// wantedFor is how long a prediction is kept that nobody asks for.
	wantedFor = 7 * 24 * time.Hour
	// wantedStep is how exactly it is known when somebody last asked.
	wantedStep = 24 * time.Hour
)

// TrackReplenishment makes and keeps, from now on, the predictions of a product, of a category, or of
// anything (id is empty then). For what is tracked already it is one read; otherwise it returns when
// everybody has a prediction who has bought it. Call it whenever the predictions are used: a week after
// the last call they are dropped. now is the business time.
func (s *Store) TrackReplenishment(ctx context.Context, ns, scope, id string, now time.Time) error {
	g := target{scope, id}
	if err := g.validate(); err != nil {
		return err
	}
	for {
		var wanted, ready Field[int64]
		err := s.QueryRow(ctx, `SELECT wanted_at, ready_at FROM tracked WHERE ns = $1 AND scope = $2 AND id = $3`, ns, scope, id).Scan(&wanted, &ready)
		if err != nil && !IsNotFound(err) {
			return fmt.Errorf("read what is tracked: %w", err)
		}
		at, isWanted := wanted.Get()
		_, isReady := ready.Get()
		switch {
		case err != nil:
			err = s.track(ctx, ns, g, now)
		case !isWanted:
			err = s.drop(ctx, ns, g) // what is left of last time is out of date
		case !isReady:
			return s.backfill(ctx, ns, g, now)
		case Millis(now)-at >= wantedStep.Milliseconds():
			_, err = s.Exec(ctx, `UPDATE tracked SET wanted_at = $4 WHERE ns = $1 AND scope = $2 AND id = $3 AND wanted_at < $4`, ns, scope, id, Millis(now))
			if err != nil {
				return fmt.Errorf("keep %s %q tracked: %w", scope, id, err)
			}
			return nil
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// track begins to keep the predictions of a target, without any.
func (s *Store) track(ctx context.Context, ns string, g target, now time.Time) error {
	learner := &learner{s, ns, map[target]cycle{}}
	c, err := learner.cycleOf(ctx, g)
	if err != nil {
		return err
	}
	return s.changeTracked(ctx, ns, func(tx *Tx) error {
		result, err := tx.Exec(ctx, `INSERT INTO tracked (ns, scope, id, wanted_at, ready_at) VALUES ($1, $2, $3, $4, NULL)
			ON CONFLICT (ns, scope, id) DO NOTHING`, ns, g.scope, g.id, Millis(now))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n == 0 || err != nil {
			return err // another was here first
		}
		return tx.writeCycle(ctx, ns, g, c, now, true)
	})
}

// changeTracked runs f while nobody ingests orders: those who have begun end first, and who begins
// later finds what f wrote.
func (s *Store) changeTracked(ctx context.Context, ns string, f func(*Tx) error) error {
	err := s.Tx(ctx, func(tx *Tx) error {
		if _, err := tx.lockTracking(ctx, ns, tx.dialect.ForUpdate()); err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tracking SET wanted = (SELECT count(*) FROM tracked t WHERE t.ns = tracking.ns AND t.wanted_at IS NOT NULL) WHERE ns = $1`, ns)
		return err
	})
	if err != nil {
		return fmt.Errorf("change what is tracked: %w", err)
	}
	return nil
}

// backfill makes the rows of all who have bought a target. Whoever ingests meanwhile makes theirs.
func (s *Store) backfill(ctx context.Context, ns string, g target, now time.Time) error {
	for customers, err := range s.batches(ctx, ns, g) {
		if err != nil {
			return err
		}
		err = s.Tx(ctx, func(tx *Tx) error {
			row, err := tx.lockTarget(ctx, ns, g, customers)
			if err != nil || row == nil {
				return err
			}
			return tx.addPurchases(ctx, ns, row, customers, nil, predictAt(now))
		})
		if err != nil {
			return fmt.Errorf("predict purchases of %s %q: %w", g.scope, g.id, err)
		}
	}
	_, err := s.Exec(ctx, `UPDATE tracked SET ready_at = $4 WHERE ns = $1 AND scope = $2 AND id = $3 AND wanted_at IS NOT NULL`, ns, g.scope, g.id, Millis(now))
	if err != nil {
		return fmt.Errorf("record that %s %q is tracked: %w", g.scope, g.id, err)
	}
	return nil
}

// dropUnwanted ends to track what nobody has wanted for a week, and what an earlier call did not end.
func (s *Store) dropUnwanted(ctx context.Context, ns string, now time.Time) error {
	var unwanted []target
	before := Millis(now.Add(-wantedFor))
	err := Each(ctx, s, func(rows *sql.Rows) error {
		var g target
		err := rows.Scan(&g.scope, &g.id)
		unwanted = append(unwanted, g)
		return err
	}, `SELECT scope, id FROM tracked WHERE ns = $1 AND (wanted_at IS NULL OR wanted_at < $2)`, ns, before)
	if err != nil {
		return fmt.Errorf("read what is tracked: %w", err)
	}
	if len(unwanted) == 0 {
		return nil
	}
	err = s.changeTracked(ctx, ns, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tracked SET wanted_at = NULL, ready_at = NULL WHERE ns = $1 AND wanted_at < $2`, ns, before)
		return err
	})
	if err != nil {
		return err
	}
	for _, g := range unwanted {
		if err := s.drop(ctx, ns, g); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes the rows of a target that is not wanted, some thousand at a time, and then itself.
func (s *Store) drop(ctx context.Context, ns string, g target) error {
	for more := true; more; {
		err := s.Tx(ctx, func(tx *Tx) error {
			more = false
			var wanted Field[int64]
			err := tx.QueryRow(ctx, `SELECT wanted_at FROM tracked WHERE ns = $1 AND scope = $2 AND id = $3`+tx.dialect.ForUpdate(), ns, g.scope, g.id).Scan(&wanted)
			if _, isWanted := wanted.Get(); IsNotFound(err) || isWanted {
				return nil // another was here first
			}
			if err != nil {
				return err
			}
			result, err := tx.Exec(ctx, `DELETE FROM replenishments WHERE ns = $1 AND scope = $2 AND id = $3 AND customer_id IN (
				SELECT customer_id FROM replenishments WHERE ns = $1 AND scope = $2 AND id = $3 ORDER BY customer_id LIMIT $4)`, ns, g.scope, g.id, rebuildBatch)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if more = n > 0; more || err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM cycles WHERE ns = $1 AND scope = $2 AND id = $3`, ns, g.scope, g.id); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `DELETE FROM tracked WHERE ns = $1 AND scope = $2 AND id = $3`, ns, g.scope, g.id)
			return err
		})
		if err != nil {
			return fmt.Errorf("drop the predictions of %s %q: %w", g.scope, g.id, err)
		}
	}
	return nil
}
