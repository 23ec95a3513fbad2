// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Armed is a Scenario as the engine works with it.
type Armed struct {
	Ref
	Epoch    string
	Revision string
	// Bundle is the text of the revision.
	Bundle []byte
	// Compiled is the same, ready for use.
	Compiled *Revision
	// Suspended lets nobody in; those under way go on.
	Suspended bool
	// Segment is the audience.
	Segment string
}

// States of a row in scenarios.
const (
	scenarioArmed     = "armed"
	scenarioSuspended = "suspended"
	scenarioDeleted   = "deleted"
)

// Arm makes the engine work on a Scenario, or on a new revision of it. Those who wait for a step
// that is gone go on at the next one that is still there.
func (e *Engine) Arm(ctx context.Context, a Armed) error {
	if err := e.wantPredictions(ctx, a); err != nil {
		return err
	}
	e.mu.Lock()
	before, known := e.armed[a.Ref]
	e.mu.Unlock()
	if known && before.Epoch == a.Epoch && before.Revision == a.Revision && before.Suspended == a.Suspended {
		return nil
	}
	state := scenarioArmed
	if a.Suspended {
		state = scenarioSuspended
	}
	now := store.Millis(e.clock.Now())
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		var oldRevision, oldState, oldEpoch string
		err := tx.QueryRow(ctx, `SELECT revision, state, epoch FROM scenarios WHERE ns = $1 AND name = $2`+tx.Dialect().ForUpdate(),
			a.Namespace, a.Name).Scan(&oldRevision, &oldState, &oldEpoch)
		if err != nil && !store.IsNotFound(err) {
			return fmt.Errorf("reading what was armed: %w", err)
		}
		err = nil
		if _, err := tx.Exec(ctx, `INSERT INTO revisions (ns, scenario, revision, bundle, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (ns, scenario, revision) DO NOTHING`, a.Namespace, a.Name, a.Revision, string(a.Bundle), now); err != nil {
			return fmt.Errorf("keeping revision %s: %w", a.Revision, err)
		}
		if oldRevision == a.Revision && oldState == state && oldEpoch == a.Epoch {
			return nil
		}
		recount := false
		switch {
		case oldRevision == "":
		case oldEpoch != a.Epoch:
			err = e.endEpoch(ctx, tx, a.Ref, oldEpoch)
		case oldRevision != a.Revision:
			recount, err = e.carryOver(ctx, tx, a, oldRevision)
		}
		if err != nil {
			return err
		}
		if oldState == scenarioSuspended && state == scenarioArmed {
			// What would have run while suspended is not caught up on.
			if _, err := tx.Exec(ctx, `UPDATE schedules SET first_seen_at = $3 WHERE ns = $1 AND scenario = $2 AND first_seen_at < $3`,
				a.Namespace, a.Name, now); err != nil {
				return fmt.Errorf("moving the floor of the schedule: %w", err)
			}
		}
		if err := tx.SetListeners(ctx, a.Namespace, a.Name, listenersOf(&a)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO scenarios (ns, name, epoch, revision, state, goal_seen_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)
ON CONFLICT (ns, name) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision, state = excluded.state, updated_at = excluded.updated_at,
  goal_seen_at = CASE WHEN $7 THEN 0 ELSE scenarios.goal_seen_at END,
  stopped = CASE WHEN scenarios.revision = excluded.revision THEN scenarios.stopped ELSE '' END`,
			a.Namespace, a.Name, a.Epoch, a.Revision, state, now, recount)
		if err != nil {
			return fmt.Errorf("arming: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("arming scenario %s/%s: %w", a.Namespace, a.Name, err)
	}
	e.revisions.cache.Add(revisionKey{a.Namespace, a.Name, a.Revision}, a.Compiled)
	e.mu.Lock()
	e.armed[a.Ref] = &armed{Armed: a}
	e.mu.Unlock()
	e.Wake()
	return nil
}

// wantEvery is how often a scenario says that it wants predictions, on business time: those that nobody has wanted for
// a week are dropped.
const wantEvery = 12 * time.Hour

// wantPredictions has the next purchases predicted that let in, or end a wait.
func (e *Engine) wantPredictions(ctx context.Context, a Armed) error {
	now := e.clock.Now()
	e.mu.Lock()
	due := now.Sub(e.predicted[a.Ref]) >= wantEvery
	e.mu.Unlock()
	if !due || !a.Compiled.Journey.Predicts() {
		return nil
	}
	if err := e.store.TrackReplenishment(ctx, a.Namespace, store.ReplenishAny, "", now); err != nil {
		return fmt.Errorf("predicting purchases for scenario %s/%s: %w", a.Namespace, a.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.predicted[a.Ref] = now
	return nil
}

// Disarm stops the engine from working on a Scenario that is not valid at the moment. Nothing is
// cancelled; what has been planned is sent.
func (e *Engine) Disarm(ref Ref) {
	e.mu.Lock()
	delete(e.armed, ref)
	delete(e.predicted, ref)
	e.mu.Unlock()
}

// Ledger is what is known of a Scenario's slots.
type Ledger struct {
	// Floor is the later of the last slot that was handled and when the schedule was first seen.
	Floor time.Time
	// FirstSeen is when this schedule was first seen.
	FirstSeen time.Time
}

// Slots reads the ledger of a schedule, which it notes as seen now if it is new. It reads the
// database, not a cache: what it says decides whether a run starts.
func (e *Engine) Slots(ctx context.Context, ref Ref, schedule string) (Ledger, error) {
	var l Ledger
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO schedules (ns, scenario, schedule, first_seen_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ns, scenario, schedule) DO NOTHING`, ref.Namespace, ref.Name, schedule, store.Millis(e.clock.Now())); err != nil {
			return fmt.Errorf("noting the schedule: %w", err)
		}
		var seen, last int64
		err := tx.QueryRow(ctx, `SELECT first_seen_at, (SELECT COALESCE(MAX(slot_at), 0) FROM slots WHERE ns = $1 AND scenario = $2)
FROM schedules WHERE ns = $1 AND scenario = $2 AND schedule = $3`, ref.Namespace, ref.Name, schedule).Scan(&seen, &last)
		if err != nil {
			return fmt.Errorf("reading the ledger of slots: %w", err)
		}
		l = Ledger{FirstSeen: store.Time(seen), Floor: store.Time(max(seen, last))}
		return nil
	})
	if err != nil {
		return Ledger{}, fmt.Errorf("reading the slots of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return l, nil
}

// Miss records slots that will not run.
func (e *Engine) Miss(ctx context.Context, ref Ref, slots []schedule.Slot, reason string) error {
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		for _, s := range slots {
			if err := e.recordSlot(ctx, tx, ref, s, "missed", reason); err != nil && !store.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
}

// recordSlot writes a slot into the ledger; a slot that is there already is not found.
func (e *Engine) recordSlot(ctx context.Context, tx *store.Tx, ref Ref, s schedule.Slot, state, reason string) error {
	var key string
	err := tx.QueryRow(ctx, `INSERT INTO slots (ns, scenario, slot, slot_at, state, reason, recorded_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (ns, scenario, slot) DO NOTHING RETURNING slot`,
		ref.Namespace, ref.Name, s.Key, store.Millis(s.Time), state, reason, store.Millis(e.clock.Now())).Scan(&key)
	if err != nil && !store.IsNotFound(err) {
		return fmt.Errorf("recording slot %s of scenario %s/%s: %w", s.Key, ref.Namespace, ref.Name, err)
	}
	return err
}

// Fire claims a slot and begins its run. It does nothing, and says so, where the slot was claimed
// before, by whomever, or where the Scenario was suspended or deleted meanwhile.
func (e *Engine) Fire(ctx context.Context, a Armed, s schedule.Slot) (fired bool, err error) {
	run := RunName(a.Name, s)
	err = e.store.Tx(ctx, func(tx *store.Tx) error {
		fired = false
		claimed, err := e.claimSlot(ctx, tx, a.Ref, s)
		if err != nil || !claimed {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO runs (ns, scenario, run, epoch, revision, segment, slot_at, state, planned, shards, created_at, priority)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'enrolling', 0, 0, $8, $9) ON CONFLICT (ns, scenario, run) DO NOTHING`,
			a.Namespace, a.Name, run, a.Epoch, a.Revision, a.Segment, store.Millis(s.Time), store.Millis(e.clock.Now()), a.Compiled.Bundle.Spec.PriorityOrDefault())
		if err != nil {
			return fmt.Errorf("beginning run %s: %w", run, err)
		}
		fired = true
		return nil
	})
	if fired {
		e.Wake()
	}
	return fired, err
}

// RunName names the run of a slot, and its Job: the same slot gives the same name for ever.
func RunName(scenario string, s schedule.Slot) string {
	return fmt.Sprintf("%s-%d", scenario, s.Minutes())
}

// Cancel ends a Scenario that is gone: what has not been sent is cancelled, and nobody goes on. The
// ledgers stay, so that a Scenario of the same name sends nothing again. Calling it twice does no harm.
func (e *Engine) Cancel(ctx context.Context, ref Ref) (cancelled int64, err error) {
	e.Disarm(ref)
	now := store.Millis(e.clock.Now())
	err = e.store.Tx(ctx, func(tx *store.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE scenarios SET state = 'deleted', updated_at = $3 WHERE ns = $1 AND name = $2 AND state <> 'deleted'`,
			ref.Namespace, ref.Name, now)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		// Who comes back under this name is new: its schedule is seen for the first time then.
		if _, err := tx.Exec(ctx, `DELETE FROM schedules WHERE ns = $1 AND scenario = $2`, ref.Namespace, ref.Name); err != nil {
			return fmt.Errorf("forgetting its schedules: %w", err)
		}
		if err := tx.SetListeners(ctx, ref.Namespace, ref.Name, nil); err != nil {
			return err
		}
		// Those that are open are worked off: what is being sent is brought to its end.
		if _, err := tx.Exec(ctx, `UPDATE shards SET state = 'cancelled' WHERE ns = $1 AND scenario = $2 AND state = 'held'`, ref.Namespace, ref.Name); err != nil {
			return fmt.Errorf("cancelling shards: %w", err)
		}
		steps := []struct{ what, query string }{
			{"slots", `DELETE FROM fanouts WHERE ns = $1 AND scenario = $2 AND CAST($3 AS BIGINT) IS NOT NULL`},
			{"enrolments", `UPDATE enrolments SET state = 'cancelled', reason = 'ScenarioDeleted', ended_at = $3 WHERE ns = $1 AND scenario = $2 AND state IN ('active', 'held')`},
			{"runs", `UPDATE runs SET state = 'cancelled', completed_at = $3 WHERE ns = $1 AND scenario = $2 AND state IN ('enrolling', 'held', 'planning', 'planned', 'running')`},
			{"messages", `UPDATE messages SET state = 'cancelled', reason = 'ScenarioDeleted', ended_at = $3 WHERE ns = $1 AND scenario = $2 AND state = 'planned'`},
		}
		for _, s := range steps {
			res, err := tx.Exec(ctx, s.query, ref.Namespace, ref.Name, now)
			if err != nil {
				return fmt.Errorf("cancelling %s: %w", s.what, err)
			}
			if s.what == "messages" {
				if cancelled, err = res.RowsAffected(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("cancelling what scenario %s/%s has not sent: %w", ref.Namespace, ref.Name, err)
	}
	return cancelled, nil
}

// Known lists the Scenarios of the store that are not deleted.
func (e *Engine) Known(ctx context.Context) ([]Ref, error) {
	rows, err := e.store.Query(ctx, `SELECT ns, name FROM scenarios WHERE state <> 'deleted'`)
	if err != nil {
		return nil, fmt.Errorf("listing scenarios: %w", err)
	}
	defer rows.Close()
	var refs []Ref
	for rows.Next() {
		var r Ref
		if err := rows.Scan(&r.Namespace, &r.Name); err != nil {
			return nil, fmt.Errorf("listing scenarios: %w", err)
		}
		refs = append(refs, r)
	}
	return refs, rows.Err()
}
