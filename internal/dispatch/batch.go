// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// batch gathers what a transaction of planning writes.
type batch struct {
	planning
	now time.Time
	// over says that another epoch has begun: after this run nobody goes on in this one.
	over bool
	// moved is where those go on whose next step is not in the scenario's revision any more.
	moved map[string]string

	// won are the variants that won so far.
	won verdicts

	messages   []plannedMessage
	enrolments [][]any
	updates    []store.Customer
	entries    []furtherEntry
}

type plannedMessage struct {
	id, customer, entry, skip string
	variant                   string
	step                      *journey.Step
	due                       time.Time
}

func (b *batch) add(t *traveller, d journey.Decision) {
	for _, m := range d.Messages {
		variant := ""
		if x := m.Step.Experiment; x != nil {
			if variant = b.won[[2]string{m.Step.Name, x.Test}]; variant == "" {
				variant = x.Assign(b.ref.Namespace, b.ref.Name, b.epoch, m.Step.Name, t.customer)
			}
		}
		b.messages = append(b.messages, plannedMessage{
			variant:  variant,
			id:       journey.Key(b.ref.Namespace, b.ref.Name, b.epoch, t.customer, t.entry, m.Step.Name).String(),
			customer: t.customer, entry: t.entry, step: m.Step, due: m.Due, skip: m.Skip,
		})
	}
	d = b.carry(d)
	var ended, since any
	if !d.State.Since.IsZero() {
		since = store.Millis(d.State.Since)
	}
	cursor, due := d.State.Cursor(), d.State.Due
	if d.End != journey.Underway {
		ended, since, cursor, due = store.Millis(b.now), nil, "", t.due
	}
	b.enrolments = append(b.enrolments, []any{nullable(t.place), t.customer, t.entry, string(d.End), d.Reason, cursor, store.Millis(due), since, ended})
}

// carry takes those who were planned by the revision of their run over to the current one.
func (b *batch) carry(d journey.Decision) journey.Decision {
	if d.End != journey.Underway {
		return d
	}
	to, gone := b.moved[d.State.Cursor()]
	switch {
	case b.over:
		d.End, d.Reason = journey.Exited, ReasonEpochChanged
	case gone && to == "":
		d.End = journey.Completed
	case gone:
		d.State = journey.StateAt(to, d.State.Due)
	}
	return d
}

// rowsPerStatement keeps a statement well below the stores' limits of arguments. On SQLite it is far
// lower: its driver's time to bind numbered arguments grows with their square.
func rowsPerStatement(d store.Dialect) int {
	if d == store.SQLite {
		return 25
	}
	return 500
}

func (b *batch) write(ctx context.Context, tx *store.Tx) error {
	if err := b.giveCoupons(ctx, tx); err != nil {
		return err
	}
	shards, err := b.shards(ctx, tx)
	if err != nil {
		return err
	}
	if err := b.writeActs(ctx, tx); err != nil {
		return err
	}
	rows := rowsPerStatement(tx.Dialect())
	for at := 0; at < len(b.messages); at += rows {
		if err := b.insert(ctx, tx, b.messages[at:min(at+rows, len(b.messages))], shards); err != nil {
			return err
		}
	}
	for at := 0; at < len(b.enrolments); at += rows {
		if err := b.advance(ctx, tx, b.enrolments[at:min(at+rows, len(b.enrolments))]); err != nil {
			return err
		}
	}
	return nil
}

// shards gives each message that is to be sent its shard. A run fills shards of its size one after
// the other; a batch of the stream is a shard of its own.
func (b *batch) shards(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	size, planned, already := b.rev.ShardSize(), int64(0), int64(0)
	state := "open"
	if b.run != "" {
		state = "held" // until its Job is there
		err := tx.QueryRow(ctx, `SELECT planned FROM runs WHERE ns = $1 AND scenario = $2 AND run = $3`+tx.Dialect().ForUpdate(),
			b.ref.Namespace, b.ref.Name, b.run).Scan(&already)
		if err != nil {
			return nil, fmt.Errorf("reading how far run %s is planned: %w", b.run, err)
		}
	}
	of := map[string]string{}
	sizes := map[int64]int64{}
	stream := uuid.NewString() // the shard of what no Job carries
	for i := range b.messages {
		m := &b.messages[i]
		if m.skip != "" {
			continue
		}
		idx := (already + planned) / size
		planned++
		sizes[idx]++
		if b.run == "" {
			of[m.id] = stream
		} else {
			of[m.id] = shardID(b.ref, b.run, idx)
		}
	}
	if planned == 0 {
		return of, nil
	}
	if b.run == "" {
		return of, b.insertShard(ctx, tx, stream, "", 0, planned, state)
	}
	for idx, n := range sizes {
		if err := b.insertShard(ctx, tx, shardID(b.ref, b.run, idx), b.run, idx, n, state); err != nil {
			return nil, err
		}
	}
	_, err := tx.Exec(ctx, `UPDATE runs SET planned = planned + $4, shards = $5 WHERE ns = $1 AND scenario = $2 AND run = $3`,
		b.ref.Namespace, b.ref.Name, b.run, planned, (already+planned+size-1)/size)
	if err != nil {
		return nil, fmt.Errorf("counting the messages of run %s: %w", b.run, err)
	}
	return of, nil
}

// runner is who works the batch's shards off: a run's are its Job's, the stream's are any manager's.
func (b *batch) runner() string {
	if b.run != "" && b.rev.Bundle.Spec.Dispatch.RunnerOrDefault() == crm.RunnerJob {
		return RunnerJob
	}
	return RunnerManager
}

func shardID(ref Ref, run string, idx int64) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", ref.Namespace, ref.Name, run, idx)).String()
}

func (b *batch) insertShard(ctx context.Context, tx *store.Tx, id, run string, idx, n int64, state string) error {
	// The stream's shards have no Job and so no index; their key is the id, which run stands for.
	if run == "" {
		run = id
	}
	_, err := tx.Exec(ctx, `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at, runner)
VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0, 0, $8, $9) ON CONFLICT (id) DO UPDATE SET size = shards.size + excluded.size`,
		id, b.ref.Namespace, b.ref.Name, run, idx, n, state, store.Millis(b.now), b.runner())
	if err != nil {
		return fmt.Errorf("adding a shard: %w", err)
	}
	return nil
}

var messageTypes = []string{
	"UUID", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "UUID", "TEXT", "TEXT",
	"TEXT", "TEXT", "INTEGER", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "INTEGER", "TEXT", "TEXT",
}

func (b *batch) insert(ctx context.Context, tx *store.Tx, messages []plannedMessage, shards map[string]string) error {
	rows := make([][]any, len(messages))
	now, priority := store.Millis(b.now), b.rev.Bundle.Spec.PriorityOrDefault()
	for i, m := range messages {
		state, ended := StatePlanned, any(nil)
		if m.skip != "" {
			state, ended = StateSkipped, now
		}
		rows[i] = []any{
			m.id, b.ref.Namespace, b.ref.Name, b.epoch, m.customer, m.entry, m.step.Name, b.run, b.revision,
			nullable(shards[m.id]), m.step.Channel, string(m.step.Kind), state, m.skip, 0, 0, 0, 0,
			store.Millis(m.due), now, store.Millis(b.now.Add(usefulFor)), ended, priority, nullable(m.variant), nullable(b.rev.Bundle.Spec.Purpose),
		}
	}
	values, args := valuesOf(tx.Dialect(), nil, messageTypes, rows)
	// A key that is there already was planned before: that message stands. So does one for the same step that a
	// customer got under another id, before the two were merged.
	_, err := tx.Exec(ctx, `INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision,
  shard, channel, kind, state, reason, attempts, fence, parts, cost, due_at, planned_at, expires_at, ended_at, priority, variant, purpose)
VALUES `+values+` ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return fmt.Errorf("putting messages into the outbox: %w", err)
	}
	return nil
}

var enrolmentTypes = []string{"TID", "TEXT", "TEXT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT"}

func (b *batch) advance(ctx context.Context, tx *store.Tx, rows [][]any) error {
	var of []any
	where := `enrolments.ctid = v.place`
	if tx.Dialect() == store.SQLite {
		of = []any{b.ref.Namespace, b.ref.Name, b.epoch}
		where = `enrolments.ns = $1 AND enrolments.scenario = $2 AND enrolments.epoch = $3
  AND enrolments.customer_id = v.customer_id AND enrolments.entry = v.entry AND enrolments.state = 'active'`
	}
	values, args := valuesOf(tx.Dialect(), of, enrolmentTypes, rows)
	// By their place, since a planner that has not heard of those whom a run has just let in looks through all of
	// them for each of these statements.
	_, err := tx.Exec(ctx, `WITH v (place, customer_id, entry, state, reason, step, due_at, since_at, ended_at) AS (VALUES `+values+`)
UPDATE enrolments SET state = v.state, reason = v.reason, step = v.step, due_at = v.due_at, until_at = NULL, since_at = v.since_at, ended_at = v.ended_at
FROM v WHERE `+where, args...)
	if err != nil {
		return fmt.Errorf("moving enrolments on: %w", err)
	}
	return nil
}
