// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// streamGuardEvery is how often what a scenario sends outside of runs is judged, on machine time.
	streamGuardEvery = 30 * time.Second
	// streamRates are of what was sent in that time before.
	streamRates = 24 * time.Hour
)

// streamGuard is how what a scenario sends outside of runs was judged last.
type streamGuard struct {
	at     time.Time // on machine time
	reason string    // empty where it may go on
}

// guardStream says whether a scenario may plan what no run carries: whom a fact let in, and the later steps of
// those whom a run did. A budget holds it until some of what was spent is longer ago than the budget counts, and
// rates stop it until the Scenario is another revision.
func (e *Engine) guardStream(ctx context.Context, a *armed) (passed bool, err error) {
	g := a.Compiled.Bundle.Spec.Guardrails
	e.mu.Lock()
	last := a.guard
	e.mu.Unlock()
	// Without guardrails it was stopped before, or is stopped when its content is refused.
	if unlimited := g == nil || g.Budget == nil && g.AbortOn == nil; unlimited && !last.at.IsZero() || time.Since(last.at) < streamGuardEvery {
		return last.reason == "", nil
	}
	reason, err := e.judgeStream(ctx, a, g)
	if err != nil {
		return false, fmt.Errorf("judging scenario %s/%s: %w", a.Namespace, a.Name, err)
	}
	changed := reason != last.reason
	e.mu.Lock()
	a.guard = streamGuard{time.Now(), reason}
	e.mu.Unlock()
	if changed {
		e.notify(a.Ref)
	}
	return reason == "", nil
}

// Guarded says why a scenario plans nothing outside of runs; empty where it does.
func (e *Engine) Guarded(ref Ref) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.armed[ref]; a != nil {
		return a.guard.reason
	}
	return ""
}

func (e *Engine) judgeStream(ctx context.Context, a *armed, g *crm.Guardrails) (reason string, err error) {
	err = e.store.QueryRow(ctx, `SELECT stopped FROM scenarios WHERE ns = $1 AND name = $2`, a.Namespace, a.Name).Scan(&reason)
	if err != nil {
		return "", err
	}
	if reason != "" {
		// What was being sent when it was stopped may be planned again.
		return reason, e.store.Tx(ctx, func(tx *store.Tx) error { return e.cancelRest(ctx, tx, a.Ref, "") })
	}
	if g == nil {
		return "", nil
	}
	if g.AbortOn != nil {
		c, err := e.streamCounts(ctx, a)
		if err != nil {
			return "", err
		}
		if harm := c.harm(g.AbortOn); harm != "" {
			return aborted + harm, e.abortStream(ctx, a.Ref, aborted+harm)
		}
	}
	if g.Budget == nil {
		return "", nil
	}
	most, err := money.FromIntOrString(&g.Budget.Amount)
	if err != nil {
		return "", err
	}
	spent, err := e.spent(ctx, a.Ref, a.Compiled.Journey.Channels(), g.Budget.Per.Duration())
	if err == nil && spent >= most {
		reason = fmt.Sprintf("%s spent in %s reach the budget of %s", spent, g.Budget.Per, most)
	}
	return reason, err
}

// spent is what a scenario's messages through these channels cost in a time.
func (e *Engine) spent(ctx context.Context, ref Ref, channels []string, per time.Duration) (sum money.Amount, err error) {
	d := e.store.Dialect()
	err = e.store.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM messages
WHERE ns = $1 AND channel `+d.AnyText(2)+` AND ended_at > $3 AND scenario = $4 AND state IN ('sent', 'unknown')`,
		ref.Namespace, store.List(d, channels), store.Millis(e.clock.Now().Add(-per)), ref.Name).Scan(&sum)
	if err != nil {
		return 0, fmt.Errorf("summing what was spent: %w", err)
	}
	return sum, nil
}

// streamCounts are of what a scenario sent outside of runs lately.
func (e *Engine) streamCounts(ctx context.Context, a *armed) (c harmCounts, err error) {
	d := e.store.Dialect()
	const lately = ` m.ns = $1 AND m.ended_at > $2 AND m.scenario = $3 AND m.run = '' AND m.channel `
	args := []any{a.Namespace, store.Millis(e.clock.Now().Add(-streamRates)), a.Name, store.List(d, a.Compiled.Journey.Channels())}
	return e.countHarm(ctx, lately+d.AnyText(4), args)
}

// abortStream cancels what is planned outside of runs, and plans nothing more.
func (e *Engine) abortStream(ctx context.Context, ref Ref, reason string) error {
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE scenarios SET stopped = $3 WHERE ns = $1 AND name = $2 AND stopped = ''`, ref.Namespace, ref.Name, reason)
		if err != nil {
			return fmt.Errorf("stopping scenario %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		return e.cancelRest(ctx, tx, ref, "")
	})
}
