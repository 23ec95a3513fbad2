// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Refresher keeps the membership of segments.
type Refresher struct {
	Store *store.Store
	Clock clock.Clock
	// Timeout is how long PostgreSQL may take over one statement. Default: 10 minutes.
	Timeout time.Duration

	compiled sync.Map // of *compiled by namespace and name
	counts   sync.Map // of counted by namespace and query
}

// Result is what a refresh did.
type Result struct {
	// State is as State would now read it.
	State
	// Entered and Exited count who came in and who left at this refresh.
	Entered, Exited int64
	// Changed tells whether the number of members, of those who can be reached, of those who came or
	// left, or the spec is not what it was before.
	Changed bool
	// Drift is how many customers were not where they belonged before everybody was looked at. It is a
	// defect of Kaeru's where it is not 0.
	Drift int64
}

const (
	// fullEvery is how often everybody is looked at all the same, and the difference reported.
	fullEvery      = 24 * time.Hour
	defaultTimeout = 10 * time.Minute
)

// Refresh brings a segment up to date, at the cost of what has changed since the last refresh where
// that can be told, else by looking at everybody. Only the segment's own row is written where nobody
// came or left. Segments that it refers to are taken as they are. The error of a spec is an
// Invalid.
func (r *Refresher) Refresh(ctx context.Context, ns, name string, spec *v1alpha1.SegmentSpec, shop Shop) (Result, error) {
	return r.refresh(ctx, ns, name, spec, shop, false)
}

// RefreshFully is Refresh that looks at everybody.
func (r *Refresher) RefreshFully(ctx context.Context, ns, name string, spec *v1alpha1.SegmentSpec, shop Shop) (Result, error) {
	return r.refresh(ctx, ns, name, spec, shop, true)
}

func (r *Refresher) refresh(ctx context.Context, ns, name string, spec *v1alpha1.SegmentSpec, shop Shop, fully bool) (result Result, err error) {
	text, err := define(spec, shop)
	if err != nil {
		return Result{}, err
	}
	query, err := Compile(spec.Match, Env{Namespace: ns, Segment: name, Shop: shop, Dialect: r.Store.Dialect()})
	if err != nil {
		return Result{}, err
	}
	for _, t := range query.Tracked {
		if err := r.Store.TrackReplenishment(ctx, ns, t.Scope, t.ID, r.Clock.Now()); err != nil {
			return Result{}, fmt.Errorf("refresh segment %s: %w", name, err)
		}
	}
	err = r.Store.Tx(ctx, func(tx *store.Tx) error {
		began := clock.Real().Now() // how long it takes is for people, and passes on their clock
		state, err := lockState(ctx, tx, ns, name)
		if err != nil {
			return fmt.Errorf("lock its state: %w", err)
		}
		p := &plan{ns: ns, name: name, query: query, definition: text, state: state, counts: &r.counts}
		result, err = r.bring(ctx, tx, p, fully, began)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("refresh segment %s: %w", name, err)
	}
	return result, nil
}

// plan is the refresh of a segment.
type plan struct {
	ns, name   string
	query      *Query
	definition string
	state      remembered
	// references are the segments that it asks for membership of, and waiting the plans of those that ask
	// for its, and are refreshed after it.
	references []string
	waiting    []*plan
	// rest are all that are refreshed after it in a round.
	rest []*plan
	// failed is what could not be read of the candidates.
	failed unread
	// batch is that of the candidates who were read last.
	batch int
	// moved has the bits of its reasons to look at somebody, beside things learnt.
	moved int64
	// counts are the Refresher's.
	counts *sync.Map
	// timed is up to when what changes by time passing is in the membership then.
	timed time.Time
}

// bring is a refresh of one segment.
func (r *Refresher) bring(ctx context.Context, tx *store.Tx, p *plan, fully bool, began time.Time) (Result, error) {
	feed, err := readFeed(ctx, tx, p.ns)
	if err != nil {
		return Result{}, err
	}
	now := r.Clock.Now()
	// Rankings are kept in these tables. Others need them only where there is something to look at.
	if len(p.query.rankings) > 0 {
		if err := r.setUp(ctx, tx); err != nil {
			return Result{}, err
		}
	}
	cuts, broken, err := keepCuts(ctx, tx, p.ns, []*Query{p.query}, feed, now, false)
	if err == nil {
		err = broken.of(p.query)
	}
	if err != nil {
		return Result{}, err
	}
	touched, err := readTouched(ctx, tx, p.ns, feed, []*plan{p})
	if err != nil {
		return Result{}, err
	}
	p.timed = now
	changed := p.onlyChanged(feed, touched, cuts, now)
	due := fully || !now.Before(p.state.FullAt.Add(fullEvery))
	if changed && !due && touched.of(p.query.kinds) == 0 && maps.Equal(p.state.cuts, cuts) {
		if some, err := p.someMoved(ctx, tx, now); err != nil || !some {
			return p.passOver(ctx, tx, feed, err)
		}
	}
	if len(p.query.rankings) == 0 {
		if err := r.setUp(ctx, tx); err != nil {
			return Result{}, err
		}
	}
	if !changed {
		return p.look(ctx, tx, feed, cuts, now, began, true)
	}
	p.failed = unread{}
	if err := lookAt(ctx, tx, p.ns, []*plan{p}, now, cuts, p.failed); err != nil {
		return Result{}, err
	}
	if err := p.failed.of(p.query); err != nil {
		return Result{}, err
	}
	looked, err := crowds(ctx, tx)
	if err != nil {
		return Result{}, err
	}
	result, err := p.settle(ctx, tx, looked, feed, cuts, now, began)
	if err != nil || !due {
		return result, err
	}
	// What is found now should have been found already.
	verified, err := p.look(ctx, tx, feed, cuts, now, began, false)
	if err != nil {
		return Result{}, err
	}
	verified.Changed = verified.Changed || result.Changed
	verified.Entered, verified.Exited = verified.Entered+result.Entered, verified.Exited+result.Exited
	return verified, nil
}

// someMoved tells whether there is a fact that got to an age at which it makes a difference.
func (p *plan) someMoved(ctx context.Context, tx *store.Tx, now time.Time) (some bool, err error) {
	for _, slice := range p.query.slices {
		query, args := slice.customers(p.state.RefreshedAt, now)
		if err := tx.QueryRow(ctx, "SELECT EXISTS ("+query+")", append([]any{p.ns}, args...)...).Scan(&some); err != nil || some {
			return some, err
		}
	}
	return false, nil
}

// passOver is a refresh for which there is nothing to look at.
func (p *plan) passOver(ctx context.Context, tx *store.Tx, feed feed, err error) (Result, error) {
	if err != nil {
		return Result{}, fmt.Errorf("look for whom time has passed: %w", err)
	}
	p.state.RefreshedAt = p.timed.UTC()
	return Result{State: p.state.State}, passOver(ctx, tx, p.ns, []string{p.name}, feed, p.timed)
}

// look is a refresh by looking at everybody. anew forgets what is known of their reach.
func (p *plan) look(ctx context.Context, tx *store.Tx, feed feed, cuts Thresholds, now, began time.Time, anew bool) (Result, error) {
	if err := p.compareAll(ctx, tx, now, cuts, anew); err != nil {
		return Result{}, fmt.Errorf("evaluate it: %w", store.WithoutData(err))
	}
	var drift int64
	if !anew {
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM differing d WHERE (d.had IS NULL OR d.reach IS NULL)
			AND NOT EXISTS (SELECT 1 FROM touched t WHERE t.ns = $1 AND t.seq > $2 AND t.customer_id = d.customer_id)`, p.ns, feed.seq).Scan(&drift); err != nil {
			return Result{}, fmt.Errorf("count who was not where they belong: %w", err)
		}
	}
	done, err := p.apply(ctx, tx, now)
	if err != nil {
		return Result{}, err
	}
	next := p.state
	if next.base, err = p.count(ctx, tx, feed); err != nil {
		return Result{}, fmt.Errorf("count the customers: %w", err)
	}
	next.Mode, next.Candidates, next.FullAt = ModeFull, next.base, now.UTC()
	result, err := p.finish(ctx, tx, next, done, feed, cuts, now, began)
	result.Drift = drift
	return result, err
}

// counted is how many there were to look at when a feed had come so far.
type counted struct{ seq, n int64 }

// count is how many there are to look at. Refreshes of many segments, one after the other, count once.
func (p *plan) count(ctx context.Context, tx *store.Tx, feed feed) (int64, error) {
	key := [2]string{p.ns, p.query.BaseSQL}
	if known, ok := p.counts.Load(key); ok && known.(counted).seq == feed.seq {
		return known.(counted).n, nil
	}
	var n int64
	if err := tx.QueryRow(ctx, p.query.BaseSQL, p.ns).Scan(&n); err != nil {
		return 0, err
	}
	p.counts.Store(key, counted{feed.seq, n})
	return n, nil
}

// settle is a refresh by looking at the candidates.
func (p *plan) settle(ctx context.Context, tx *store.Tx, looked []crowd, feed feed, cuts Thresholds, now, began time.Time) (Result, error) {
	var done change
	next := p.state
	next.Mode, next.Candidates = ModeIncremental, p.candidates(looked)
	if next.Candidates > 0 {
		if err := p.compareCandidates(ctx, tx, now, cuts); err != nil {
			return Result{}, fmt.Errorf("evaluate it: %w", store.WithoutData(err))
		}
		var err error
		if done, err = p.apply(ctx, tx, now); err != nil {
			return Result{}, err
		}
	}
	return p.finish(ctx, tx, next, done, feed, cuts, now, began)
}

func (p *plan) candidates(looked []crowd) (n int64) {
	for _, c := range looked {
		if c.kinds&int64(p.query.kinds) != 0 || c.moved&p.moved != 0 {
			n += c.size
		}
	}
	return n
}

// finish writes the state that a refresh leaves.
func (p *plan) finish(ctx context.Context, tx *store.Tx, next remembered, done change, feed feed, cuts Thresholds, now, began time.Time) (Result, error) {
	old := p.state
	next.SpecHash, next.definition, next.RefreshedAt, next.seq, next.cuts = hashOf(p.definition), p.definition, p.timed.UTC(), feed.seq, p.cuts(cuts)
	next.Members = old.Members + done.entered - done.exited
	next.Reach.plus(done.reach)
	if done.entered+done.exited > 0 {
		next.Entered, next.Exited = done.entered, done.exited
	}
	if old.Mode == "" || old.KeptSince.UnixMilli() == 0 { // or it was refreshed before this was kept
		next.KeptSince = now.UTC()
	}
	changed := done.entered+done.exited > 0 || old.Mode == "" || old.SpecHash != next.SpecHash || old.Reach != next.Reach
	if changed {
		next.ChangedAt = now.UTC()
	}
	next.Duration = clock.Real().Since(began)
	if err := writeState(ctx, tx, p.ns, p.name, next); err != nil {
		return Result{}, fmt.Errorf("write its state: %w", err)
	}
	p.state = next
	return Result{State: next.State, Entered: done.entered, Exited: done.exited, Changed: changed}, nil
}

// feed is how far the facts of a shop have come.
type feed struct{ seq, completeFrom int64 }

func readFeed(ctx context.Context, q store.Querier, ns string) (f feed, err error) {
	err = q.QueryRow(ctx, `SELECT seq, complete_from FROM feeds WHERE ns = $1`, ns).Scan(&f.seq, &f.completeFrom)
	if store.IsNotFound(err) {
		return feed{}, nil
	}
	if err != nil {
		return feed{}, fmt.Errorf("read the feed of %s: %w", ns, err)
	}
	return f, nil
}

// touched is how many times something was learnt, by the kinds of things.
type touched []crowd

func (t touched) of(kinds store.Touched) (n int64) {
	for _, c := range t {
		if c.kinds&int64(kinds) != 0 {
			n += c.size
		}
	}
	return n
}

// readTouched counts what was learnt since the refresh before, of the plans that can go on from it.
func readTouched(ctx context.Context, tx *store.Tx, ns string, feed feed, plans []*plan) (_ touched, err error) {
	from := feed.seq
	for _, p := range plans {
		if p.state.seq >= feed.completeFrom {
			from = min(from, p.state.seq)
		}
	}
	rows, err := tx.Query(ctx, `SELECT kinds, COUNT(*) FROM touched WHERE ns = $1 AND seq > $2 GROUP BY kinds`, ns, from)
	if err != nil {
		return nil, fmt.Errorf("count who was touched: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out touched
	for rows.Next() {
		var c crowd
		if err := rows.Scan(&c.kinds, &c.size); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// onlyChanged tells whether it is enough to look at those for whom something has changed.
func (p *plan) onlyChanged(feed feed, touched touched, cuts Thresholds, now time.Time) bool {
	old := p.state
	switch {
	case old.Mode == "", old.definition != p.definition, p.query.whole,
		old.seq < feed.completeFrom,
		// A clock that went back, or so long a time that most will have to be looked at.
		now.Before(old.RefreshedAt), now.After(old.RefreshedAt.Add(fullEvery)),
		p.query.otherDay(old.RefreshedAt, now),
		// Where very many were touched, to look at everybody costs less.
		touched.of(p.query.kinds) > max(many, old.base/20):
		return false
	}
	for _, cut := range p.query.cuts {
		if before, known := old.cuts[cut]; !known || before.Valid != cuts[cut].Valid {
			return false
		}
	}
	return true
}

// otherDay tells whether one of the days that matter is another one at another moment.
func (q *Query) otherDay(t0, t1 time.Time) bool {
	return slices.ContainsFunc(q.days, func(ahead time.Duration) bool {
		return !midnight(t0.Add(ahead).In(q.zone)).Equal(midnight(t1.Add(ahead).In(q.zone)))
	})
}
