// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

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
	ref                             Ref
	run, epoch, revision, state, by string
	slot                            time.Time
}

func (e *Engine) openRuns(ctx context.Context) ([]openRun, error) {
	rows, err := e.store.Query(ctx, `SELECT ns, scenario, run, epoch, revision, segment, state, slot_at FROM runs
WHERE state IN ('enrolling', 'planning') ORDER BY slot_at`)
	if err != nil {
		return nil, fmt.Errorf("listing runs to plan: %w", err)
	}
	defer rows.Close()
	var out []openRun
	for rows.Next() {
		var r openRun
		var slot int64
		if err := rows.Scan(&r.ref.Namespace, &r.ref.Name, &r.run, &r.epoch, &r.revision, &r.by, &r.state, &slot); err != nil {
			return nil, fmt.Errorf("reading a run to plan: %w", err)
		}
		r.slot = store.Time(slot)
		out = append(out, r)
	}
	return out, rows.Err()
}

// planRun enrols the audience of a run and plans what is due for it at its slot. It goes on where a
// process that died left off.
func (e *Engine) planRun(ctx context.Context, r openRun) error {
	rev, err := e.revisions.get(ctx, r.ref.Namespace, r.ref.Name, r.revision)
	if err != nil {
		return err
	}
	if r.state == "enrolling" {
		if err := e.enrol(ctx, r, rev); err != nil {
			return err
		}
	}
	for {
		n, err := e.plan(ctx, planning{ref: r.ref, epoch: r.epoch, revision: r.revision, rev: rev, run: r.run, until: r.slot})
		if err != nil {
			return err
		}
		if n < planBatch {
			break
		}
	}
	_, err = e.store.Exec(ctx, `UPDATE runs SET state = 'planned' WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'planning'`,
		r.ref.Namespace, r.ref.Name, r.run)
	if err != nil {
		return fmt.Errorf("ending the planning of run %s: %w", r.run, err)
	}
	return nil
}

// enrol lets the members of the segment in, in batches by id. Who is in the ledger already stays
// out, so that doing it again does nothing.
func (e *Engine) enrol(ctx context.Context, r openRun, rev *Revision) error {
	start := rev.Journey.Start(r.slot)
	last := ""
	for {
		var next string
		err := e.store.Tx(ctx, func(tx *store.Tx) error {
			next = ""
			err := tx.QueryRow(ctx, `SELECT MAX(customer_id) FROM (SELECT customer_id FROM memberships
WHERE ns = $1 AND segment = $2 AND customer_id > $3 ORDER BY customer_id LIMIT $4) page HAVING MAX(customer_id) IS NOT NULL`,
				r.ref.Namespace, r.by, last, enrolBatch).Scan(&next)
			if store.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
SELECT ns, $3, $4, customer_id, '', $5, 'active', '', $6, $7, $8 FROM memberships
WHERE ns = $1 AND segment = $2 AND customer_id > $9 AND customer_id <= $10
ON CONFLICT (ns, scenario, epoch, customer_id, entry) DO NOTHING`,
				r.ref.Namespace, r.by, r.ref.Name, r.epoch, r.run, start.Cursor(), store.Millis(r.slot), store.Millis(e.clock.Now()), last, next)
			return err
		})
		if err != nil {
			return fmt.Errorf("enrolling the members of segment %s for run %s: %w", r.by, r.run, err)
		}
		if next == "" {
			break
		}
		last = next
	}
	_, err := e.store.Exec(ctx, `UPDATE runs SET state = 'planning' WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'enrolling'`,
		r.ref.Namespace, r.ref.Name, r.run)
	if err != nil {
		return fmt.Errorf("ending the enrolment of run %s: %w", r.run, err)
	}
	return nil
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
	due, enrolled           time.Time
	facts                   journey.Facts
}

// plan decides for up to planBatch customers, in one transaction: messages into the outbox, and
// enrolments on to their next moment. It returns how many it decided for.
func (e *Engine) plan(ctx context.Context, p planning) (int, error) {
	var n int
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		travellers, err := e.due(ctx, tx, p)
		n = len(travellers)
		if err != nil || n == 0 {
			return err
		}
		b := &batch{planning: p, now: e.clock.Now()}
		for i := range travellers {
			t := &travellers[i]
			t.facts.Now = b.now
			b.add(t, p.rev.Journey.Advance(journey.StateAt(t.cursor, t.due), t.facts))
		}
		return b.write(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("planning scenario %s/%s: %w", p.ref.Namespace, p.ref.Name, err)
	}
	return n, nil
}

func (e *Engine) due(ctx context.Context, tx *store.Tx, p planning) ([]traveller, error) {
	attributes, join := `'{}'`, ``
	if p.rev.Journey.NeedsCustomer() {
		attributes = `c.attributes`
		join = ` LEFT JOIN customers c ON c.ns = e.ns AND c.id = e.customer_id`
	}
	mine := ``
	args := []any{p.ref.Namespace, p.ref.Name, p.epoch, store.Millis(p.until), planBatch}
	if p.run != "" {
		mine = ` AND e.run = $6`
		args = append(args, p.run)
	}
	lock := ``
	if tx.Dialect() == store.Postgres {
		lock = ` FOR UPDATE OF e SKIP LOCKED`
	}
	rows, err := tx.Query(ctx, `SELECT e.customer_id, e.entry, e.step, e.due_at, e.enrolled_at, e.converted_at IS NOT NULL,
  EXISTS (SELECT 1 FROM consents w WHERE w.ns = e.ns AND w.customer_id = e.customer_id AND w.state = 'withdrawn' AND w.changed_at > e.enrolled_at),
  `+attributes+`
FROM enrolments e`+join+`
WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.state = 'active' AND e.due_at <= $4`+mine+`
ORDER BY e.due_at, e.customer_id, e.entry LIMIT $5`+lock, args...)
	if err != nil {
		return nil, fmt.Errorf("finding who is due: %w", err)
	}
	defer rows.Close()
	var out []traveller
	for rows.Next() {
		var t traveller
		var due, enrolled int64
		var attributes []byte
		if err := rows.Scan(&t.customer, &t.entry, &t.cursor, &due, &enrolled, &t.facts.Converted, &t.facts.Unsubscribed, &attributes); err != nil {
			return nil, fmt.Errorf("reading who is due: %w", err)
		}
		t.due, t.enrolled = store.Time(due), store.Time(enrolled)
		if err := json.Unmarshal(attributes, &t.facts.Customer); err != nil {
			return nil, fmt.Errorf("reading the attributes of customer %q: %w", t.customer, err)
		}
		if t.facts.Customer == nil {
			t.facts.Customer = map[string]any{}
		}
		t.facts.Customer["id"] = t.customer
		out = append(out, t)
	}
	if err := rows.Err(); err != nil || len(out) == 0 || !p.rev.Journey.NeedsSteps() {
		return out, err
	}
	return out, e.stepResults(ctx, tx, p, out)
}

// stepResults fills in what became of the messages that these customers got so far.
func (e *Engine) stepResults(ctx context.Context, tx *store.Tx, p planning, travellers []traveller) error {
	type who struct{ customer, entry string }
	at := make(map[who]*traveller, len(travellers))
	ids := make([]string, len(travellers))
	for i := range travellers {
		t := &travellers[i]
		t.facts.Steps = map[string]journey.StepResult{}
		at[who{t.customer, t.entry}] = t
		ids[i] = t.customer
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
		var w who
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

// streamShard names the shard of one batch that no Job carries.
func streamShard() string { return uuid.NewString() }
