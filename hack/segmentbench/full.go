// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// bench measures one shop in one database.
type bench struct {
	db        *store.Store
	shop      *shop
	refresher *audience.Refresher
	clock     *testingclock.FakeClock
	questions []question
	runs      int
	rounds    int
	later     time.Duration
	progress  *progress
	report    *storeReport
}

// compiled is a question as Compile makes it; ok is false where it does not know a condition yet.
func (b *bench) compiled(q *question, now time.Time) (s statement, ok bool, err error) {
	query, err := audience.Compile(q.match, audience.Env{Namespace: namespace, Segment: q.name, Dialect: b.db.Dialect()})
	if err != nil {
		return statement{}, false, fmt.Errorf("compile %s: %w", q.name, err)
	}
	return statement{SQL: query.SQL, Settings: ofRefresh, args: func(ctx context.Context, db store.Querier) ([]any, error) {
		cuts, err := thresholds(ctx, db, query.Cuts)
		return query.Args(now, cuts), err
	}}, true, nil
}

// supported are the questions that compile. The others are in the report.
func (b *bench) supported() ([]*question, error) {
	var out []*question
	for i := range b.questions {
		q := &b.questions[i]
		_, ok, err := b.compiled(q, today)
		switch {
		case err != nil:
			return nil, err
		case ok:
			out = append(out, q)
		default:
			b.report.LeftOut = append(b.report.LeftOut, q.name)
		}
	}
	return out, nil
}

// full compares the full evaluation of a segment of each kind with what one would write by hand over
// the same tables, and the whole refresh, where nothing has changed, with a refresh by hand.
func (b *bench) full(ctx context.Context, supported []*question) error {
	if err := b.references(ctx, supported); err != nil {
		return err
	}
	n := 0
	for i := range b.questions {
		q := &b.questions[i]
		if !q.first {
			continue
		}
		n++
		b.progress.say("full %d: %s", n, q.name)
		ways, err := q.statements(q.kind.Metrics, today, b.db.Dialect())
		if err != nil {
			return err
		}
		hand, err := fastest(ctx, b.db, ways)
		if err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
		line := comparison{Name: q.name, Kind: q.kind.Kind, Members: hand.Members, Hand: hand.statement}
		if slices.Contains(supported, q) {
			line.Supported = true
			if err := b.compare(ctx, q, hand, &line); err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
		} else {
			line.HandTook = milliseconds(hand.Took)
		}
		b.report.Full = append(b.report.Full, line)
	}
	return nil
}

// references refreshes the segments that others ask for membership of.
func (b *bench) references(ctx context.Context, supported []*question) error {
	for _, q := range supported {
		for _, name := range audience.References(&v1alpha1.SegmentSpec{Match: q.match}) {
			for _, other := range supported {
				if other.name == name {
					if _, err := b.refresh(ctx, other, name); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (b *bench) refresh(ctx context.Context, q *question, name string) (audience.Result, error) {
	return b.refresher.Refresh(ctx, namespace, name, &v1alpha1.SegmentSpec{Match: q.match}, audience.Shop{})
}

func (b *bench) compare(ctx context.Context, q *question, hand best, line *comparison) error {
	compiled, _, err := b.compiled(q, today)
	if err != nil {
		return err
	}
	counting := func(s statement) func() (time.Duration, error) {
		return func() (time.Duration, error) {
			rows, took, err := count(ctx, b.db, s, 0)
			if err == nil && rows != hand.Members {
				b.report.disagree("%s has %d members by hand, and %d by\n%s", q.name, hand.Members, rows, s.SQL)
			}
			return took, err
		}
	}
	// Once to begin with: what was read for one may be there for the other.
	if _, err := counting(compiled)(); err != nil {
		return err
	}
	one, other, err := inTurns(b.runs, counting(compiled), counting(hand.statement))
	if err != nil {
		return err
	}
	line.Compiled, line.HandTook = milliseconds(one), milliseconds(other)
	if one, other, err = b.compareRefresh(ctx, q, hand); err != nil {
		return err
	}
	line.Refresh, line.HandRefresh = milliseconds(one), milliseconds(other)
	return nil
}

// compareRefresh measures the refresh of a segment that nothing has changed about.
func (b *bench) compareRefresh(ctx context.Context, q *question, hand best) (one, other time.Duration, err error) {
	const name, byHand = "measured", "measured-by-hand"
	refresh := func() (time.Duration, error) {
		began := time.Now()
		result, err := b.refresher.RefreshFully(ctx, namespace, name, &v1alpha1.SegmentSpec{Match: q.match}, audience.Shop{})
		if err == nil && result.Members != hand.Members {
			b.report.disagree("%s has %d members by hand, and %d by its refresh", q.name, hand.Members, result.Members)
		}
		return time.Since(began), err
	}
	if _, err := refresh(); err != nil {
		return 0, 0, err
	}
	write, err := fastestRefresh(ctx, b.db, byHand, hand)
	if err != nil {
		return 0, 0, err
	}
	one, other, err = inTurns(b.runs, refresh, func() (time.Duration, error) { return write.run(ctx, b.db, 0) })
	if err != nil {
		return 0, 0, err
	}
	return one, other, errors.Join(b.refresher.Delete(ctx, namespace, name), b.refresher.Delete(ctx, namespace, byHand))
}
