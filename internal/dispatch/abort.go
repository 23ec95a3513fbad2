// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// watch stops runs under way whose messages do harm.
func (e *Engine) watch(ctx context.Context) error {
	if time.Since(e.watched) < watchEvery {
		return nil
	}
	e.watched = time.Now()
	open, err := e.underway(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for i := range open {
		failed = append(failed, e.watchRun(ctx, &open[i]))
	}
	return errors.Join(failed...)
}

// underway are the runs whose messages are being sent.
func (e *Engine) underway(ctx context.Context) (open []openRun, err error) {
	rows, err := e.store.Query(ctx, `SELECT ns, scenario, run, revision, reason FROM runs WHERE state = 'running'
  AND state IN ('enrolling', 'held', 'planning', 'planned', 'running') -- as the index has it`)
	if err != nil {
		return nil, fmt.Errorf("listing the runs under way: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r openRun
		if err := rows.Scan(&r.ref.Namespace, &r.ref.Name, &r.run, &r.revision, &r.reason); err != nil {
			return nil, fmt.Errorf("listing the runs under way: %w", err)
		}
		open = append(open, r)
	}
	return open, rows.Err()
}

func (e *Engine) watchRun(ctx context.Context, r *openRun) error {
	if strings.HasPrefix(r.reason, aborted) {
		// What was being sent when it was stopped, and is to be tried again.
		return e.store.Tx(ctx, func(tx *store.Tx) error { return e.cancelRest(ctx, tx, r.ref, r.run) })
	}
	rev, err := e.revisions.get(ctx, r.ref.Namespace, r.ref.Name, r.revision)
	if err != nil {
		return err
	}
	_, spec := e.guardrails(r.ref, rev)
	if spec == nil || spec.AbortOn == nil {
		return nil
	}
	c, err := e.countHarm(ctx, `m.ns = $1 AND m.scenario = $2 AND m.run = $3`, []any{r.ref.Namespace, r.ref.Name, r.run})
	if err != nil {
		return err
	}
	reason := c.harm(spec.AbortOn)
	if reason == "" {
		return nil
	}
	e.notify(r.ref)
	return e.abort(ctx, r, aborted+reason)
}

// harmCounts are what came back of what was sent.
type harmCounts struct{ sent, bounced, complained, left int64 }

// countHarm counts among the messages m that a condition holds for.
func (e *Engine) countHarm(ctx context.Context, where string, args []any) (c harmCounts, err error) {
	err = e.store.QueryRow(ctx, `SELECT COUNT(*) FILTER (WHERE m.state IN ('sent', 'unknown')), COUNT(m.bounced_at) FROM messages m WHERE `+where, args...).Scan(&c.sent, &c.bounced)
	if err != nil {
		return c, fmt.Errorf("counting what was sent: %w", err)
	}
	err = e.store.QueryRow(ctx, `SELECT COUNT(DISTINCT CASE WHEN x.kind = 'complained' THEN m.id END), COUNT(DISTINCT CASE WHEN x.kind = 'unsubscribed' THEN m.id END)
FROM messages m JOIN receipts x ON x.message_id = m.id WHERE `+where+` AND x.kind IN ('complained', 'unsubscribed')`, args...).Scan(&c.complained, &c.left)
	if err != nil {
		return c, fmt.Errorf("counting what came back: %w", err)
	}
	return c, nil
}

// harm says which rate is above its limit; empty where none is.
func (c harmCounts) harm(limits *crm.AbortOn) string {
	if c.sent < limits.MinimumSentOrDefault() {
		return ""
	}
	for _, rate := range []struct {
		what  string
		n     int64
		limit crm.Percentage
	}{{"bounceRate", c.bounced, limits.BounceRate}, {"complaintRate", c.complained, limits.ComplaintRate}, {"unsubscribeRate", c.left, limits.UnsubscribeRate}} {
		if rate.limit != "" && float64(rate.n) > rate.limit.Fraction()*float64(c.sent) {
			return fmt.Sprintf("%d of %d sent, %.1f%%, is more than %s, %s", rate.n, c.sent, 100*float64(rate.n)/float64(c.sent), rate.what, rate.limit)
		}
	}
	return ""
}

// abort cancels what a run has not sent, and ends the ways of those who were to get it.
func (e *Engine) abort(ctx context.Context, r *openRun, reason string) error {
	return e.store.Tx(ctx, func(tx *store.Tx) error {
		res, err := tx.Exec(ctx, `UPDATE runs SET reason = $4 WHERE ns = $1 AND scenario = $2 AND run = $3 AND reason = ''`, r.ref.Namespace, r.ref.Name, r.run, reason)
		if err != nil {
			return fmt.Errorf("stopping run %s: %w", r.run, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // another was here first
		}
		return e.cancelRest(ctx, tx, r.ref, r.run)
	})
}

func (e *Engine) cancelRest(ctx context.Context, tx *store.Tx, ref Ref, run string) error {
	for _, query := range []string{
		`UPDATE enrolments SET state = 'exited', reason = '` + ReasonGuardrails + `', step = '', ended_at = $4 WHERE ns = $1 AND scenario = $2 AND ($3 = '' OR run = $3) AND state = 'active'
  AND EXISTS (SELECT 1 FROM messages m WHERE m.ns = enrolments.ns AND m.scenario = enrolments.scenario AND m.epoch = enrolments.epoch
    AND m.customer_id = enrolments.customer_id AND m.entry = enrolments.entry AND m.run = $3 AND m.state = 'planned')`,
		`UPDATE messages SET state = 'cancelled', reason = '` + ReasonGuardrails + `', ended_at = $4 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'planned'`,
	} {
		if _, err := tx.Exec(ctx, query, ref.Namespace, ref.Name, run, store.Millis(e.clock.Now())); err != nil {
			return fmt.Errorf("stopping what scenario %s/%s was about to send: %w", ref.Namespace, ref.Name, err)
		}
	}
	return nil
}
