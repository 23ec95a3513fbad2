// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// indexPoll is how long a worker waits between two looks at a shard that it cannot have now.
const indexPoll = time.Second

// Index is one index of a run's Job.
type Index struct {
	Ref Ref
	Run string
	N   int
}

// ErrNoIndex says that a run has no shard of that index.
var ErrNoIndex = errors.New("the run has no shard of this index")

// WorkIndex works one shard of a run off, as the pod of its index does. It returns nil when the shard is
// done, or has nothing left to do because its run was cancelled; ErrNoIndex where there is none; and the
// context's error when it ends. It waits while another holds the shard, while the run is suspended, and
// while the store is away.
func (e *Engine) WorkIndex(ctx context.Context, index Index) error {
	e.ledger = newLedger(e.store, e.clock)
	defer e.ledger.close()
	following, stop := context.WithCancel(ctx)
	defer e.workers.Wait()
	defer stop()
	e.workers.Go(func() { e.channels.follow(following, e.log) })
	id := shardID(index.Ref, index.Run, int64(index.N))
	for {
		s, state, err := e.claimIndex(ctx, id)
		switch {
		case store.IsNotFound(err):
			return fmt.Errorf("%w: run %s of scenario %s/%s, index %d", ErrNoIndex, index.Run, index.Ref.Namespace, index.Ref.Name, index.N)
		case err == nil && (state == "done" || state == "cancelled"):
			return nil
		case err == nil && s != nil:
			if err = e.channels.known(ctx); err == nil {
				err = e.work(ctx, *s)
			} else {
				err = errors.Join(err, e.release(ctx, *s, time.Now()))
			}
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error(err, "Shard was left and will be taken up again", "namespace", index.Ref.Namespace, "scenario", index.Ref.Name, "run", index.Run, "index", index.N)
		}
		if err == nil {
			err = e.letGo(ctx)
		}
		if err == nil && s != nil {
			continue // it may be done now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(indexPoll):
		}
	}
}

// claimIndex takes a shard where it is open and nobody holds it; otherwise it says in which state it is.
func (e *Engine) claimIndex(ctx context.Context, id string) (taken *shard, state string, err error) {
	err = e.store.Tx(ctx, func(tx *store.Tx) error {
		taken = nil
		var s shard
		var held bool
		err := tx.QueryRow(ctx, `SELECT id, ns, scenario, run, idx, fence, state, lease_until >= `+tx.Dialect().NowMillis()+` FROM shards WHERE id = $1`+tx.Dialect().ForUpdate(), id).
			Scan(&s.shard, &s.ref.Namespace, &s.ref.Name, &s.run, &s.idx, &s.fence, &state, &held)
		if err != nil || state != "open" || held {
			return err
		}
		if err := e.take(ctx, tx, &s); err != nil {
			return err
		}
		taken = &s
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("claiming a shard: %w", err)
	}
	return taken, state, nil
}

// ends counts what this process brought to which end. The zero value is ready.
type ends struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (t *ends) add(state string) {
	if state == StatePlanned {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[state]++
}

// Ended says how many messages this process brought to each end.
func (e *Engine) Ended() map[string]int64 {
	e.tally.mu.Lock()
	defer e.tally.mu.Unlock()
	return maps.Clone(e.tally.counts)
}

// Left counts the messages of an index that have not come to their end.
func (e *Engine) Left(ctx context.Context, index Index) (n int64, err error) {
	err = e.store.QueryRow(ctx, `SELECT COUNT(*) FROM messages WHERE shard = $1 AND state IN ('planned', 'sending')`,
		shardID(index.Ref, index.Run, int64(index.N))).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting what is left of a shard: %w", err)
	}
	return n, nil
}

// Bundle is what planned a run, as its Scenario was then.
func (e *Engine) Bundle(ctx context.Context, ref Ref, run string) (journey.Bundle, error) {
	var revision string
	err := e.store.QueryRow(ctx, `SELECT revision FROM runs WHERE ns = $1 AND scenario = $2 AND run = $3`, ref.Namespace, ref.Name, run).Scan(&revision)
	if store.IsNotFound(err) {
		return journey.Bundle{}, fmt.Errorf("%w: there is no run %s of scenario %s/%s", ErrNoIndex, run, ref.Namespace, ref.Name)
	}
	if err != nil {
		return journey.Bundle{}, fmt.Errorf("reading run %s: %w", run, err)
	}
	rev, err := e.revisions.get(ctx, ref.Namespace, ref.Name, revision)
	if err != nil {
		return journey.Bundle{}, err
	}
	return rev.Bundle, nil
}

// Suspend keeps the shards of a run from being worked on, or lets them be again. What is being sent ends.
func (e *Engine) Suspend(ctx context.Context, ref Ref, run string, suspended bool) error {
	from, to := "held", "open"
	if suspended {
		from, to = to, from
	}
	_, err := e.store.Exec(ctx, `UPDATE shards SET state = $4 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = $5
  AND EXISTS (SELECT 1 FROM runs r WHERE r.ns = shards.ns AND r.scenario = shards.scenario AND r.run = shards.run AND r.state = 'running')`,
		ref.Namespace, ref.Name, run, to, from)
	if err != nil {
		return fmt.Errorf("suspending run %s: %w", run, err)
	}
	e.Wake()
	return nil
}

// TakeOver gives what is left of a run to the managers, because its Job failed.
func (e *Engine) TakeOver(ctx context.Context, ref Ref, run string) (shards int64, err error) {
	res, err := e.store.Exec(ctx, `UPDATE shards SET runner = '' WHERE ns = $1 AND scenario = $2 AND run = $3 AND runner = 'job' AND state IN ('held', 'open')`,
		ref.Namespace, ref.Name, run)
	if err != nil {
		return 0, fmt.Errorf("taking over run %s: %w", run, err)
	}
	e.Wake()
	return res.RowsAffected()
}
