// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// RoundOptions say what a round does.
type RoundOptions struct {
	// FactsOnly leaves out what changes by time passing, which then waits for the segments' intervals.
	FactsOnly bool
}

// Outcome is what a round did for a segment.
type Outcome struct {
	Name string
	Result
	// Err is this segment's alone: the others went on.
	Err error
	// Full says that the segment was left as it is, since only a look at everybody can tell.
	Full bool
}

// Round brings all segments of a shop up to date that have been refreshed before, at the cost of what
// has changed. They share the work of finding out whom to look at. Segments for which that does not
// do, and those that another process is refreshing, are left as they are.
func (r *Refresher) Round(ctx context.Context, ns string, opts RoundOptions) ([]Outcome, error) {
	var outcomes []Outcome
	err := r.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		outcomes, err = r.round(ctx, tx, ns, opts)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("refresh the segments of %s: %w", ns, err)
	}
	return outcomes, nil
}

func (r *Refresher) round(ctx context.Context, tx *store.Tx, ns string, opts RoundOptions) ([]Outcome, error) {
	began := clock.Real().Now()
	if err := r.setUp(ctx, tx); err != nil {
		return nil, err
	}
	feed, err := readFeed(ctx, tx, ns)
	if err != nil {
		return nil, err
	}
	plans, outcomes, err := r.plans(ctx, tx, ns, feed, opts)
	if err != nil || len(plans) == 0 {
		return outcomes, err
	}
	now := r.Clock.Now()
	queries := make([]*Query, len(plans))
	for i, p := range plans {
		queries[i] = p.query
	}
	cuts, broken, err := keepCuts(ctx, tx, ns, queries, feed, now, opts.FactsOnly)
	if err != nil {
		return nil, err
	}
	touched, err := readTouched(ctx, tx, ns, feed, plans)
	if err != nil {
		return nil, err
	}
	var changed []*plan
	var quiet []string
	for _, p := range plans {
		if err := broken.of(p.query); err != nil {
			outcomes = append(outcomes, Outcome{Name: p.name, Err: err})
			continue
		}
		switch {
		case p.onlyChanged(feed, touched, cuts, now):
			changed = append(changed, p)
		case opts.FactsOnly && p.query.whole && p.state.seq >= feed.completeFrom && touched.of(p.query.kinds) == 0:
			quiet = append(quiet, p.name)
		default:
			outcomes = append(outcomes, Outcome{Name: p.name, Full: true})
		}
		p.timed = now
		if opts.FactsOnly {
			p.timed = p.state.RefreshedAt
		}
	}
	if len(changed) > 0 {
		settled, still, err := settleAll(ctx, tx, ns, changed, feed, cuts, now, began)
		if err != nil {
			return nil, err
		}
		outcomes, quiet = append(outcomes, settled...), append(quiet, still...)
	}
	if opts.FactsOnly {
		now = time.Time{}
	}
	return outcomes, passOver(ctx, tx, ns, quiet, feed, now)
}

// settleAll refreshes segments by looking at those for whom something changed. It names those for
// which there was nothing to do.
func settleAll(ctx context.Context, tx *store.Tx, ns string, plans []*plan, feed feed, cuts Thresholds, now, began time.Time) (outcomes []Outcome, quiet []string, err error) {
	failed := unread{}
	if err := lookAt(ctx, tx, ns, plans, now, cuts, failed); err != nil {
		return nil, nil, err
	}
	looked, err := crowds(ctx, tx)
	if err != nil {
		return nil, nil, err
	}
	for i, p := range plans {
		switch {
		case p.state.seq < 0: // very many came into one that it asks for the membership of
			outcomes = append(outcomes, Outcome{Name: p.name, Full: true})
			continue
		case p.candidates(looked) == 0 && maps.Equal(p.cuts(cuts), p.state.cuts):
			quiet = append(quiet, p.name)
			continue
		}
		if err := failed.of(p.query); err != nil {
			outcomes = append(outcomes, Outcome{Name: p.name, Err: err})
			continue
		}
		p.waiting, p.rest, p.failed, p.batch = referring(plans[i+1:], p.name), plans[i+1:], failed, i
		o := Outcome{Name: p.name}
		o.Err = tx.Savepoint(ctx, func() (err error) {
			o.Result, err = p.settle(ctx, tx, looked, feed, cuts, now, began)
			return err
		})
		outcomes = append(outcomes, o)
		if o.Err == nil && len(p.waiting) > 0 && o.Entered+o.Exited > 0 {
			if looked, err = crowds(ctx, tx); err != nil {
				return nil, nil, err
			}
		}
	}
	return outcomes, quiet, nil
}

func referring(plans []*plan, name string) (out []*plan) {
	for _, p := range plans {
		if slices.Contains(p.references, name) {
			out = append(out, p)
		}
	}
	return out
}

// plans reads and locks the segments of a shop, each after those it refers to. Those that are up to
// date with the feed are left out where only facts matter, and suspended ones always.
func (r *Refresher) plans(ctx context.Context, tx *store.Tx, ns string, feed feed, opts RoundOptions) ([]*plan, []Outcome, error) {
	condition := `ns = $1 AND mode <> '' AND definition <> ''`
	args := []any{ns}
	if opts.FactsOnly {
		condition += ` AND seq < $2`
		args = append(args, feed.seq)
	}
	states, err := readStates(ctx, tx, condition+` ORDER BY name`+tx.Dialect().ForUpdateSkipLocked(), args...)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the states of the segments: %w", err)
	}
	var outcomes []Outcome
	plans := map[string]*plan{}
	for _, name := range slices.Sorted(maps.Keys(states)) {
		c, err := r.compile(ns, name, states[name].definition)
		if err != nil {
			outcomes = append(outcomes, Outcome{Name: name, Err: err})
			continue
		}
		p := &plan{ns: ns, name: name, query: c.query, definition: c.definition, state: states[name], references: c.references, counts: &r.counts}
		if opts.FactsOnly {
			p.query = c.query.atOneTime()
		}
		plans[name] = p
	}
	return inOrder(plans), outcomes, nil
}

// inOrder puts each segment after those it refers to. Circles are refused before.
func inOrder(plans map[string]*plan) []*plan {
	out := make([]*plan, 0, len(plans))
	seen := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		p := plans[name]
		if p == nil || seen[name] {
			return
		}
		seen[name] = true
		for _, reference := range p.references {
			add(reference)
		}
		out = append(out, p)
	}
	for _, name := range slices.Sorted(maps.Keys(plans)) {
		add(name)
	}
	return out
}

// passOver notes that there was nothing to look at for these segments, up to a moment; the zero time
// is for facts only.
func passOver(ctx context.Context, tx *store.Tx, ns string, quiet []string, feed feed, timed time.Time) error {
	if len(quiet) == 0 {
		return nil
	}
	set, args := "seq = $2", []any{ns, feed.seq, store.List(tx.Dialect(), quiet)}
	if !timed.IsZero() {
		set, args = set+", refreshed_at = $4", append(args, store.Millis(timed))
	}
	if _, err := tx.Exec(ctx, `UPDATE segments SET `+set+` WHERE ns = $1 AND name `+tx.Dialect().AnyText(3), args...); err != nil {
		return fmt.Errorf("note that nothing changed: %w", err)
	}
	return nil
}

// cuts are those of all that the segment asks for.
func (p *plan) cuts(all Thresholds) Thresholds {
	own := Thresholds{}
	for _, cut := range p.query.cuts {
		own[cut] = all[cut]
	}
	return own
}

// atOneTime is the query as if no time had passed since the last refresh.
func (q *Query) atOneTime() *Query {
	still := *q
	still.slices, still.days = nil, nil
	return &still
}

// compiled is a definition that was compiled.
type compiled struct {
	definition string
	query      *Query
	references []string
}

func (r *Refresher) compile(ns, name, definition string) (*compiled, error) {
	key := [2]string{ns, name}
	if known, ok := r.compiled.Load(key); ok && known.(*compiled).definition == definition {
		return known.(*compiled), nil
	}
	spec, shop, err := parseDefinition(definition)
	if err != nil {
		return nil, err
	}
	query, err := Compile(spec.Match, Env{Namespace: ns, Segment: name, Shop: shop, Dialect: r.Store.Dialect()})
	if err != nil {
		return nil, err
	}
	c := &compiled{definition, query, References(spec)}
	r.compiled.Store(key, c)
	return c, nil
}
