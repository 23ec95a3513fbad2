// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// RunHeld is a run that a guardrail holds before its first message is planned.
const RunHeld = "held"

// Reasons of what a guardrail stopped.
const (
	ReasonGuardrails = "Guardrails"
	aborted          = "aborted: "
)

const (
	// lastRuns are those whose median the growth of an audience is held against.
	lastRuns = 5
	// guardEvery is how often a run that is held is judged again while nothing was changed.
	guardEvery = 30 * time.Second
	// watchEvery is how often the rates of a run under way are looked at, on machine time.
	watchEvery = 5 * time.Second
)

// guarded is when a run was judged last, and by which revision.
type guarded struct {
	revision string
	at       time.Time
}

// guard holds a run that its guardrails do not let pass, lets it go on when those of a later commit do,
// and ends it when its slot is over. It says whether the run may be planned.
func (e *Engine) guard(ctx context.Context, r *openRun, rev *Revision) (passed bool, err error) {
	revision, spec := e.guardrails(r.ref, rev)
	key := runKey{r.ref, r.run}
	if last := e.guarded[key]; r.state == RunHeld && last.revision == revision && e.clock.Now().Sub(last.at) < guardEvery && e.clock.Now().Sub(r.slot) <= deadlineOf(rev) {
		return false, nil
	}
	e.guarded[key] = guarded{revision, e.clock.Now()}
	recipients, reason, err := e.judge(ctx, r, rev, spec, revision)
	if err != nil {
		return false, fmt.Errorf("judging run %s: %w", r.run, err)
	}
	switch {
	case reason == "":
		delete(e.guarded, key)
		err = e.letPass(ctx, r, recipients)
		r.state = RunPlanning
		return err == nil, err
	case e.clock.Now().Sub(r.slot) > deadlineOf(rev):
		delete(e.guarded, key)
		err = e.expire(ctx, r, reason)
	default:
		err = e.hold(ctx, r, recipients, reason)
	}
	e.notify(r.ref)
	return false, err
}

// guardrails are those of the Scenario as it is armed now: a run that is held waits for a commit that
// lets it pass.
func (e *Engine) guardrails(ref Ref, rev *Revision) (revision string, spec *crm.Guardrails) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.armed[ref]; a != nil {
		return a.Revision, a.Compiled.Bundle.Spec.Guardrails
	}
	return "", rev.Bundle.Spec.Guardrails
}

func deadlineOf(rev *Revision) time.Duration {
	if t := rev.Bundle.Spec.Trigger.Schedule; t != nil {
		return t.StartingDeadlineOrDefault()
	}
	return (&crm.ScheduleTrigger{}).StartingDeadlineOrDefault()
}

// judge says why a run may not go on, with the numbers, and how many would get messages.
func (e *Engine) judge(ctx context.Context, r *openRun, rev *Revision, g *crm.Guardrails, revision string) (recipients int64, reason string, err error) {
	err = e.store.QueryRow(ctx, `SELECT COUNT(*) FROM enrolments WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND run = $4 AND state IN ('active', 'held')`,
		r.ref.Namespace, r.ref.Name, r.epoch, r.run).Scan(&recipients)
	if err != nil {
		return recipients, "", err
	}
	if reason, err = e.abortedBefore(ctx, r, revision); err != nil || reason != "" || g == nil {
		return recipients, reason, err
	}
	if most := g.MaxRecipientsPerRun; most > 0 && recipients > most {
		return recipients, fmt.Sprintf("%d recipients are more than maxRecipientsPerRun, %d", recipients, most), nil
	}
	if g.MaxGrowth != "" {
		if reason, err = e.growth(ctx, r, recipients, g.MaxGrowth); err != nil || reason != "" {
			return recipients, reason, err
		}
	}
	if g.Budget != nil {
		reason, err = e.budget(ctx, r, rev, g.Budget, recipients)
	}
	return recipients, reason, err
}

// abortedBefore holds the run after one that was stopped, as long as the Scenario is what it was.
func (e *Engine) abortedBefore(ctx context.Context, r *openRun, revision string) (string, error) {
	var before, reason string
	err := e.store.QueryRow(ctx, `SELECT revision, reason FROM runs WHERE ns = $1 AND scenario = $2 AND slot_at < $3 ORDER BY slot_at DESC LIMIT 1`,
		r.ref.Namespace, r.ref.Name, store.Millis(r.slot)).Scan(&before, &reason)
	if store.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the run before: %w", err)
	}
	if before != revision || !strings.HasPrefix(reason, aborted) {
		return "", nil
	}
	return "the run before was " + reason + "; change the Scenario to go on", nil
}

func (e *Engine) growth(ctx context.Context, r *openRun, recipients int64, most crm.Percentage) (reason string, err error) {
	rows, err := e.store.Query(ctx, `SELECT recipients FROM runs WHERE ns = $1 AND scenario = $2 AND slot_at < $3 AND recipients > 0
  AND state IN ('planning', 'planned', 'running', 'complete') ORDER BY slot_at DESC LIMIT $4`, r.ref.Namespace, r.ref.Name, store.Millis(r.slot), lastRuns)
	if err != nil {
		return "", fmt.Errorf("reading the runs before: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var before []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return "", fmt.Errorf("reading the runs before: %w", err)
		}
		before = append(before, n)
	}
	if len(before) == 0 {
		return "", rows.Err()
	}
	slices.Sort(before)
	median := before[len(before)/2]
	if float64(recipients) > most.Fraction()*float64(median) {
		return fmt.Sprintf("%d recipients are more than maxGrowth, %s of %d, which is the median of the last %d runs", recipients, most, median, len(before)), rows.Err()
	}
	return "", rows.Err()
}

// budget holds what was spent, and what this run's messages are likely to cost, against the budget.
func (e *Engine) budget(ctx context.Context, r *openRun, rev *Revision, b *crm.Budget, recipients int64) (string, error) {
	most, err := money.FromIntOrString(&b.Amount)
	if err != nil {
		return "", err
	}
	spent, err := e.spent(ctx, r.ref, rev.Journey.Channels(), b.Per.Duration())
	if err != nil {
		return "", err
	}
	planned, err := e.estimate(ctx, r, rev, recipients)
	if err != nil {
		return "", err
	}
	if spent+planned > most {
		return fmt.Sprintf("%s for %d recipients, beside %s spent in %s, is more than the budget of %s", planned, recipients, spent, b.Per, most), nil
	}
	return "", nil
}

// estimate is what the messages of a run's own moment cost, if all recipients get them.
func (e *Engine) estimate(ctx context.Context, r *openRun, rev *Revision, recipients int64) (total money.Amount, err error) {
	for _, s := range rev.Journey.First() {
		ch, known := e.channels.Configured(Ref{r.ref.Namespace, s.Channel})
		if !known || ch.Price == 0 {
			continue
		}
		parts := int64(1)
		if t := rev.templates[s.Name]; t.sms != nil {
			if parts, err = e.partsOf(ctx, r, rev, t); err != nil {
				return 0, err
			}
		}
		cost, err := ch.Price.Mul(parts)
		if err == nil {
			cost, err = cost.Mul(recipients)
		}
		if err != nil {
			return 0, fmt.Errorf("pricing the messages: %w", err)
		}
		total += cost
	}
	return total, nil
}

// letPass lets a run be planned.
func (e *Engine) letPass(ctx context.Context, r *openRun, recipients int64) error {
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		if r.state == RunHeld {
			if _, err := tx.Exec(ctx, `UPDATE enrolments SET state = 'active' WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND run = $4 AND state = 'held'`,
				r.ref.Namespace, r.ref.Name, r.epoch, r.run); err != nil {
				return fmt.Errorf("letting run %s go on: %w", r.run, err)
			}
		}
		_, err := tx.Exec(ctx, `UPDATE runs SET state = 'planning', reason = '', recipients = $4 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state IN ('enrolling', 'held')`,
			r.ref.Namespace, r.ref.Name, r.run, recipients)
		if err != nil {
			return fmt.Errorf("letting run %s be planned: %w", r.run, err)
		}
		return nil
	})
}

// hold keeps a run, and those it let in, until it may go on.
func (e *Engine) hold(ctx context.Context, r *openRun, recipients int64, reason string) error {
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE enrolments SET state = 'held' WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND run = $4 AND state = 'active'`,
			r.ref.Namespace, r.ref.Name, r.epoch, r.run); err != nil {
			return fmt.Errorf("holding run %s: %w", r.run, err)
		}
		_, err := tx.Exec(ctx, `UPDATE runs SET state = 'held', reason = $4, recipients = $5 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state IN ('enrolling', 'held')`,
			r.ref.Namespace, r.ref.Name, r.run, reason, recipients)
		if err != nil {
			return fmt.Errorf("holding run %s: %w", r.run, err)
		}
		return nil
	})
}

// expire ends a run that was held until its slot was over. Those it let in got nothing, and may enter at
// another slot.
func (e *Engine) expire(ctx context.Context, r *openRun, reason string) error {
	now := store.Millis(e.clock.Now())
	reason = "held by guardrails until startingDeadline: " + reason
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		for _, s := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM enrolments WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND run = $4`, []any{r.ref.Namespace, r.ref.Name, r.epoch, r.run}},
			{`UPDATE runs SET state = 'cancelled', reason = $4, completed_at = $5 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state IN ('enrolling', 'held')`,
				[]any{r.ref.Namespace, r.ref.Name, r.run, reason, now}},
			{`UPDATE slots SET state = 'missed', reason = $4 WHERE ns = $1 AND scenario = $2 AND slot_at = $3`, []any{r.ref.Namespace, r.ref.Name, store.Millis(r.slot), reason}},
		} {
			if _, err := tx.Exec(ctx, s.query, s.args...); err != nil {
				return fmt.Errorf("ending run %s: %w", r.run, err)
			}
		}
		return nil
	})
}
