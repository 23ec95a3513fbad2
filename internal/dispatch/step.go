// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Steps goes on with an engine by hand, where somebody else moves the clock: days pass as fast as their
// work is done. It takes the place of Run; its methods are for one goroutine.
type Steps struct {
	engine *Engine
	// at is the moment of the last step.
	at time.Time
}

// ByHand makes the engine go on by steps instead of by Run.
func (e *Engine) ByHand() *Steps {
	e.ledger = newLedger(e.store, e.clock)
	return &Steps{engine: e}
}

// Close ends what writes for the engine.
func (s *Steps) Close() { s.engine.ledger.close() }

// Step does what is due now, and returns when the workers have nothing more to do now. busy says that
// there may be more to do before time goes on.
func (s *Steps) Step(ctx context.Context) (busy bool, err error) {
	s.woken() // for what is looked at now
	if err := s.hurry(ctx); err != nil {
		return false, err
	}
	err = s.engine.tick(ctx)
	s.engine.workers.Wait()
	return s.woken(), err
}

func (s *Steps) woken() bool {
	select {
	case <-s.engine.wake:
		return true
	default:
		return false
	}
}

// hurry ends the waits that are on machine time, which here says nothing.
func (s *Steps) hurry(ctx context.Context) error {
	e := s.engine
	e.watched = time.Time{}
	armed := e.snapshot()
	for _, a := range armed {
		a.credited, a.decided, a.guard.at = time.Time{}, time.Time{}, time.Time{}
	}
	now := e.clock.Now()
	if now.Equal(s.at) {
		return nil // what was given back a moment ago would wait again
	}
	s.at = now
	for _, a := range armed {
		e.look(a.Ref)
		a.awaited.since = time.Time{}
	}
	if _, err := e.store.Exec(ctx, `UPDATE shards SET lease_until = 0 WHERE state = 'open' AND holder = ''`); err != nil {
		return fmt.Errorf("taking up what waits: %w", err)
	}
	return nil
}

// Next is the first moment after now at which the clock alone gives the engine something to do; zero for
// none. The moments of schedules and dates are not among them: whoever fires these knows them.
func (s *Steps) Next(ctx context.Context) (time.Time, error) {
	now := store.Millis(s.engine.clock.Now())
	var first *int64
	err := s.engine.store.QueryRow(ctx, `SELECT MIN(at) FROM (
  SELECT MIN(due_at) AS at FROM enrolments WHERE state = 'active' AND due_at > $1
  UNION ALL SELECT MIN(not_before) FROM messages WHERE state = 'planned' AND not_before > $1
  UNION ALL SELECT MIN(expires_at) + 1 FROM messages WHERE state = 'planned' AND expires_at >= $1) x`, now).Scan(&first)
	if err != nil {
		return time.Time{}, fmt.Errorf("finding when something is due: %w", err)
	}
	next := time.Time{}
	if first != nil {
		next = store.Time(*first)
	}
	behind, err := s.behind(ctx)
	if err != nil {
		return time.Time{}, err
	}
	held, err := s.held(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, at := range []time.Time{behind, held} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, nil
}

// patient is how long messages are looked at each second that let others go first. What waits for longer
// waits for something else than time.
const patient = time.Minute

// behind is when a message that lets others go first is looked at again.
func (s *Steps) behind(ctx context.Context) (time.Time, error) {
	now := s.engine.clock.Now()
	var due *int64
	err := s.engine.store.QueryRow(ctx, `SELECT MIN(due_at) FROM messages
WHERE state = 'planned' AND COALESCE(not_before, due_at) <= $1 AND COALESCE(not_before, due_at) > $2`,
		store.Millis(now), store.Millis(now.Add(-patient))).Scan(&due)
	if err != nil || due == nil {
		return time.Time{}, err
	}
	if graced := store.Time(*due).Add(grace); graced.After(now) {
		return graced, nil
	}
	return now.Add(othersFirstWait), nil
}

// held is when the next run that its guardrails hold is over.
func (s *Steps) held(ctx context.Context) (next time.Time, err error) {
	runs, err := s.engine.openRuns(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for i := range runs {
		r := &runs[i]
		rev, err := s.engine.revisions.get(ctx, r.ref.Namespace, r.ref.Name, r.revision)
		if err != nil {
			return time.Time{}, err
		}
		over := r.slot.Add(deadlineOf(rev) + time.Millisecond)
		if r.state == RunHeld && over.After(s.engine.clock.Now()) && (next.IsZero() || over.Before(next)) {
			next = over
		}
	}
	return next, nil
}
