// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// heldBack is when a shard is looked at again whose channel cannot be sent through now.
	heldBack = 5 * time.Second
	// heldEach is added for each shard that is held already: a paused channel with a thousand shards
	// costs twenty looks a second, not thousands.
	heldEach = 50 * time.Millisecond
)

// holdBack gives back a shard whose channel cannot be sent through now, until then or next, where
// another message of it is due sooner.
func (e *Engine) holdBack(ctx context.Context, s shard, next time.Time) error {
	now := time.Now()
	e.mu.Lock()
	for id, until := range e.held {
		if until.Before(now) {
			delete(e.held, id)
		}
	}
	until := now.Add(e.heldBack + time.Duration(len(e.held))*heldEach)
	e.held[s.shard] = until
	e.mu.Unlock()
	if !next.IsZero() && next.Before(until) {
		until = next
	}
	return e.release(ctx, s, until)
}

// letGo opens the shards that are held back when a channel can be sent through again.
func (e *Engine) letGo(ctx context.Context) error {
	resumed := e.channels.resumed.Load()
	e.mu.Lock()
	if resumed == e.letGoAt || len(e.held) == 0 {
		e.letGoAt = resumed
		e.mu.Unlock()
		return nil
	}
	ids := make([]string, 0, len(e.held))
	for id := range e.held {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	d := e.store.Dialect()
	_, err := e.store.Exec(ctx, `UPDATE shards SET lease_until = 0 WHERE state = 'open' AND holder = '' AND id `+d.AnyUUID(1), store.List(d, ids))
	if err != nil {
		return fmt.Errorf("letting go of what was held back: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.letGoAt = resumed
	for _, id := range ids {
		delete(e.held, id)
	}
	return nil
}

// inQuietHours tells whether all that is left of a shard waits for quiet hours to end.
func (e *Engine) inQuietHours(ctx context.Context, s shard) (waits bool, err error) {
	now := store.Millis(e.clock.Now())
	err = e.store.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE shard = $1 AND state = 'planned' AND not_before > $2)
  AND NOT EXISTS (SELECT 1 FROM messages WHERE shard = $1 AND (state = 'sending' OR state = 'planned' AND COALESCE(not_before, 0) <= $2))`, s.shard, now).Scan(&waits)
	if err != nil {
		return false, fmt.Errorf("looking what is left of a shard: %w", err)
	}
	return waits, nil
}
