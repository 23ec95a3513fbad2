// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Follower brings segments up to date when facts come in, without waiting for their intervals.
type Follower struct {
	*Refresher
	Log logr.Logger
	// Changed is told of segments whose numbers have changed.
	Changed func(ns, name string)
	// Behind is told of segments that need a refresh of their own: a round failed for them, or only a
	// look at everybody can tell.
	Behind func(ns, name string)

	shops map[string]*followed
}

type followed struct {
	seq    int64     // of the feed, up to where the segments have followed
	next   time.Time // not before, on machine time
	pruned time.Time
	learnt time.Time // on business time
	// full is when a segment may be told to be behind again.
	full map[string]time.Time
}

const (
	// followEvery is how often the feed is looked at, which costs one read of a row a shop.
	followEvery = time.Second
	// rest is how much longer than a round the pause after it is: a shop where something always
	// happens takes a fifth of a core, not a whole one.
	rest       = 4
	fullRest   = 20
	fullAtMost = 10 * time.Second
	pruneEvery = time.Minute
	learnEvery = 24 * time.Hour
	// keepPast is how long it is known who was in a segment.
	keepPast = 2 * 365 * 24 * time.Hour
)

// Run follows the feeds of all shops until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	f.shops = map[string]*followed{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := f.follow(ctx); err != nil && ctx.Err() == nil {
			f.Log.Error(err, "What facts change for segments could not be followed, and will be tried again")
		}
	}
}

func (f *Follower) follow(ctx context.Context) error {
	feeds, err := store.Feeds(ctx, f.Store)
	if err != nil {
		return err
	}
	var failed error
	for ns, seq := range feeds {
		shop := f.shops[ns]
		if shop == nil {
			shop = &followed{full: map[string]time.Time{}}
			f.shops[ns] = shop
		}
		failed = errors.Join(failed, f.learn(ctx, ns, shop))
		now := clock.Real().Now()
		if seq == shop.seq || now.Before(shop.next) {
			continue
		}
		outcomes, err := f.Round(ctx, ns, RoundOptions{FactsOnly: true})
		took := clock.Real().Since(now)
		shop.next = now.Add(took + max(rest*took, followEvery))
		if err != nil {
			failed = errors.Join(failed, err)
			// Whichever it is, each can be refreshed by itself, and only one will say what is wrong.
			if outcomes, err = f.each(ctx, ns); err != nil {
				continue
			}
		}
		shop.seq = seq
		f.tell(ns, shop, outcomes, now)
		if now.After(shop.pruned.Add(pruneEvery)) {
			shop.pruned = now
			failed = errors.Join(failed, f.Prune(ctx, ns))
		}
	}
	return failed
}

// each is an outcome for every segment of a shop that says it must be refreshed by itself.
func (f *Follower) each(ctx context.Context, ns string) ([]Outcome, error) {
	states, err := readStates(ctx, f.Store, `ns = $1 AND mode <> '' AND definition <> ''`, ns)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for name := range states {
		outcomes = append(outcomes, Outcome{Name: name, Full: true})
	}
	return outcomes, nil
}

// learn makes the predictions of a shop anew once a day, and forgets who was in a segment long ago.
func (f *Follower) learn(ctx context.Context, ns string, shop *followed) error {
	now := f.Clock.Now()
	if now.Before(shop.learnt.Add(learnEvery)) {
		return nil
	}
	shop.learnt = now
	_, err := f.Store.RefreshCycles(ctx, ns, now)
	return errors.Join(err, f.Forget(ctx, ns, now.Add(-keepPast)))
}

func (f *Follower) tell(ns string, shop *followed, outcomes []Outcome, now time.Time) {
	for _, o := range outcomes {
		switch {
		case o.Err != nil, o.Full:
			if now.Before(shop.full[o.Name]) {
				shop.seq = 0 // ask again
				continue
			}
			shop.full[o.Name] = now.Add(max(fullRest*o.Duration, fullAtMost))
			f.Behind(ns, o.Name)
		case o.Result.Changed:
			f.Changed(ns, o.Name)
		}
	}
}

// pruneAtOnce is how many transactions' touches are deleted together.
const pruneAtOnce = 50

// Prune deletes what was touched and all segments, and the shop's recommendations, have seen. Those that were
// not brought up to date for a day will look at everybody, and are not waited for.
func (r *Refresher) Prune(ctx context.Context, ns string) error {
	var seen, oldest int64
	err := r.Store.QueryRow(ctx, `SELECT COALESCE((SELECT MIN(x.seq) FROM (
			SELECT s.ns, s.seq, s.refreshed_at AS at FROM segments s WHERE s.definition <> ''
			UNION ALL SELECT c.ns, c.seq, c.seen_at FROM recommendations c WHERE c.state <> 'dropping'
		) x WHERE x.ns = f.ns AND x.seq >= f.complete_from AND x.at > $2), f.seq),
		COALESCE((SELECT t.seq FROM touched t WHERE t.ns = f.ns ORDER BY t.seq LIMIT 1), f.seq + 1) FROM feeds f WHERE f.ns = $1`,
		ns, store.Millis(r.Clock.Now().Add(-fullEvery))).Scan(&seen, &oldest)
	if err != nil {
		return fmt.Errorf("find what all segments of %s have seen: %w", ns, err)
	}
	for oldest <= seen {
		upTo := min(oldest+pruneAtOnce, seen)
		err := r.Store.Tx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE feeds SET complete_from = $2 WHERE ns = $1 AND complete_from < $2`, ns, upTo); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM cuts WHERE ns = $1 AND seq < $2`, ns, upTo); err != nil {
				return err
			}
			if err := dropRankings(ctx, tx, ns, upTo); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DELETE FROM touched WHERE ns = $1 AND seq <= $2`, ns, upTo)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete what all segments of %s have seen: %w", ns, err)
		}
		oldest = upTo + 1
	}
	return nil
}
