// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
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
	if r.state != RunPlanning {
		if passed, err := e.guard(ctx, &r, rev); err != nil || !passed {
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
			return true, nil
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
	d, door := tx.Dialect(), rev.Journey.Door
	err = tx.QueryRow(ctx, `SELECT MAX(customer_id) FROM (SELECT customer_id FROM memberships
WHERE ns = $1 AND segment = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4) page HAVING MAX(customer_id) IS NOT NULL`,
		r.ref.Namespace, r.segment, last, enrolBatch).Scan(&next)
	if store.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	entry := journey.Entry{Ref: r.slot.UTC().Format(time.RFC3339), At: r.slot}
	entry.Facts = entry.Describe(&rev.Bundle.Spec.Trigger)
	key, reason := door.Admit(&entry, e.clock.Now())
	if reason != "" {
		return "", fmt.Errorf("the slot lets nobody in: %s", reason)
	}
	facts, err := json.Marshal(entry.Facts)
	if err != nil {
		return "", fmt.Errorf("writing what let in: %w", err)
	}
	now := e.clock.Now()
	args := []any{r.ref.Namespace, r.ref.Name, r.epoch, rev.Journey.Start(r.slot).Cursor(), store.Millis(now),
		key, r.run, store.Millis(r.slot), string(facts), r.segment, last, next}
	held, where := "FALSE", ""
	if door.HoldsOut() {
		if args, err = e.heldOut(ctx, tx, r, door, last, next, args); err != nil {
			return "", err
		}
		held = "v.customer_id " + d.AnyText(len(args))
	}
	if door.Again {
		args = append(args, store.Millis(now.Add(-door.Cooldown)))
		where = " AND " + stillOut(len(args))
	}
	_, err = tx.Exec(ctx, `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at, ended_at, facts)
SELECT v.ns, $2, $3, v.customer_id, $6, $7, `+enrolledAs(held, "CAST($8 AS BIGINT)")+`, `+d.JSONParam(9)+` FROM memberships v
WHERE v.ns = $1 AND v.segment = $10 AND v.customer_id > $11 AND v.customer_id <= $12`+where+`
ON CONFLICT (ns, scenario, epoch, customer_id, entry) DO NOTHING`, args...)
	return next, err
}

// heldOut adds the list of those of a page of the audience who are held out to the arguments.
func (e *Engine) heldOut(ctx context.Context, tx *store.Tx, r openRun, door *journey.Door, last, next string, args []any) ([]any, error) {
	page, err := store.Texts(ctx, tx, `SELECT customer_id FROM memberships WHERE ns = $1 AND segment = $2 AND customer_id > $3 AND customer_id <= $4`,
		r.ref.Namespace, r.segment, last, next)
	if err != nil {
		return nil, fmt.Errorf("reading who may be held out: %w", err)
	}
	held := slices.DeleteFunc(page, func(id string) bool { return !door.Holds(r.ref.Namespace, r.ref.Name, r.epoch, id) })
	return append(args, store.List(tx.Dialect(), held)), nil
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
