// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// enrolBatch and planBatch are customers a transaction: large enough to share its cost, small
	// enough that others get a turn and a crash repeats little.
	enrolBatch = 5000
	planBatch  = 1000
	// usefulFor is how long after it was planned a message is still worth sending.
	usefulFor = 24 * time.Hour
)

// openRun is a run that is not planned to its end.
type openRun struct {
	ref                                  Ref
	run, epoch, revision, state, segment string
	slot                                 time.Time
	// reason is why it was stopped, where that was read.
	reason string
}

const openRunsSQL = `SELECT ns, scenario, run, epoch, revision, segment, state, slot_at FROM runs
WHERE state IN ('enrolling', 'held', 'planning')
  AND state IN ('enrolling', 'held', 'planning', 'planned', 'running') -- as the index has it
ORDER BY slot_at`

func (e *Engine) openRuns(ctx context.Context) ([]openRun, error) {
	rows, err := e.store.Query(ctx, openRunsSQL)
	if err != nil {
		return nil, fmt.Errorf("listing runs to plan: %w", err)
	}
	defer rows.Close()
	var out []openRun
	for rows.Next() {
		var r openRun
		var slot int64
		if err := rows.Scan(&r.ref.Namespace, &r.ref.Name, &r.run, &r.epoch, &r.revision, &r.segment, &r.state, &slot); err != nil {
			return nil, fmt.Errorf("reading a run to plan: %w", err)
		}
		r.slot = store.Time(slot)
		out = append(out, r)
	}
	return out, rows.Err()
}

// planning is one batch of decisions to make.
type planning struct {
	ref             Ref
	epoch, revision string
	rev             *Revision
	// run is the run whose enrolments these are, with its Job; empty for the stream of the others.
	run   string
	until time.Time
}

// traveller is an enrolment that is due.
type traveller struct {
	customer, entry, cursor string
	// place is where the row is that the transaction holds, on PostgreSQL.
	place      string
	due, since time.Time
	// gone says that the customer is not in the store, where that was read.
	gone  bool
	facts journey.Facts
}

// plan decides for up to planBatch customers, in one transaction: messages into the outbox, and
// enrolments on to their next moment. It returns how many it decided for.
func (e *Engine) plan(ctx context.Context, p planning) (int, error) {
	var n int
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		n = 0
		b, err := e.begun(ctx, tx, p)
		if err != nil || b == nil {
			return err
		}
		travellers, err := e.due(ctx, tx, p)
		n = len(travellers)
		if err != nil || n == 0 {
			return err
		}
		if p.rev.Journey.Decides() {
			if b.won, err = e.verdictsOf(ctx, tx, p.ref, p.epoch); err != nil {
				return err
			}
		}
		for i := range travellers {
			t := &travellers[i]
			t.facts.Now = b.now
			d := p.rev.Journey.Advance(t.state(), t.facts)
			b.add(t, d)
			if err := b.act(ctx, t, d.Acts); err != nil {
				return err
			}
		}
		return b.write(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("planning scenario %s/%s: %w", p.ref.Namespace, p.ref.Name, err)
	}
	return n, nil
}

func (t *traveller) state() journey.State {
	s := journey.StateAt(t.cursor, t.due)
	s.Since = t.since
	return s
}

// begun begins a batch, or returns nil where this is not to be planned now: the run was planned or
// cancelled meanwhile, or the scenario has been armed with something else, by whichever process.
func (e *Engine) begun(ctx context.Context, tx *store.Tx, p planning) (*batch, error) {
	at, err := standing(ctx, tx, p.ref, p.run)
	if err != nil {
		return nil, err
	}
	b := &batch{planning: p, now: e.clock.Now(), over: at.epoch != p.epoch}
	if p.run == "" {
		if b.over || at.revision != p.revision {
			return nil, nil
		}
		return b, nil
	}
	if at.run != RunPlanning {
		return nil, nil
	}
	if !b.over && at.revision != p.revision {
		// The run keeps the spec that planned it; where its customers go from there is the new one's.
		current, err := e.revisions.journey(ctx, tx, p.ref, at.revision)
		if err != nil {
			return nil, err
		}
		b.moved = journey.Resume(p.rev.Journey, current)
	}
	return b, nil
}

func (e *Engine) due(ctx context.Context, tx *store.Tx, p planning) ([]traveller, error) {
	who, join := customerNone, ``
	if p.rev.Journey.NeedsCustomer() {
		who, join = customerColumns, customerJoins(`e`)
	}
	entry := `NULL`
	if p.rev.Journey.NeedsEntry() {
		entry = `e.facts`
	}
	inside := `TRUE`
	if p.rev.Journey.ExitsWithSegment() {
		inside = `EXISTS (SELECT 1 FROM memberships h WHERE h.ns = e.ns AND h.segment = $7 AND h.customer_id = e.customer_id)`
	}
	left := ``
	if p.rev.Bundle.Spec.Purpose != "" {
		left = `
    OR EXISTS (SELECT 1 FROM purpose_consents w WHERE w.ns = e.ns AND w.customer_id = e.customer_id AND w.purpose = $%d AND w.state = 'withdrawn' AND w.changed_at > e.enrolled_at)`
	}
	mine := ` AND e.due_at <= $4 AND $6 = ''`
	args := []any{p.ref.Namespace, p.ref.Name, p.epoch, store.Millis(p.until), planBatch}
	if p.run != "" {
		// Whoever is in a run is due at its slot until they are planned.
		mine = ` AND e.due_at = $4 AND e.run = $6`
	}
	args = append(args, p.run)
	if p.rev.Journey.ExitsWithSegment() {
		args = append(args, p.rev.Segment())
	}
	if p.rev.Bundle.Spec.Purpose != "" {
		args = append(args, p.rev.Bundle.Spec.Purpose)
		left = fmt.Sprintf(left, len(args))
	}
	lock, place := ``, `''`
	if tx.Dialect() == store.Postgres {
		lock, place = ` FOR UPDATE OF e SKIP LOCKED`, `CAST(e.ctid AS TEXT)`
	}
	rows, err := tx.Query(ctx, `SELECT `+place+`, e.customer_id, e.entry, e.step, COALESCE(e.until_at, e.due_at), e.since_at, e.converted_at IS NOT NULL,
  EXISTS (SELECT 1 FROM consents w WHERE w.ns = e.ns AND w.customer_id = e.customer_id AND w.state = 'withdrawn' AND w.changed_at > e.enrolled_at)`+left+`,
  `+inside+`, `+who+`, `+entry+`
FROM enrolments e`+join+`
WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.state = 'active'`+mine+`
ORDER BY e.due_at, e.customer_id, e.entry LIMIT $5`+lock, args...)
	if err != nil {
		return nil, fmt.Errorf("finding who is due: %w", err)
	}
	defer rows.Close()
	var out []traveller
	for rows.Next() {
		var t traveller
		var due int64
		var let []byte
		var since sql.NullInt64
		var inside bool
		var c customer
		into := append([]any{&t.place, &t.customer, &t.entry, &t.cursor, &due, &since, &t.facts.Converted, &t.facts.Unsubscribed, &inside}, c.scans()...)
		if err := rows.Scan(append(into, &let)...); err != nil {
			return nil, fmt.Errorf("reading who is due: %w", err)
		}
		t.due, t.since, t.facts.OutOfSegment = store.Time(due), store.NullTime(since), !inside
		if t.facts.Entry, err = journey.ReadEntry(let); err != nil {
			return nil, err
		}
		t.gone = len(c.attributes) == 0
		// One whose attributes are no document has none: that must not keep the others from being planned.
		t.facts.Customer, _ = c.facts(t.customer)
		out = append(out, t)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return out, err
	}
	if err := learn(ctx, tx, p, out); err != nil {
		return nil, err
	}
	return out, nil
}

// stepResults fills in what became of the messages that these customers got so far.
func stepResults(ctx context.Context, tx *store.Tx, p planning, travellers []traveller, ids []string) error {
	at := make(map[entryKey]*traveller, len(travellers))
	for i := range travellers {
		t := &travellers[i]
		t.facts.Steps = map[string]journey.StepResult{}
		at[entryKey{t.customer, t.entry}] = t
	}
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT customer_id, entry, step, state, COALESCE(ended_at, 0),
  delivered_at IS NOT NULL, opened_at IS NOT NULL, clicked_at IS NOT NULL
FROM messages WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND customer_id `+d.AnyText(4),
		p.ref.Namespace, p.ref.Name, p.epoch, store.List(d, ids))
	if err != nil {
		return fmt.Errorf("reading what they got so far: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var w entryKey
		var step, state string
		var ended int64
		var r journey.StepResult
		if err := rows.Scan(&w.customer, &w.entry, &step, &state, &ended, &r.Delivered, &r.Opened, &r.Clicked); err != nil {
			return fmt.Errorf("reading what they got so far: %w", err)
		}
		r.Sent, r.Failed, r.Skipped = state == StateSent, state == StateFailed, state == StateSkipped
		if ended > 0 {
			r.At = store.Time(ended)
		}
		if t := at[w]; t != nil {
			t.facts.Steps[step] = r
		}
	}
	return rows.Err()
}
