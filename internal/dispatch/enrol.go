// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// planRun enrols the audience of a run and plans what is due for it at its slot, a few batches in one
// turn; done says that it is planned to its end. It goes on where a process that died left off.
func (e *Engine) planRun(ctx context.Context, r openRun) (done bool, err error) {
	rev, err := e.revisions.get(ctx, r.ref.Namespace, r.ref.Name, r.revision)
	if err != nil {
		return false, err
	}
	if r.state == RunEnrolling {
		if done, err := e.enrol(ctx, r, rev); err != nil || !done {
			return false, err
		}
	}
	for range batchesPerTurn {
		n, err := e.plan(ctx, planning{ref: r.ref, epoch: r.epoch, revision: r.revision, rev: rev, run: r.run, until: r.slot})
		if err != nil {
			return false, err
		}
		if n < planBatch {
			return true, e.moveRun(ctx, r, RunPlanning, RunPlanned)
		}
	}
	e.Wake() // for the rest
	return false, nil
}

func (e *Engine) moveRun(ctx context.Context, r openRun, from, to string) error {
	_, err := e.store.Exec(ctx, `UPDATE runs SET state = $5 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = $4`,
		r.ref.Namespace, r.ref.Name, r.run, from, to)
	if err != nil {
		return fmt.Errorf("moving run %s on to %s: %w", r.run, to, err)
	}
	return nil
}

// enrol lets the members of the segment in, in batches by id. Who is in the ledger already stays
// out, so that doing it again does nothing.
func (e *Engine) enrol(ctx context.Context, r openRun, rev *Revision) (done bool, err error) {
	key := runKey{r.ref, r.run}
	for range batchesPerTurn {
		last := e.enrolled[key]
		next := ""
		err := e.store.Tx(ctx, func(tx *store.Tx) (err error) {
			next, err = e.enrolBatch(ctx, tx, r, rev, last)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("enrolling the members of segment %s for run %s: %w", r.segment, r.run, err)
		}
		if next == "" {
			delete(e.enrolled, key)
			return true, e.moveRun(ctx, r, RunEnrolling, RunPlanning)
		}
		e.enrolled[key] = next
	}
	e.Wake() // for the rest
	return false, nil
}

// enrolBatch lets in those after last, and returns the last of them, empty at the end.
func (e *Engine) enrolBatch(ctx context.Context, tx *store.Tx, r openRun, rev *Revision, last string) (next string, err error) {
	if at, err := standing(ctx, tx, r.ref, r.run); err != nil || at.run != RunEnrolling {
		return "", err
	}
	err = tx.QueryRow(ctx, `SELECT MAX(customer_id) FROM (SELECT customer_id FROM memberships
WHERE ns = $1 AND segment = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4) page HAVING MAX(customer_id) IS NOT NULL`,
		r.ref.Namespace, r.segment, last, enrolBatch).Scan(&next)
	if store.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	start := rev.Journey.Start(r.slot)
	_, err = tx.Exec(ctx, `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
SELECT ns, $3, $4, customer_id, '', $5, 'active', '', $6, $7, $8 FROM memberships
WHERE ns = $1 AND segment = $2 AND customer_id > $9 AND customer_id <= $10
ON CONFLICT (ns, scenario, epoch, customer_id, entry) DO NOTHING`,
		r.ref.Namespace, r.segment, r.ref.Name, r.epoch, r.run, start.Cursor(), store.Millis(r.slot), store.Millis(e.clock.Now()), last, next)
	return next, err
}

// place is where a scenario and one of its runs are.
type place struct{ epoch, revision, run string }

// standing locks a scenario against Arm, Cancel and whoever else plans it, and reads where it is and,
// where one is named, its run. A scenario that is deleted has the zero place: nothing is planned for
// it any more.
func standing(ctx context.Context, tx *store.Tx, ref Ref, run string) (place, error) {
	var at place
	err := tx.QueryRow(ctx, `SELECT epoch, revision FROM scenarios WHERE ns = $1 AND name = $2 AND state <> 'deleted'`+tx.Dialect().ForUpdate(),
		ref.Namespace, ref.Name).Scan(&at.epoch, &at.revision)
	if store.IsNotFound(err) {
		return place{}, nil
	}
	if err == nil && run != "" {
		err = tx.QueryRow(ctx, `SELECT state FROM runs WHERE ns = $1 AND scenario = $2 AND run = $3`, ref.Namespace, ref.Name, run).Scan(&at.run)
	}
	if err != nil {
		return place{}, fmt.Errorf("reading where scenario %s/%s is: %w", ref.Namespace, ref.Name, err)
	}
	return at, nil
}
