// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// leaseFor is how long a shard stays with a worker that says nothing, on the database's clock, about
	// which all processes agree, whatever their own do. It bounds how long a crash delays what the dead
	// process held.
	leaseFor = 30 * time.Second
	// renewEvery leaves room for two renewals that fail.
	renewEvery = 10 * time.Second
)

// Who works a shard off.
const (
	// RunnerManager is any manager, RunnerJob the pod of the shard's index.
	RunnerManager = ""
	RunnerJob     = "job"
)

// shard is a shard that this process holds.
type shard struct {
	lease
	ref Ref
	run string // empty for the stream
	idx int
}

// claim takes open shards that nobody holds, at most n, and of each scenario no more than room gives.
// Scenarios without room are left out by the query: thousands of shards of one must not keep those of
// another from being found.
func (e *Engine) claim(ctx context.Context, n int, room func(Ref) int, full []Ref) ([]shard, error) {
	var out []shard
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		out = nil
		without, left := slices.Clone(full), map[Ref]int{}
		for len(out) < n {
			found, err := claimable(ctx, tx, 4*n, without)
			if err != nil || len(found) == 0 {
				return err
			}
			for _, s := range found {
				if _, known := left[s.ref]; !known {
					if left[s.ref] = room(s.ref); left[s.ref] <= 0 {
						without = append(without, s.ref)
					}
				}
				if len(out) == n || left[s.ref] <= 0 {
					continue
				}
				if left[s.ref]--; left[s.ref] == 0 {
					without = append(without, s.ref)
				}
				if err := e.take(ctx, tx, &s); err != nil {
					return err
				}
				out = append(out, s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claiming shards: %w", err)
	}
	return out, nil
}

func (e *Engine) take(ctx context.Context, tx *store.Tx, s *shard) error {
	s.fence++
	_, err := tx.Exec(ctx, `UPDATE shards SET holder = $2, lease_until = `+tx.Dialect().NowMillis()+` + $3, fence = $4 WHERE id = $1`,
		s.shard, e.holder, leaseFor.Milliseconds(), s.fence)
	if err != nil {
		return fmt.Errorf("taking a shard: %w", err)
	}
	return nil
}

func claimSQL(d store.Dialect) string {
	return `SELECT id, ns, scenario, run, idx, fence FROM shards
WHERE state = 'open' AND runner = '' AND lease_until < ` + d.NowMillis() + ` AND NOT ns || '/' || scenario ` + d.AnyText(2) + `
ORDER BY lease_until, created_at, idx LIMIT $1` + d.ForUpdateSkipLocked()
}

func claimable(ctx context.Context, tx *store.Tx, n int, without []Ref) ([]shard, error) {
	names := make([]string, len(without))
	for i, ref := range without {
		names[i] = ref.Namespace + "/" + ref.Name
	}
	d := tx.Dialect()
	rows, err := tx.Query(ctx, claimSQL(d), n, store.List(d, names))
	if err != nil {
		return nil, fmt.Errorf("finding open shards: %w", err)
	}
	defer rows.Close()
	var out []shard
	for rows.Next() {
		var s shard
		if err := rows.Scan(&s.shard, &s.ref.Namespace, &s.ref.Name, &s.run, &s.idx, &s.fence); err != nil {
			return nil, fmt.Errorf("reading open shards: %w", err)
		}
		if s.run == s.shard {
			s.run = ""
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// renew keeps a shard for another while; false means that it went to somebody else.
func (e *Engine) renew(ctx context.Context, s shard) (bool, error) {
	return e.touch(ctx, `UPDATE shards SET lease_until = `+e.store.Dialect().NowMillis()+` + $3 WHERE id = $1 AND fence = $2 AND state = 'open'`,
		s.shard, s.fence, leaseFor.Milliseconds())
}

// release gives a shard back, to be taken again from then on. It is not cut short by ctx: a shard
// that is not given back waits for its lease to run out.
func (e *Engine) release(ctx context.Context, s shard, from time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, err := e.touch(ctx, `UPDATE shards SET holder = '', lease_until = `+e.store.Dialect().NowMillis()+` + $3 WHERE id = $1 AND fence = $2 AND state = 'open'`,
		s.shard, s.fence, max(time.Until(from), 0).Milliseconds())
	return err
}

// finish ends a shard all of whose messages have ended; false means that some have not.
func (e *Engine) finish(ctx context.Context, s shard) (bool, error) {
	return e.touch(ctx, `UPDATE shards SET state = 'done', holder = '' WHERE id = $1 AND fence = $2 AND state = 'open'
  AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.shard = shards.id AND m.state IN ('planned', 'sending'))`,
		s.shard, s.fence)
}

func (e *Engine) touch(ctx context.Context, query string, args ...any) (bool, error) {
	res, err := e.store.Exec(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("writing a shard's lease: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// Open lets the shards of a run be worked off, once its Job is there.
func (e *Engine) Open(ctx context.Context, ref Ref, run string) error {
	err := e.store.Tx(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE shards SET state = 'open' WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'held'`,
			ref.Namespace, ref.Name, run); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE runs SET state = 'running' WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'planned'`,
			ref.Namespace, ref.Name, run)
		return err
	})
	if err != nil {
		return fmt.Errorf("opening the shards of run %s: %w", run, err)
	}
	e.Wake()
	return nil
}
