// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// overlap is how far back orders are looked at again: of two transactions that ingest at the same
	// time, the one with the earlier received_at may commit later.
	overlap = 10 * time.Minute
	// trailing is when the last look at a burst of orders comes, on machine time, for the same reason.
	trailing = 30 * time.Second
)

// Goals follows the orders that arrive and credits them to scenarios. It costs one index look-up as
// long as nothing arrives.
type Goals struct {
	Store *store.Store
	// Machine is the machine's clock: a burst of orders ends on it, not on business time.
	Machine clock.PassiveClock

	mu   sync.Mutex
	seen map[goalKey]*goalSeen
}

type goalKey struct {
	ns, scenario, epoch string
	goal                Goal
}

type goalSeen struct {
	newest int64     // received_at of the latest order that was looked at
	again  time.Time // machine time of one more look, zero for none
}

// Follow credits what arrived since the last call, and says how many enrolments changed.
func (g *Goals) Follow(ctx context.Context, ns, scenario, epoch string, goal Goal) (changed int64, err error) {
	key := goalKey{ns, scenario, epoch, goal}
	g.mu.Lock()
	seen := g.seen[key]
	g.mu.Unlock()
	if seen == nil {
		if seen, err = g.resume(ctx, key); err != nil {
			return 0, err
		}
	}
	if !goal.ByOrders() {
		return g.recount(ctx, key, seen)
	}
	var newest int64
	if err := g.Store.QueryRow(ctx, `SELECT COALESCE(MAX(received_at), 0) FROM orders WHERE ns = $1`, ns).Scan(&newest); err != nil {
		return 0, fmt.Errorf("look for new orders in %s: %w", ns, err)
	}
	last := !seen.again.IsZero() && g.Machine.Now().After(seen.again)
	if newest == seen.newest && !last {
		return 0, nil
	}
	since := store.Time(seen.newest).Add(-overlap)
	if changed, err = Attribute(ctx, g.Store, ns, scenario, epoch, goal, since); err != nil {
		return 0, err
	}
	next := &goalSeen{newest: newest}
	if newest != seen.newest {
		next.again = g.Machine.Now().Add(trailing)
		return changed, g.note(ctx, key, next)
	}
	g.remember(key, next)
	return changed, nil
}

// recount looks at all events where the goal is another one. Those that arrive from then on are put before
// the scenario.
func (g *Goals) recount(ctx context.Context, key goalKey, seen *goalSeen) (changed int64, err error) {
	if seen.newest > 0 {
		g.remember(key, seen)
		return 0, nil
	}
	if changed, err = Attribute(ctx, g.Store, key.ns, key.scenario, key.epoch, key.goal, time.Time{}); err != nil {
		return 0, err
	}
	return changed, g.note(ctx, key, &goalSeen{newest: 1})
}

// note says where a process that starts anew goes on.
func (g *Goals) note(ctx context.Context, key goalKey, seen *goalSeen) error {
	_, err := g.Store.Exec(ctx, `UPDATE scenarios SET goal_seen_at = $3 WHERE ns = $1 AND name = $2`, key.ns, key.scenario, seen.newest)
	if err != nil {
		return fmt.Errorf("note how far orders were credited to scenario %s/%s: %w", key.ns, key.scenario, err)
	}
	g.remember(key, seen)
	return nil
}

func (g *Goals) remember(key goalKey, seen *goalSeen) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen = map[goalKey]*goalSeen{}
	}
	g.seen[key] = seen
}

func (g *Goals) resume(ctx context.Context, key goalKey) (*goalSeen, error) {
	var at int64
	err := g.Store.QueryRow(ctx, `SELECT goal_seen_at FROM scenarios WHERE ns = $1 AND name = $2`, key.ns, key.scenario).Scan(&at)
	if err != nil && !store.IsNotFound(err) {
		return nil, fmt.Errorf("read how far orders were credited to scenario %s/%s: %w", key.ns, key.scenario, err)
	}
	return &goalSeen{newest: at}, nil
}
