// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// unplanned, on enrolments, holds for those whom their run is still to plan, with the revision that it
// began with: they are carried over when that is done.
const unplanned = `EXISTS (SELECT 1 FROM runs r WHERE r.ns = enrolments.ns AND r.scenario = enrolments.scenario AND r.run = enrolments.run
    AND r.slot_at = enrolments.due_at AND r.state IN ('enrolling', 'planning'))`

// carryOver moves those who wait for a step that the new revision has not got, and tells whether the goal is
// another one.
func (e *Engine) carryOver(ctx context.Context, tx *store.Tx, a Armed, oldRevision string) (newGoal bool, err error) {
	before, err := e.revisions.journey(ctx, tx, a.Ref, oldRevision)
	if store.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := store.Millis(e.clock.Now())
	for from, to := range journey.Resume(before, a.Compiled.Journey) {
		query := `UPDATE enrolments SET step = $5 WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND state = 'active' AND step = $4 AND NOT ` + unplanned
		args := []any{a.Namespace, a.Name, a.Epoch, from, to}
		if to == "" {
			query = `UPDATE enrolments SET state = 'completed', step = '', ended_at = $5 WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND state = 'active' AND step = $4 AND NOT ` + unplanned
			args[4] = now
		}
		if _, err := tx.Exec(ctx, query, args...); err != nil {
			return false, fmt.Errorf("moving those who wait for %q: %w", from, err)
		}
	}
	return !sameGoal(before.Goal, a.Compiled.Journey.Goal), nil
}

// sameGoal tells whether two goals, of which either may be nil, count the same.
func sameGoal(a, b *crm.Goal) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Event == b.Event && a.Within.Duration() == b.Within.Duration() && a.AttributionOrDefault() == b.AttributionOrDefault()
}

// endEpoch ends the ways of those who are under way in an epoch when another one begins: in that one
// they may enter again, and nobody is to be in both. What is planned for them goes out.
func (e *Engine) endEpoch(ctx context.Context, tx *store.Tx, ref Ref, epoch string) error {
	_, err := tx.Exec(ctx, `UPDATE enrolments SET state = 'exited', reason = $4, step = '', ended_at = $5
WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND state = 'active' AND NOT `+unplanned,
		ref.Namespace, ref.Name, epoch, ReasonEpochChanged, store.Millis(e.clock.Now()))
	if err != nil {
		return fmt.Errorf("ending epoch %q: %w", epoch, err)
	}
	return nil
}
