// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// round compares bringing all segments up to date after a churn with asking for all of them again by hand.
func (b *bench) round(ctx context.Context, supported []*question) error {
	r := &b.report.Round
	b.clock.SetTime(today)
	began := time.Now()
	for i, q := range supported {
		result, err := b.refresh(ctx, q, q.name)
		if err != nil {
			return err
		}
		r.line(q).Members = result.Members
		b.progress.step("first refresh", i+1, len(supported))
	}
	r.First = milliseconds(time.Since(began))
	if err := settle(ctx, b.db); err != nil {
		return err
	}
	b.report.memory(&r.Memory.First)
	for n := range b.rounds {
		took, err := b.churnAndRound(ctx, n, supported)
		if err != nil {
			return err
		}
		r.Rounds = append(r.Rounds, milliseconds(took))
		b.progress.step("round", n+1, b.rounds)
	}
	r.Round = slices.Sorted(slices.Values(r.Rounds))[b.rounds/2]
	b.report.memory(&r.Memory.Round)
	// The rounds come first: a shop has one every quarter of an hour, and finds what it wrote then in memory.
	// The statements by hand warm up what they read, each being asked again and again.
	if err := b.byHand(ctx, supported); err != nil {
		return err
	}
	b.report.memory(&r.Memory.Hand)
	return b.verify(ctx, supported)
}

// now is when the last round was.
func (b *bench) now() time.Time { return today.Add(time.Duration(b.rounds) * b.later) }

// churnAndRound lets a churn happen, and measures the round after it.
func (b *bench) churnAndRound(ctx context.Context, n int, supported []*question) (time.Duration, error) {
	c := &churn{b.shop.maker(), b.later, n}
	if err := b.ingest(ctx, c); err != nil {
		return 0, err
	}
	b.clock.SetTime(c.end())
	began := time.Now()
	err := b.bringUpToDate(ctx, supported)
	return time.Since(began), err
}

// bringUpToDate is the round. A segment that it leaves, as only a look at everybody can tell, is
// refreshed by itself, as its controller would.
func (b *bench) bringUpToDate(ctx context.Context, supported []*question) error {
	outcomes, err := b.refresher.Round(ctx, namespace, audience.RoundOptions{})
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Err != nil {
			return o.Err
		}
		line := &segmentLine{}
		for _, q := range supported {
			if q.name != o.Name {
				continue
			}
			if line = b.report.Round.line(q); o.Full {
				if o.Result, err = b.refresh(ctx, q, q.name); err != nil {
					return err
				}
			}
		}
		line.Mode, line.Candidates, line.Refresh = o.Mode, o.Candidates, milliseconds(o.Duration)
	}
	return nil
}

// byHand finds the fastest statements for all questions, supported or not, over the base tables and over metrics.
// What the churns left behind is not held against them.
func (b *bench) byHand(ctx context.Context, supported []*question) error {
	if err := settle(ctx, b.db); err != nil {
		return err
	}
	now := b.now()
	for i := range b.questions {
		q := &b.questions[i]
		line := b.report.Round.line(q)
		line.Supported = slices.Contains(supported, q)
		for _, side := range []struct {
			templates []string
			to        *handLine
		}{{q.kind.Base, &line.Base}, {q.kind.Metrics, &line.Metrics}} {
			ways, err := q.statements(side.templates, now, b.db.Dialect())
			if err != nil {
				return err
			}
			found, err := fastest(ctx, b.db, ways)
			if err != nil {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			*side.to = handLine{best: found, Members: found.Members, Took: milliseconds(found.Took), Settings: found.Settings}
		}
		if line.Base.Members != line.Metrics.Members {
			b.report.disagree("%s has %d members over the base tables, and %d over metrics", q.name, line.Base.Members, line.Metrics.Members)
		}
		line.After = line.Base.Members
		b.progress.step("by hand", i+1, len(b.questions))
	}
	b.report.Round.sum()
	return nil
}

// ingest lets a churn happen. The first it measures before, with all that is kept up to date and without,
// undone, in turns.
func (b *bench) ingest(ctx context.Context, c *churn) error {
	if c.number > 0 {
		_, err := c.run(ctx, b.db, whole, false)
		return err
	}
	b.progress.say("ingest")
	r := &b.report.Round
	r.Orders, r.Events = c.size(), c.size()
	measured := func(in ingest) func() (time.Duration, error) {
		return func() (time.Duration, error) { return c.run(ctx, b.db, in, true) }
	}
	with, without, err := inTurns(min(b.runs, 3), measured(whole), measured(bare))
	if err != nil {
		return err
	}
	r.IngestUndone, r.BareUndone = milliseconds(with), milliseconds(without)
	r.Upkeep = max(r.IngestUndone-r.BareUndone, 0)
	took, err := c.run(ctx, b.db, whole, false)
	r.Ingest = milliseconds(took)
	return err
}

// verify compares the members of each segment with those of a full evaluation and of the statement
// over the base tables, member by member.
func (b *bench) verify(ctx context.Context, supported []*question) error {
	now := b.now()
	for i, q := range supported {
		full, _, err := b.compiled(q, now)
		if err != nil {
			return err
		}
		ways, err := q.statements(q.kind.Base, now, b.db.Dialect())
		if err != nil {
			return err
		}
		line := b.report.Round.line(q)
		for _, side := range []struct {
			what, id string
			statement
		}{
			{"a full evaluation", "id", full},
			{"the statement over the base tables", "customer_id", statement{SQL: ways[line.Base.best.way], Settings: line.Base.Settings}},
		} {
			members := fmt.Sprintf("SELECT customer_id FROM memberships WHERE ns = '%s' AND segment = '%s'", namespace, q.name)
			asked := fmt.Sprintf("WITH asked AS MATERIALIZED (%s) SELECT count(*) FROM (SELECT * FROM (SELECT %s FROM asked EXCEPT %s) a UNION ALL SELECT * FROM (%s EXCEPT SELECT %s FROM asked) b) d",
				side.SQL, side.id, members, members, side.id)
			var wrong int64
			err := b.db.Tx(ctx, func(tx *store.Tx) error {
				if err := prepare(ctx, tx, side.Settings, 0); err != nil {
					return err
				}
				args, err := side.arguments(ctx, tx)
				if err != nil {
					return err
				}
				return tx.QueryRow(ctx, asked, args...).Scan(&wrong)
			})
			if err != nil {
				return fmt.Errorf("verify %s: %w", q.name, err)
			}
			if wrong > 0 {
				b.report.disagree("after the round %s differs by %d members from %s", q.name, wrong, side.what)
			}
		}
		b.progress.step("verify", i+1, len(supported))
	}
	return nil
}
