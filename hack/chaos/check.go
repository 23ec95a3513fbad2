// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// row is a message as the store has it.
type row struct {
	id, scenario, customer, step, kind, state, reason, providerID string
}

func (w *row) name() string { return w.scenario + " " + w.step + " " + w.customer }

// shownFindings bounds how many messages are named for one kind of finding.
const shownFindings = 3

type findings struct {
	order []string
	of    map[string][]string
}

func (f *findings) add(kind, about string) {
	if f.of == nil {
		f.of = map[string][]string{}
	}
	if f.of[kind] == nil {
		f.order = append(f.order, kind)
	}
	f.of[kind] = append(f.of[kind], about)
}

// check holds the store against what the providers took.
func (r *round) check(ctx context.Context) error {
	arrived, err := r.arrived(ctx)
	if err != nil {
		return err
	}
	var rows []*row
	var entered, suppressed map[string]int
	err = r.read(ctx, func(st *store.Store) (err error) {
		if rows, err = r.rows(ctx, st); err != nil {
			return err
		}
		if entered, err = r.count(ctx, st, enteredSQL); err != nil {
			return err
		}
		suppressed, err = r.count(ctx, st, suppressedSQL)
		return err
	})
	if err != nil {
		return err
	}
	var found findings
	known := map[string]bool{}
	for _, w := range rows {
		known[w.name()] = true
		r.Messages++
		r.Ends[w.state]++
		r.judge(w, arrived[w.name()], &found)
	}
	for name, took := range arrived {
		r.Taken += len(took)
		r.Twice += len(took) - 1
		if !known[name] {
			found.add("taken by a provider, and the store knows of no such message", name)
		}
	}
	r.leftOut(rows, entered, suppressed, &found)
	r.Repeats = r.doubles.http.repeats.Load()
	for _, kind := range found.order {
		about := found.of[kind]
		r.find("%d: %s: %s", len(about), kind, strings.Join(about[:min(len(about), shownFindings)], "; "))
	}
	return nil
}

// judge holds one message against what its provider took.
func (r *round) judge(w *row, took []sandbox.Message, found *findings) {
	about := fmt.Sprintf("%s (%s, %s %s)", w.name(), w.kind, w.state, w.reason)
	if len(took) > 1 {
		found.add("taken twice by the provider", about)
	}
	switch w.state {
	case "sent":
		if len(took) == 0 {
			found.add("sent, and the provider has it not", about)
		} else if id := providerID(w.kind, &took[0]); id != "" && w.providerID != "" && id != w.providerID {
			found.add("sent with another id than the provider's", about+" "+w.providerID+", not "+id)
		}
	case "failed", "skipped", "cancelled":
		if len(took) > 0 {
			found.add("taken by the provider", about)
		}
		if w.state == "cancelled" && !r.may(func(f fault) bool { return f.cancels }) {
			found.add("cancelled, and no Scenario was deleted", about)
		}
	case "unknown":
		if w.kind == "line" || !r.may(func(f fault) bool { return f.unknown }) {
			found.add("unknown, which it may not be", about)
		}
	default:
		found.add("has no end", about)
	}
	if w.kind == "line" && len(took) > 0 && took[0].Key != w.id {
		found.add("pushed with another key than its own", about)
	}
}

// providerID is what the provider answered with. The double of SMTP gives none.
func providerID(kind string, m *sandbox.Message) string {
	switch {
	case kind == "line" && m.Line != nil && len(m.Line.SentMessages) > 0:
		return m.Line.SentMessages[0].ID
	case kind == "sms":
		return m.Key
	}
	return ""
}

func (r *round) may(allows func(fault) bool) bool {
	return slices.ContainsFunc(r.Faults, func(name string) bool { return allows(faults[name]) })
}

// leftOut finds who was due and has no message. Where a Scenario was deleted, what it had begun is cancelled, and
// who came while it was away came to nobody: those who went their way to the end must still have all of it. Who was
// suppressed before the slot, by what a provider said of another message, is not in the segment.
func (r *round) leftOut(rows []*row, entered, suppressed map[string]int, found *findings) {
	have := map[string]int{}
	for _, w := range rows {
		have[w.scenario+" "+w.customer]++
	}
	for scenario, names := range steps {
		for i := range r.lane.customers {
			who := scenario + " " + customerID(i)
			_, went := entered[who]
			if !went && (r.may(func(f fault) bool { return f.cancels }) || scenario == "sale" && suppressed["sale "+customerID(i)] > 0) {
				continue
			}
			if have[who] != len(names) {
				found.add("left out", fmt.Sprintf("%s has %d messages of %d", who, have[who], len(names)))
			}
		}
	}
}

// enteredSQL finds those who went a way to its end, suppressedSQL those with an address that may not be used.
const (
	enteredSQL    = `SELECT scenario, customer_id, COUNT(*) FROM enrolments WHERE ns = $1 AND state = 'completed' GROUP BY scenario, customer_id`
	suppressedSQL = `SELECT 'sale', c.id, COUNT(*) FROM customers c JOIN suppressions s ON s.ns = c.ns AND s.address IN (c.email, c.phone, c.line_user_id)
WHERE c.ns = $1 GROUP BY c.id`
)

// count counts by Scenario and customer.
func (r *round) count(ctx context.Context, st *store.Store, query string) (map[string]int, error) {
	rows, err := st.Query(ctx, query, r.ns)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var scenario, customer string
		var n int
		if err := rows.Scan(&scenario, &customer, &n); err != nil {
			return nil, err
		}
		out[scenario+" "+customer] = n
	}
	return out, rows.Err()
}

func (r *round) rows(ctx context.Context, st *store.Store) ([]*row, error) {
	rows, err := st.Query(ctx, `SELECT id, scenario, customer_id, step, kind, state, reason, COALESCE(provider_id, '') FROM messages WHERE ns = $1`, r.ns)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*row
	for rows.Next() {
		w := &row{}
		if err := rows.Scan(&w.id, &w.scenario, &w.customer, &w.step, &w.kind, &w.state, &w.reason, &w.providerID); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, rows.Err()
}

var marker = regexp.MustCompile(`chaos (\w+) (\w+) (c\d+)`)

// arrived are the messages that providers took, by what they say that they are.
func (r *round) arrived(ctx context.Context) (map[string][]sandbox.Message, error) {
	all, err := r.doubles.client.All(ctx, sandbox.Query{})
	if err != nil {
		return nil, err
	}
	out := map[string][]sandbox.Message{}
	for _, m := range all {
		text := m.Text
		if m.Line != nil {
			text = string(m.Line.Messages)
		}
		at := marker.FindStringSubmatch(text)
		if at == nil {
			return nil, fmt.Errorf("message %d on %s is none of the round's", m.Seq, m.Channel)
		}
		name := at[1] + " " + at[2] + " " + at[3]
		out[name] = append(out[name], m)
	}
	return out, nil
}
