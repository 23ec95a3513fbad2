// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Occur claims a slot of a scenario that dates let in to, and begins to let in those whose day it is. It
// does nothing, and says so, where the slot was claimed before, or the Scenario is not armed any more.
func (e *Engine) Occur(ctx context.Context, a Armed, s schedule.Slot) (fired bool, err error) {
	err = e.store.Tx(ctx, func(tx *store.Tx) error {
		fired = false
		claimed, err := e.claimSlot(ctx, tx, a.Ref, s)
		if err != nil || !claimed {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO fanouts (ns, scenario, slot, slot_at, customer_id, ref) VALUES ($1, $2, $3, $4, '', '')`,
			a.Namespace, a.Name, s.Key, store.Millis(s.Time))
		if err != nil {
			return fmt.Errorf("beginning slot %s: %w", s.Key, err)
		}
		fired = true
		return nil
	})
	if fired {
		e.Wake()
	}
	return fired, err
}

// claimSlot records a slot as fired; not where the Scenario is not armed any more, or somebody was
// here first.
func (e *Engine) claimSlot(ctx context.Context, tx *store.Tx, ref Ref, s schedule.Slot) (bool, error) {
	var name string
	err := tx.QueryRow(ctx, `SELECT name FROM scenarios WHERE ns = $1 AND name = $2 AND state = 'armed'`+tx.Dialect().ForUpdate(),
		ref.Namespace, ref.Name).Scan(&name)
	if store.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading whether scenario %s/%s is armed: %w", ref.Namespace, ref.Name, err)
	}
	err = e.recordSlot(ctx, tx, ref, s, "fired", "")
	if store.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// fanOut is a slot, or news of a product, of which some are still to be let in.
type fanOut struct {
	slot string
	at   time.Time
	// facts are what the news say.
	facts []byte
	// after is the last who was decided about.
	after audience.Occurrence
}

// fanOuts are all that are open, the earlier slots first.
func (e *Engine) fanOuts(ctx context.Context) (_ map[Ref][]fanOut, err error) {
	rows, err := e.store.Query(ctx, `SELECT ns, scenario, slot, slot_at, facts, customer_id, ref FROM fanouts ORDER BY slot_at`)
	if err != nil {
		return nil, fmt.Errorf("looking whose day it is: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[Ref][]fanOut{}
	for rows.Next() {
		var r Ref
		var o fanOut
		var at int64
		if err := rows.Scan(&r.Namespace, &r.Name, &o.slot, &at, &o.facts, &o.after.Customer, &o.after.ID); err != nil {
			return nil, fmt.Errorf("looking whose day it is: %w", err)
		}
		o.at = store.Time(at)
		out[r] = append(out[r], o)
	}
	return out, rows.Err()
}

// celebrate lets in those whose day it is, a few batches in one turn.
func (e *Engine) celebrate(ctx context.Context, a *armed, open []fanOut) error {
	for _, o := range open {
		for turn := 0; ; turn++ {
			if turn == batchesPerTurn {
				e.Wake() // for the rest
				return nil
			}
			more := false
			err := e.store.Tx(ctx, func(tx *store.Tx) (err error) {
				more, err = e.celebrateBatch(ctx, tx, a, &o)
				return err
			})
			if err != nil {
				return fmt.Errorf("letting in to scenario %s/%s for slot %s: %w", a.Namespace, a.Name, o.slot, err)
			}
			e.look(a.Ref)
			if !more {
				break
			}
		}
	}
	return nil
}

func (e *Engine) celebrateBatch(ctx context.Context, tx *store.Tx, a *armed, o *fanOut) (more bool, err error) {
	at, err := standing(ctx, tx, a.Ref, "")
	if err != nil || at.epoch != a.Epoch || at.revision != a.Revision {
		return false, err // it is armed anew, here or elsewhere
	}
	if news := a.Compiled.Journey.News; news != nil && o.facts != nil {
		return false, e.spread(ctx, tx, a, o)
	}
	calendar := a.Compiled.Journey.Calendar
	var whose []audience.Occurrence
	if calendar != nil { // else the trigger is another now
		if whose, err = calendar.On(ctx, tx, a.Namespace, calendar.DayOf(o.at), o.after, arrivalBatch, nil); err != nil {
			return false, err
		}
	}
	if err := e.occasions(a, o.at, whose).write(ctx, tx); err != nil {
		return false, err
	}
	if len(whose) < arrivalBatch {
		_, err = tx.Exec(ctx, `DELETE FROM fanouts WHERE ns = $1 AND scenario = $2 AND slot = $3`, a.Namespace, a.Name, o.slot)
	} else {
		o.after = whose[len(whose)-1]
		_, err = tx.Exec(ctx, `UPDATE fanouts SET customer_id = $4, ref = $5 WHERE ns = $1 AND scenario = $2 AND slot = $3`,
			a.Namespace, a.Name, o.slot, o.after.Customer, o.after.ID)
	}
	if err != nil {
		return false, fmt.Errorf("noting who was let in: %w", err)
	}
	return len(whose) == arrivalBatch, nil
}

// spread puts news before all whom they concern, in one statement, however many they are: from there on
// they are let in as those of whom an event came in.
func (e *Engine) spread(ctx context.Context, tx *store.Tx, a *armed, o *fanOut) error {
	news, d := a.Compiled.Journey.News, tx.Dialect()
	var facts map[string]any
	if err := decode(o.facts, &facts); err != nil {
		return fmt.Errorf("reading news: %w", err)
	}
	product, _ := facts[journey.EntryProduct].(string)
	if !a.Suspended {
		_, err := tx.Exec(ctx, `INSERT INTO arrivals (ns, scenario, id, kind, name, ref, customer_id, at, facts)
SELECT CAST($1 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT) || ':' || w.customer_id, 'product', CAST($6 AS TEXT), CAST($5 AS TEXT), w.customer_id, CAST($7 AS BIGINT), `+d.JSONParam(8)+`
FROM (`+news.Interest.SQL(d)+`) w`, a.Namespace, product, store.Millis(o.at.Add(-news.Within)), a.Name, o.slot,
			a.Compiled.Bundle.Spec.Trigger.ProductEvent.Name, store.Millis(o.at), string(o.facts))
		if err != nil {
			return fmt.Errorf("finding whom news concern: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM fanouts WHERE ns = $1 AND scenario = $2 AND slot = $3`, a.Namespace, a.Name, o.slot); err != nil {
		return fmt.Errorf("noting whom news concern: %w", err)
	}
	return nil
}

// occasions are the entries of those whose day a slot is about.
func (e *Engine) occasions(a *armed, slot time.Time, whose []audience.Occurrence) *admission {
	door := a.Compiled.Journey.Door
	admitted := &admission{ref: a.Ref, epoch: a.Epoch, rev: a.Compiled, segment: a.Segment, now: e.clock.Now()}
	for _, o := range whose {
		entry := a.Compiled.Journey.Calendar.Entry(slot, o)
		entry.Facts = entry.Describe(&a.Compiled.Bundle.Spec.Trigger)
		// However long it takes to let all in, the slot was not late.
		key, reason := door.Admit(&entry, slot)
		if reason != "" {
			e.metrics.refused(a.Ref, reason)
			continue
		}
		facts, err := json.Marshal(entry.Facts)
		if err != nil {
			panic(err) // they are texts
		}
		admitted.add(entry.Customer, key, entry.At, string(facts))
	}
	return admitted
}

// belated lets in customers of whom something was learnt after a slot that was about them, but not
// later than the trigger allows.
func (e *Engine) belated(ctx context.Context, tx *store.Tx, a *armed, arrivals []store.Arrival) error {
	var customers []string
	for i := range arrivals {
		if arrivals[i].Kind == store.ListenChange {
			customers = append(customers, arrivals[i].Customer)
		}
	}
	if len(customers) == 0 {
		return nil
	}
	calendar, now := a.Compiled.Journey.Calendar, e.clock.Now()
	for s := calendar.Daily.Next(now.Add(-a.Compiled.Journey.Door.Late - 1)); !s.IsZero() && !s.Time.After(now); s = calendar.Daily.Next(s.Time) {
		var fired bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM slots WHERE ns = $1 AND scenario = $2 AND slot = $3 AND state = 'fired')`,
			a.Namespace, a.Name, s.Key).Scan(&fired)
		if err != nil {
			return fmt.Errorf("reading whether slot %s was: %w", s.Key, err)
		}
		if !fired {
			continue
		}
		whose, err := calendar.On(ctx, tx, a.Namespace, calendar.DayOf(s.Time), audience.Occurrence{}, manyOccasions*len(customers), customers)
		if err != nil {
			return err
		}
		if err := e.occasions(a, s.Time, whose).write(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// manyOccasions is more than one customer has on a day.
const manyOccasions = 1000
