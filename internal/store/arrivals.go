// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The kinds of facts that scenarios listen to.
const (
	ListenEvent   = "event"
	ListenOrder   = "order"
	ListenSegment = "segment"
	// ListenExit is that somebody left a segment.
	ListenExit = "exit"
	// ListenEnter is a step of another scenario.
	ListenEnter = "enter"
	// ListenProduct is news of a product. It is about many customers, whom the scenario finds.
	ListenProduct = "product"
	// ListenChange is anything learnt of some kinds. It says of whom, and no more.
	ListenChange = "change"
)

// Listener asks for facts of a kind to be put before a scenario.
type Listener struct {
	// Kind is ListenEvent, ListenOrder, ListenSegment, ListenExit, ListenEnter, ListenProduct or ListenChange.
	Kind string
	// Name is the event's, the segment's or the news', and empty for the others.
	Name string
	// Param is the kinds of things learnt that a change is, and how many pieces of a product are few.
	Param int64
	// Late is how old a fact may be when it is learnt.
	Late time.Duration
}

// SetListeners makes these the listeners of a scenario. Without any, what came and was not decided
// about yet is forgotten.
func (t *Tx) SetListeners(ctx context.Context, ns, scenario string, listeners []Listener) error {
	if _, err := t.Exec(ctx, `DELETE FROM listeners WHERE ns = $1 AND scenario = $2`, ns, scenario); err != nil {
		return fmt.Errorf("end to listen: %w", err)
	}
	if len(listeners) == 0 {
		if _, err := t.Exec(ctx, `DELETE FROM arrivals WHERE ns = $1 AND scenario = $2`, ns, scenario); err != nil {
			return fmt.Errorf("forget who came: %w", err)
		}
	}
	for _, l := range listeners {
		if _, err := t.Exec(ctx, `INSERT INTO listeners (ns, scenario, kind, name, param, late) VALUES ($1, $2, $3, $4, $5, $6)`,
			ns, scenario, l.Kind, l.Name, l.Param, l.Late.Milliseconds()); err != nil {
			return fmt.Errorf("listen to %s %q: %w", l.Kind, l.Name, err)
		}
	}
	return nil
}

// Arrival is a fact that may let a customer in to a scenario.
type Arrival struct {
	// ID is the arrival's own.
	ID string
	// Kind and Name are those of the Listener, and Ref is what the fact is among them: the id of the event
	// or order.
	Kind, Name, Ref string
	Customer        string
	At              time.Time
	// Facts is a JSON object: an event's properties, what an order says.
	Facts json.RawMessage
}

var arrivalColumns = []string{"ns", "scenario", "id", "kind", "name", "ref", "customer_id", "at", "facts"}

// arrive puts facts of a kind before the scenarios that listen to it.
func (t *Tx) arrive(ctx context.Context, ns, kind string, listeners map[string][]listener, facts []Arrival, now time.Time) error {
	_, err := BulkInsert(ctx, t, "arrivals", arrivalColumns, func(yield func([]any) bool) {
		row := make([]any, len(arrivalColumns))
		for i := range facts {
			f := &facts[i]
			for _, l := range listeners[f.Name] {
				if now.Sub(f.At) > l.late {
					continue
				}
				row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] =
					ns, l.scenario, uuid.Must(uuid.NewV7()).String(), kind, f.Name, f.Ref, f.Customer, Millis(f.At), string(f.Facts)
				if !yield(row) {
					return
				}
			}
		}
	})
	return err
}

// arriveChanged puts customers of whom something was learnt before the scenarios that ask for that.
func (t *Tx) arriveChanged(ctx context.Context, ns string, touched map[string]*touch) error {
	listeners, err := t.listeners(ctx, ns, ListenChange)
	if err != nil || len(listeners) == 0 {
		return err
	}
	_, err = BulkInsert(ctx, t, "arrivals", arrivalColumns, func(yield func([]any) bool) {
		row := make([]any, len(arrivalColumns))
		for id, o := range touched {
			for _, l := range listeners[""] {
				if int64(o.kinds)&l.param == 0 {
					continue
				}
				row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] =
					ns, l.scenario, uuid.Must(uuid.NewV7()).String(), ListenChange, "", "", id, int64(0), "{}"
				if !yield(row) {
					return
				}
			}
		}
	})
	return err
}

type listener struct {
	scenario string
	param    int64
	late     time.Duration
}

// listeners are those of a kind, by name.
func (t *Tx) listeners(ctx context.Context, ns, kind string) (map[string][]listener, error) {
	out := map[string][]listener{}
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var name string
		var l listener
		var late int64
		err := rows.Scan(&name, &l.scenario, &l.param, &late)
		l.late = time.Duration(late) * time.Millisecond
		out[name] = append(out[name], l)
		return err
	}, `SELECT name, scenario, param, late FROM listeners WHERE ns = $1 AND kind = $2`, ns, kind)
	if err != nil {
		return nil, fmt.Errorf("read who listens: %w", err)
	}
	return out, nil
}

// Arrivals reads the next facts that a scenario has to decide about, up to an id and at most so many, and
// takes them away: what the transaction does not decide is lost. Whoever calls it holds the scenario's row.
func (t *Tx) Arrivals(ctx context.Context, ns, scenario, upTo string, limit int) ([]Arrival, error) {
	var out []Arrival
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var a Arrival
		var at int64
		var facts []byte
		err := rows.Scan(&a.ID, &a.Kind, &a.Name, &a.Ref, &a.Customer, &at, &facts)
		a.At, a.Facts = Time(at), facts
		out = append(out, a)
		return err
	}, `SELECT id, kind, name, ref, customer_id, at, facts FROM arrivals WHERE ns = $1 AND scenario = $2 AND id <= $4 ORDER BY id LIMIT $3`, ns, scenario, limit, upTo)
	if err != nil {
		return nil, fmt.Errorf("read who came: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	// Nobody else takes them, and later ones may have smaller ids than the last.
	ids := make([]string, len(out))
	for i := range out {
		ids[i] = out[i].ID
	}
	if _, err := t.Exec(ctx, `DELETE FROM arrivals WHERE ns = $1 AND scenario = $2 AND id `+t.dialect.AnyText(3), ns, scenario, List(t.dialect, ids)); err != nil {
		return nil, fmt.Errorf("take who came: %w", err)
	}
	return t.arrived(ctx, ns, out)
}

// arrived gives arrivals to those into whom their customers were merged, and keeps the others from being
// merged before the transaction ends: what it lets them in to would be left behind.
func (t *Tx) arrived(ctx context.Context, ns string, arrivals []Arrival) ([]Arrival, error) {
	if t.dialect == Postgres {
		if err := t.holdCustomers(ctx, ns, arrivals); err != nil {
			return nil, err
		}
	}
	return ofSurvivors(ctx, t, ns, arrivals, func(a *Arrival) *string { return &a.Customer })
}

func (t *Tx) holdCustomers(ctx context.Context, ns string, arrivals []Arrival) error {
	ids := make([]string, len(arrivals))
	for i := range arrivals {
		ids[i] = arrivals[i].Customer
	}
	ids = distinct(ids)
	if _, err := t.Exec(ctx, `SELECT id FROM customers WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForKeyShare(), ns, List(t.dialect, ids)); err != nil {
		return fmt.Errorf("hold who came: %w", err)
	}
	return nil
}

// Waits holds, on enrolments, for those who wait between two steps. Who has not come to the first one yet
// is planned by a run.
const Waits = "state = 'active' AND SUBSTR(step, 1, 1) <> '>'"

// Wake lets scenarios look at customers who wait in them, before their waits are over: one scenario, or
// all where none is named.
func (t *Tx) Wake(ctx context.Context, ns, scenario string, customers []string, now time.Time) error {
	if len(customers) == 0 {
		return nil
	}
	query, args := `UPDATE enrolments SET until_at = COALESCE(until_at, due_at), due_at = $3
		WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2)+` AND due_at > $3 AND `+Waits, []any{ns, List(t.dialect, customers), Millis(now)}
	if scenario != "" {
		query, args = query+` AND scenario = $4`, append(args, scenario)
	}
	if _, err := t.Exec(ctx, query, args...); err != nil {
		return fmt.Errorf("wake who waits: %w", err)
	}
	return nil
}

// Enter puts customers before a scenario for a step of another one. One that is not armed lets nobody in.
func (t *Tx) Enter(ctx context.Context, ns, scenario string, arrivals []Arrival) error {
	listeners, err := t.listeners(ctx, ns, ListenEnter)
	if err != nil {
		return err
	}
	for _, l := range listeners[""] {
		if l.scenario == scenario {
			return t.arrive(ctx, ns, ListenEnter, map[string][]listener{"": {l}}, arrivals, arrivals[0].At)
		}
	}
	return nil
}
