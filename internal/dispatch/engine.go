// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dispatch is the outbox: it plans runs and streams of messages, claims them in shards,
// sends them through their channels, and records what became of each.
//
// The database decides everything that must not happen twice: slots are claimed in a ledger, messages
// have one key, shards are held by fenced leases, and a message is marked before its provider is
// called. Processes may die and clocks may jump at any point between two of these.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Options are what an Engine needs.
type Options struct {
	Store    *store.Store
	Clock    clock.PassiveClock
	Compiler *content.Compiler
	Signer   *content.Signer
	Channels *Channels
	Log      logr.Logger
	// Attribute credits orders that arrived to the scenarios of a namespace; nil for none.
	Attribute func(ctx context.Context, a Armed) error
	// Shards is how many shards this process works on at once. 0 for 8.
	Shards int
}

// Engine plans and sends. One process has one.
type Engine struct {
	store     *store.Store
	clock     clock.PassiveClock
	signer    *content.Signer
	channels  *Channels
	revisions *revisions
	ledger    *ledger
	log       logr.Logger
	metrics   *counters
	attribute func(context.Context, Armed) error
	holder    string
	shards    int
	wake      chan struct{}

	mu      sync.Mutex
	armed   map[Ref]*armed
	working map[Ref]int // shards in work, by scenario
	total   int
	notify  func(Ref)
	workers sync.WaitGroup
}

// armed is a Scenario with when somebody in it is due next.
type armed struct {
	Armed
	// next is business time; zero is not known, and looked up.
	next time.Time
}

// NewEngine makes an engine. Run starts it.
func NewEngine(o Options) *Engine {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if o.Shards <= 0 {
		o.Shards = 8
	}
	return &Engine{
		store: o.Store, clock: o.Clock, signer: o.Signer, channels: o.Channels, log: o.Log,
		revisions: newRevisions(o.Store, o.Compiler), attribute: o.Attribute, metrics: newCounters(),
		holder: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()[:8]),
		shards: o.Shards, wake: make(chan struct{}, 1),
		armed: map[Ref]*armed{}, working: map[Ref]int{}, notify: func(Ref) {},
	}
}

// OnProgress is called, from any goroutine, when there is something new to say about a Scenario.
// Set it before Run.
func (e *Engine) OnProgress(f func(Ref)) { e.notify = f }

// Wake makes the engine look at once whether there is something to do.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) progress(ref Ref) { e.notify(ref) }

// tickEvery is how often the engine looks for work that nobody told it of, on machine time.
const tickEvery = time.Second

// Run plans and sends until ctx ends; then what is under way ends, and the shards are given back.
func (e *Engine) Run(ctx context.Context) error {
	e.ledger = newLedger(e.store, e.clock)
	defer e.ledger.close()
	// A worker's last writes go through the ledger, which therefore closes after them.
	defer e.workers.Wait()
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		if err := e.tick(ctx); err != nil && ctx.Err() == nil {
			e.log.Error(err, "Dispatch will try again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-e.wake:
		}
	}
}

// tick does all that is due now, and starts workers for the shards that are open. What fails for
// one scenario does not keep the others waiting.
func (e *Engine) tick(ctx context.Context) error {
	var failed []error
	runs, err := e.openRuns(ctx)
	failed = append(failed, err)
	busy := map[Ref]bool{}
	for _, r := range runs {
		busy[r.ref] = true
		if err := e.planRun(ctx, r); err != nil {
			failed = append(failed, err)
			continue
		}
		delete(busy, r.ref)
		e.progress(r.ref)
	}
	for _, a := range e.snapshot() {
		if e.attribute != nil {
			failed = append(failed, e.attribute(ctx, a.Armed))
		}
		// A run that is half planned owns its enrolments: the stream must not take them.
		if !busy[a.Ref] {
			failed = append(failed, e.stream(ctx, a))
		}
	}
	failed = append(failed, e.startWorkers(ctx))
	refs, err := e.completeRuns(ctx)
	failed = append(failed, err)
	for _, ref := range refs {
		e.progress(ref)
	}
	return errors.Join(failed...)
}

func (e *Engine) snapshot() []*armed {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*armed, 0, len(e.armed))
	for _, a := range e.armed {
		out = append(out, a)
	}
	return out
}

// resyncEvery is how long the next due moment is believed: another process may have changed it.
const resyncEvery = 30 * time.Second

// stream plans those who are due outside of a run: the later steps of a journey.
func (e *Engine) stream(ctx context.Context, a *armed) error {
	now := e.clock.Now()
	if !a.next.IsZero() && a.next.After(now) {
		return nil
	}
	planned := 0
	for {
		n, err := e.plan(ctx, planning{ref: a.Ref, epoch: a.Epoch, revision: a.Revision, rev: a.Compiled, until: now})
		if err != nil {
			return err
		}
		planned += n
		if n < planBatch {
			break
		}
	}
	if planned > 0 {
		e.progress(a.Ref)
	}
	return e.lookAhead(ctx, a)
}

// lookAhead finds when somebody is due next, so that a tick costs what is due, not how many wait.
func (e *Engine) lookAhead(ctx context.Context, a *armed) error {
	var next *int64
	err := e.store.QueryRow(ctx, `SELECT MIN(due_at) FROM enrolments WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND state = 'active'`,
		a.Namespace, a.Name, a.Epoch).Scan(&next)
	if err != nil {
		return fmt.Errorf("finding when somebody in scenario %s/%s is due: %w", a.Namespace, a.Name, err)
	}
	a.next = e.clock.Now().Add(resyncEvery)
	if next != nil && store.Time(*next).Before(a.next) {
		a.next = store.Time(*next)
	}
	return nil
}

// startWorkers claims as many shards as this process has room for.
func (e *Engine) startWorkers(ctx context.Context) error {
	e.mu.Lock()
	room := e.shards - e.total
	taken := make(map[Ref]int, len(e.working))
	for ref, n := range e.working {
		taken[ref] = n
	}
	e.mu.Unlock()
	if room <= 0 || ctx.Err() != nil {
		return nil
	}
	claimed, err := e.claim(ctx, room, func(s shard) bool {
		taken[s.ref]++
		return taken[s.ref] > e.parallelism(s.ref)
	})
	if err != nil {
		return err
	}
	for _, s := range claimed {
		e.begin(s.ref, 1)
		e.workers.Add(1)
		go func() {
			defer e.workers.Done()
			err := e.work(ctx, s)
			e.begin(s.ref, -1)
			if err != nil && ctx.Err() == nil {
				e.log.Error(err, "Shard was left and will be taken up again", "namespace", s.ref.Namespace, "scenario", s.ref.Name, "run", s.run, "index", s.idx)
			}
			e.progress(s.ref)
			e.Wake()
		}()
	}
	return nil
}

func (e *Engine) begin(ref Ref, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.total += n
	if e.working[ref] += n; e.working[ref] <= 0 {
		delete(e.working, ref)
	}
}

func (e *Engine) parallelism(ref Ref) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.armed[ref]; a != nil {
		return a.Compiled.Parallelism()
	}
	return 4
}
