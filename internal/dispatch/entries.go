// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// arrivalBatch is how many facts are decided about in one transaction.
const arrivalBatch = 1000

// propertyOrderID is the property of the event Order Completed that names the order.
const propertyOrderID = "order_id"

// listenersOf are the facts that a scenario's trigger and steps wait for.
func listenersOf(a *Armed) []store.Listener {
	var out []store.Listener
	listen := func(l store.Listener) {
		for i := range out {
			if out[i].Kind == l.Kind && out[i].Name == l.Name {
				out[i].Late = max(out[i].Late, l.Late)
				return
			}
		}
		out = append(out, l)
	}
	event := func(name string, late time.Duration, orders bool) {
		listen(store.Listener{Kind: store.ListenEvent, Name: name, Late: late})
		if name == crm.EventOrderCompleted && orders {
			listen(store.Listener{Kind: store.ListenOrder, Late: late})
		}
	}
	j := a.Compiled.Journey
	for i := range j.Steps {
		if name, timeout := j.Steps[i].Listens(); name != "" {
			event(name, timeout, true)
		}
	}
	if name := j.GoalEvent(); name != "" {
		event(name, j.Goal.Within.Duration(), false)
	}
	if j.ExitsWithSegment() {
		listen(store.Listener{Kind: store.ListenExit, Name: a.Segment})
	}
	switch t := &a.Compiled.Bundle.Spec.Trigger; {
	case a.Suspended: // those under way go on
		return out
	case t.SegmentEntry != nil:
		listen(store.Listener{Kind: store.ListenSegment, Name: a.Segment})
	case t.Date != nil:
		listen(store.Listener{Kind: store.ListenChange, Param: int64(j.Calendar.Changes())})
	case t.ProductEvent != nil:
		listen(store.Listener{Kind: store.ListenProduct, Name: t.ProductEvent.Name, Param: j.News.Few})
	case t.Event != nil:
		event(t.Event.Name, j.Door.Late, len(t.Event.Where) == 0)
	}
	listen(store.Listener{Kind: store.ListenEnter})
	return out
}

// expected finds the scenarios before which facts are that came in, with the last of them, in one look
// for all.
func (e *Engine) expected(ctx context.Context) (_ map[Ref]string, err error) {
	rows, err := e.store.Query(ctx, `SELECT ns, scenario, last FROM (SELECT l.ns, l.scenario,
    (SELECT a.id FROM arrivals a WHERE a.ns = l.ns AND a.scenario = l.scenario ORDER BY a.id DESC LIMIT 1) AS last
  FROM (SELECT DISTINCT ns, scenario FROM listeners) l) x WHERE last IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("looking who came in: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[Ref]string{}
	for rows.Next() {
		var r Ref
		var last string
		if err := rows.Scan(&r.Namespace, &r.Name, &last); err != nil {
			return nil, fmt.Errorf("looking who came in: %w", err)
		}
		out[r] = last
	}
	return out, rows.Err()
}

// awaited is the facts that wait until the segment that filters them has heard of them.
type awaited struct {
	// upTo is the last of them, and seq how far the feed had come by then.
	upTo  string
	seq   int64
	since time.Time // on machine time
}

// awaitAtMost is how long facts wait for a segment, on machine time: one that is suspended, or cannot be
// refreshed, is taken as it is.
const awaitAtMost = 30 * time.Second

// filtered tells up to which fact the scenario's segment, where it filters, knows of them; last is the
// last there is. An order must not be held against who the customer was before it.
func (e *Engine) filtered(ctx context.Context, a *armed, last string) (upTo string, err error) {
	if t := &a.Compiled.Bundle.Spec.Trigger; a.Segment == "" || t.Schedule != nil || t.SegmentEntry != nil {
		return last, nil
	}
	var feed, segment int64
	err = e.store.QueryRow(ctx, `SELECT COALESCE((SELECT seq FROM feeds WHERE ns = $1), 0), COALESCE((SELECT seq FROM segments WHERE ns = $1 AND name = $2), 0)`,
		a.Namespace, a.Segment).Scan(&feed, &segment)
	if err != nil {
		return "", fmt.Errorf("reading what segment %s has heard of: %w", a.Segment, err)
	}
	w := a.awaited
	if w.upTo == "" {
		w = awaited{last, feed, time.Now()}
	}
	if segment < w.seq && time.Since(w.since) < awaitAtMost {
		a.awaited = w
		return "", nil
	}
	a.awaited = awaited{}
	return w.upTo, nil
}

// letIn decides about the facts that came before a scenario, a few batches in one turn, and enrols
// whom they let in.
func (e *Engine) letIn(ctx context.Context, a *armed, last string) error {
	upTo, err := e.filtered(ctx, a, last)
	if err != nil || upTo == "" {
		return err
	}
	for range batchesPerTurn {
		n := 0
		err := e.store.Tx(ctx, func(tx *store.Tx) error {
			n = 0
			at, err := standing(ctx, tx, a.Ref, "")
			if err != nil || at.epoch != a.Epoch || at.revision != a.Revision {
				return err // it is armed anew, here or elsewhere
			}
			arrivals, err := tx.Arrivals(ctx, a.Namespace, a.Name, upTo, arrivalBatch)
			if err != nil {
				return err
			}
			n = len(arrivals)
			return e.admit(ctx, tx, a, arrivals)
		})
		if err != nil {
			return fmt.Errorf("letting in to scenario %s/%s: %w", a.Namespace, a.Name, err)
		}
		if n > 0 {
			e.look(a.Ref)
		}
		if n < arrivalBatch {
			return nil
		}
	}
	e.Wake() // for the rest
	return nil
}

// admit decides about facts: who is let in, who is looked at, and who has reached the goal.
func (e *Engine) admit(ctx context.Context, tx *store.Tx, a *armed, arrivals []store.Arrival) error {
	if err := e.awaken(ctx, tx, a, arrivals); err != nil {
		return err
	}
	if !a.Suspended {
		if err := e.enrolArrived(ctx, tx, a, arrivals); err != nil {
			return err
		}
	}
	return e.reach(ctx, tx, a, arrivals)
}

// reach credits events that are the scenario's goal.
func (e *Engine) reach(ctx context.Context, tx *store.Tx, a *armed, arrivals []store.Arrival) error {
	goal := a.Compiled.Journey.GoalEvent()
	if goal == "" || e.convert == nil {
		return nil
	}
	var who []string
	for i := range arrivals {
		if arrivals[i].Kind == store.ListenEvent && arrivals[i].Name == goal {
			who = append(who, arrivals[i].Customer)
		}
	}
	if len(who) == 0 {
		return nil
	}
	slices.Sort(who)
	changed, err := e.convert(ctx, tx, a.Armed, slices.Compact(who))
	if changed > 0 {
		e.notify(a.Ref)
	}
	return err
}

// enrolArrived enrols those whom facts let in.
func (e *Engine) enrolArrived(ctx context.Context, tx *store.Tx, a *armed, arrivals []store.Arrival) error {
	if a.Compiled.Journey.Calendar != nil {
		if err := e.belated(ctx, tx, a, arrivals); err != nil {
			return err
		}
	}
	trigger := &a.Compiled.Bundle.Spec.Trigger
	door, now := a.Compiled.Journey.Door, e.clock.Now()
	admitted := admission{ref: a.Ref, epoch: a.Epoch, rev: a.Compiled, now: now}
	if trigger.SegmentEntry == nil { // who came into the segment need not still be there
		admitted.segment = a.Segment
	}
	for i := range arrivals {
		in := &arrivals[i]
		if !enters(trigger, in) {
			continue
		}
		entry := journey.Entry{Customer: in.Customer, Ref: in.Ref, At: in.At}
		if entry.At.After(now) {
			entry.At = now // by another's clock
		}
		if err := decode(in.Facts, &entry.Facts); err != nil {
			return fmt.Errorf("reading what %s %s says: %w", in.Kind, in.Ref, err)
		}
		if id, ok := entry.Facts[propertyOrderID].(string); ok && id != "" && trigger.Event != nil && trigger.Event.Name == crm.EventOrderCompleted {
			entry.Ref = id // tracked and imported, it is one order
		}
		var key, reason string
		if in.Kind == store.ListenEnter { // the step of the other scenario has judged it
			entry.Facts = entry.Describe(&crm.Trigger{})
			key, reason = door.Key(&entry)
		} else {
			entry.Facts = entry.Describe(trigger)
			key, reason = door.Admit(&entry, now)
		}
		if reason != "" {
			e.metrics.refused(a.Ref, reason)
			continue
		}
		facts, err := json.Marshal(entry.Facts)
		if err != nil {
			return fmt.Errorf("writing what let in: %w", err)
		}
		admitted.add(entry.Customer, key, entry.At, string(facts))
	}
	return admitted.write(ctx, tx)
}

// enters tells whether a fact is one that the trigger lets in for, rather than one that steps wait for.
func enters(t *crm.Trigger, a *store.Arrival) bool {
	switch {
	case a.Kind == store.ListenEnter:
		return true
	case t.SegmentEntry != nil:
		return a.Kind == store.ListenSegment
	case t.ProductEvent != nil:
		return a.Kind == store.ListenProduct
	case t.Event == nil:
		return false
	case a.Kind == store.ListenOrder:
		return t.Event.Name == crm.EventOrderCompleted && len(t.Event.Where) == 0
	}
	return a.Kind == store.ListenEvent && a.Name == t.Event.Name
}

// awaken lets those be looked at who wait for what happened, or may have to leave for it.
func (e *Engine) awaken(ctx context.Context, tx *store.Tx, a *armed, arrivals []store.Arrival) error {
	j := a.Compiled.Journey
	var who []string
	for i := range arrivals {
		in := &arrivals[i]
		if in.Kind == store.ListenExit || in.Kind == store.ListenEvent && j.Awaits(in.Name) || in.Kind == store.ListenOrder && j.Awaits(crm.EventOrderCompleted) {
			who = append(who, in.Customer)
		}
	}
	return tx.Wake(ctx, a.Namespace, a.Name, who, e.clock.Now())
}

// decode reads JSON with its numbers as they are written.
func decode(text []byte, into *map[string]any) error {
	if len(text) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// admission is those who are let in together.
type admission struct {
	ref   Ref
	epoch string
	rev   *Revision
	// segment, where there is one, is whose members alone may enter.
	segment string
	now     time.Time
	rows    [][]any
}

func (a *admission) add(customer, key string, at time.Time, facts string) {
	a.rows = append(a.rows, []any{customer, key, store.Millis(at), facts,
		a.rev.Journey.Door.Holds(a.ref.Namespace, a.ref.Name, a.epoch, customer)})
}

var admissionTypes = []string{"TEXT", "TEXT", "BIGINT", "JSONB", "BOOLEAN"}

// write enrols them, all but those who are under way or were in before and may not enter again.
func (a *admission) write(ctx context.Context, tx *store.Tx) error {
	d, door := tx.Dialect(), a.rev.Journey.Door
	if door.Again {
		// Of two entries of a customer the second would find them under way.
		seen := map[any]bool{}
		a.rows = slices.DeleteFunc(a.rows, func(row []any) bool {
			again := seen[row[0]]
			seen[row[0]] = true
			return again
		})
	}
	size := rowsPerStatement(d)
	for from := 0; from < len(a.rows); from += size {
		args := []any{a.ref.Namespace, a.ref.Name, a.epoch, a.rev.Journey.Start(a.now).Cursor(), store.Millis(a.now)}
		values, args := valuesOf(d, args, admissionTypes, a.rows[from:min(from+size, len(a.rows))])
		where := []string{"TRUE"}
		if a.segment != "" {
			args = append(args, a.segment)
			where = append(where, fmt.Sprintf("EXISTS (SELECT 1 FROM memberships h WHERE h.ns = $1 AND h.segment = $%d AND h.customer_id = v.customer_id)", len(args)))
		}
		if door.Again {
			args = append(args, store.Millis(a.now.Add(-door.Cooldown)))
			where = append(where, stillOut(len(args)))
		}
		_, err := tx.Exec(ctx, `WITH v (customer_id, entry, at, facts, held) AS (VALUES `+values+`)
INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at, ended_at, facts)
SELECT $1, $2, $3, v.customer_id, v.entry, '', `+enrolledAs("v.held", "v.at")+`, v.facts
FROM v WHERE `+strings.Join(where, " AND ")+`
ON CONFLICT (ns, scenario, epoch, customer_id, entry) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("enrolling: %w", err)
		}
	}
	return nil
}

// enrolledAs are the columns state, reason, step, due_at, enrolled_at and ended_at of who is let in at
// a moment, $4 being where they start and $5 now. Who is held out gets nothing, and is counted.
func enrolledAs(held, at string) string {
	return fmt.Sprintf(`CASE WHEN %[1]s THEN 'holdout' ELSE 'active' END, '', CASE WHEN %[1]s THEN '' ELSE CAST($4 AS TEXT) END,
  %[2]s, CAST($5 AS BIGINT), CASE WHEN %[1]s THEN CAST($5 AS BIGINT) END`, held, at)
}

// stillOut holds for a customer of v who is not under way, and whose last way ended before the moment
// of that argument.
func stillOut(param int) string {
	return fmt.Sprintf(`NOT EXISTS (SELECT 1 FROM enrolments x WHERE x.ns = $1 AND x.scenario = $2 AND x.epoch = $3
  AND x.customer_id = v.customer_id AND (x.state = 'active' OR x.ended_at > $%d))`, param)
}
