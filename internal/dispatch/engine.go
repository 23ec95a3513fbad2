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
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"k8s.io/utils/clock"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	kclock "github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Options are what an Engine needs.
type Options struct {
	Store    *store.Store
	Clock    clock.PassiveClock
	Compiler *content.Compiler
	Signer   *content.Signer
	// OneClick puts the unsubscribe address into mails' headers, which needs an https address.
	OneClick bool
	Channels *Channels
	Log      logr.Logger
	// Attribute credits orders that arrived to a scenario, and says for how many that made a difference; nil
	// for none.
	Attribute func(ctx context.Context, a Armed) (changed int64, err error)
	// Convert credits events that reach a scenario's goal to the enrolments of these customers, and says for
	// how many that made a difference; nil for none.
	Convert func(ctx context.Context, tx *store.Tx, a Armed, customers []string) (changed int64, err error)
	// Shards is how many shards this process works on at once. 0 for 8.
	Shards int
	// Leads tells whether this process plans, too; nil for one that does. One that does not works shards off.
	Leads func() bool
}

// Engine plans and sends. One process has one.
type Engine struct {
	store     *store.Store
	clock     clock.PassiveClock
	signer    *content.Signer
	oneClick  bool
	channels  *Channels
	revisions *revisions
	ledger    *ledger
	units     *units
	log       logr.Logger
	metrics   *counters
	attribute func(context.Context, Armed) (int64, error)
	convert   func(context.Context, *store.Tx, Armed, []string) (int64, error)
	leads     func() bool
	tally     ends
	holder    string
	shards    int
	// firstBackoff and heldBack are the constants of these names; tests have less time.
	firstBackoff, heldBack time.Duration
	wake                   chan struct{}

	mu    sync.Mutex
	armed map[Ref]*armed
	// refusals are of steps whose content no provider takes.
	refusals refusals
	// predicted is when scenarios said last that they want predictions.
	predicted map[Ref]time.Time
	working   map[Ref]int // shards in work, by scenario
	total     int
	// held are the shards that wait for their channel, by when they are looked at again.
	held    map[string]time.Time
	letGoAt int64 // how often channels had been resumed when the held ones were let go
	notify  func(Ref)
	workers sync.WaitGroup

	// enrolled is how far the audiences of runs have been enrolled. Only ticks use it.
	enrolled map[runKey]string
	// guarded is how runs were judged last, and watched when those under way were. Only ticks use them.
	guarded map[runKey]guarded
	watched time.Time
	// orders is when the newest order of a namespace arrived. Only ticks use it.
	orders map[string]int64
	// swept is when old reply tokens were deleted. Only ticks use it.
	swept time.Time
}

// runKey names a run.
type runKey struct {
	ref Ref
	run string
}

// armed is a Scenario with when somebody in it is due next.
type armed struct {
	Armed
	// next is business time; zero is not known, and looked up. looks tells that nobody known is due then, and
	// that it is only when to look again.
	next  time.Time
	looks bool
	// credited is when orders were last looked at for it, on machine time, and orders the newest of
	// its namespace then.
	credited time.Time
	orders   int64
	// decided is when its experiments were looked at, on machine time.
	decided time.Time
	// guard is how what it sends outside of runs was judged.
	guard streamGuard
	// awaited are facts that its segment has not heard of yet. Only ticks use it.
	awaited awaited
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
	if o.Leads == nil {
		o.Leads = func() bool { return true }
	}
	o.Channels.share(o.Store)
	return &Engine{
		store: o.Store, clock: o.Clock, signer: o.Signer, oneClick: o.OneClick, channels: o.Channels, log: o.Log,
		revisions: newRevisions(o.Store, o.Compiler), units: &units{store: o.Store, full: o.Channels.changed}, attribute: o.Attribute, convert: o.Convert, metrics: newCounters(),
		holder: fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()[:8]),
		leads:  o.Leads, shards: o.Shards, wake: make(chan struct{}, 1),
		armed: map[Ref]*armed{}, predicted: map[Ref]time.Time{}, working: map[Ref]int{}, notify: func(Ref) {},
		firstBackoff: firstBackoff, heldBack: heldBack,
		held: map[string]time.Time{}, enrolled: map[runKey]string{}, guarded: map[runKey]guarded{},
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

// tickEvery is how often the engine looks for work that nobody told it of, on machine time.
const tickEvery = time.Second

// Run plans, where this process leads, and sends until ctx ends; then what is under way ends, and the
// shards are given back.
func (e *Engine) Run(ctx context.Context) error {
	e.ledger = newLedger(e.store, e.clock)
	defer e.ledger.close()
	// A worker's last writes go through the ledger, which therefore closes after them.
	defer e.workers.Wait()
	e.workers.Go(func() { e.channels.follow(ctx, e.log) })
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		began, soon := e.clock.Now(), tickEvery
		if err := e.tick(ctx); err == nil {
			soon = e.soonest(began)
		} else if ctx.Err() == nil {
			e.log.Error(err, "Dispatch will try again")
		}
		due := time.NewTimer(soon)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-due.C:
		case <-e.wake:
		}
		due.Stop()
	}
}

// soonestTick bounds how often there is a tick because somebody is due: those who come due one after the other go
// together.
const soonestTick = 100 * time.Millisecond

// soonest is when somebody is due before the next tick, after one that began then. Who was due then, and was not let
// go, has to wait for the next.
func (e *Engine) soonest(began time.Time) time.Duration {
	now, wait := e.clock.Now(), tickEvery
	for _, a := range e.snapshot() {
		if !a.looks && a.next.After(began) {
			wait = min(wait, kclock.RealDuration(e.clock, a.next.Sub(now)))
		}
	}
	return max(wait, soonestTick)
}

// tick does what is due now, and starts workers for the shards that are open. What fails for one
// scenario does not keep the others waiting, and neither does one that has much to plan: it gets its
// turn in every tick until it is done.
func (e *Engine) tick(ctx context.Context) error {
	if !e.leads() {
		return errors.Join(e.letGo(ctx), e.startWorkers(ctx))
	}
	var failed []error
	runs, err := e.openRuns(ctx)
	failed = append(failed, err)
	busy := map[Ref]bool{}
	for _, r := range runs {
		done, err := e.planRun(ctx, r)
		if err != nil || !done {
			failed = append(failed, err)
			// Those whom a run that is held let in are not under way yet.
			busy[r.ref] = busy[r.ref] || r.state != RunHeld
			continue
		}
		e.look(r.ref)
		e.notify(r.ref)
	}
	e.orders = map[string]int64{}
	open, err := e.fanOuts(ctx)
	failed = append(failed, err)
	armed := e.snapshot()
	for _, a := range armed {
		if slots := open[a.Ref]; slots != nil {
			failed = append(failed, e.celebrate(ctx, a, slots))
		}
	}
	expected, err := e.expected(ctx)
	failed = append(failed, err)
	for _, a := range armed {
		failed = append(failed, e.credit(ctx, a), e.decide(ctx, a))
		if last := expected[a.Ref]; last != "" {
			failed = append(failed, e.letIn(ctx, a, last))
		}
		// A run that is half planned owns its enrolments: the stream must not take them.
		if !busy[a.Ref] {
			failed = append(failed, e.stream(ctx, a))
		}
	}
	failed = append(failed, e.watch(ctx), e.sweep(ctx), e.letGo(ctx), e.startWorkers(ctx))
	refs, err := e.completeRuns(ctx)
	failed = append(failed, err)
	for _, ref := range refs {
		e.notify(ref)
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

// look makes the next tick look up when somebody in a scenario is due.
func (e *Engine) look(ref Ref) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.armed[ref]; a != nil {
		a.next = time.Time{}
	}
}

// resyncEvery is how long the next due moment is believed: another process may have changed it.
const resyncEvery = 30 * time.Second

// batchesPerTurn is how many batches one scenario plans before the others get their turn.
const batchesPerTurn = 5

// stream plans those who are due outside of a run: the later steps of a journey.
func (e *Engine) stream(ctx context.Context, a *armed) error {
	now := e.clock.Now()
	if !a.next.IsZero() && a.next.After(now) {
		return nil
	}
	if passed, err := e.guardStream(ctx, a); err != nil || !passed {
		return err
	}
	planned := 0
	for range batchesPerTurn {
		n, err := e.plan(ctx, planning{ref: a.Ref, epoch: a.Epoch, revision: a.Revision, rev: a.Compiled, until: now})
		if err != nil {
			return err
		}
		if planned += n; n < planBatch {
			break
		}
	}
	if planned > 0 {
		e.notify(a.Ref)
	}
	if planned == batchesPerTurn*planBatch {
		e.Wake() // for the rest
		return nil
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
	// Not the same moment for all, or a tick would look up a thousand at once.
	a.next, a.looks = e.clock.Now().Add(resyncEvery/2+rand.N(resyncEvery/2)), true
	if next != nil && store.Time(*next).Before(a.next) {
		a.next, a.looks = store.Time(*next), false
	}
	return nil
}

// creditEvery is how often a scenario is asked for orders to credit where none arrived: it may have
// to look once more at some that did, because transactions do not commit in the order of their times.
const creditEvery = 10 * time.Second

// credit has the orders that arrived credited to a scenario. Where none did, that costs a look-up a
// namespace, not one a scenario.
func (e *Engine) credit(ctx context.Context, a *armed) error {
	if e.attribute == nil {
		return nil
	}
	newest, known := e.orders[a.Namespace]
	if !known {
		err := e.store.QueryRow(ctx, `SELECT COALESCE(MAX(received_at), 0) FROM orders WHERE ns = $1`, a.Namespace).Scan(&newest)
		if err != nil {
			return fmt.Errorf("looking for new orders in %s: %w", a.Namespace, err)
		}
		e.orders[a.Namespace] = newest
	}
	if newest == a.orders && time.Since(a.credited) < creditEvery {
		return nil
	}
	changed, err := e.attribute(ctx, a.Armed)
	if changed > 0 {
		e.look(a.Ref) // some may have to leave
	}
	if err != nil {
		return err
	}
	a.orders = newest
	a.credited = time.Now().Add(-rand.N(creditEvery / 2))
	return nil
}

// startWorkers claims as many shards as this process has room for.
func (e *Engine) startWorkers(ctx context.Context) error {
	e.mu.Lock()
	room, working := e.shards-e.total, maps.Clone(e.working)
	e.mu.Unlock()
	if room <= 0 || ctx.Err() != nil {
		return nil //nolint:nilerr // the engine is stopping: nothing more is begun
	}
	if err := e.channels.known(ctx); err != nil {
		return err
	}
	others, err := e.workedElsewhere(ctx)
	if err != nil {
		return err
	}
	roomOf := func(ref Ref) int { return e.parallelism(ctx, ref) - working[ref] - others[ref] }
	var full []Ref
	for ref := range working {
		if roomOf(ref) <= 0 {
			full = append(full, ref)
		}
	}
	claimed, err := e.claim(ctx, room, roomOf, full)
	if err != nil {
		return err
	}
	for _, s := range claimed {
		e.begin(s.ref, 1)
		e.workers.Go(func() {
			err := e.work(ctx, s)
			e.begin(s.ref, -1)
			if err != nil && ctx.Err() == nil {
				e.log.Error(err, "Shard was left and will be taken up again", "namespace", s.ref.Namespace, "scenario", s.ref.Name, "run", s.run, "index", s.idx)
			}
			e.notify(s.ref)
			e.Wake()
		})
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

// workedElsewhere counts the shards that other managers work on.
func (e *Engine) workedElsewhere(ctx context.Context) (map[Ref]int, error) {
	if e.store.Dialect() == store.SQLite {
		return nil, nil // there is one manager
	}
	out := map[Ref]int{}
	err := store.Each(ctx, e.store, func(rows *sql.Rows) error {
		var ref Ref
		var n int
		err := rows.Scan(&ref.Namespace, &ref.Name, &n)
		out[ref] = n
		return err
	}, `SELECT ns, scenario, COUNT(*) FROM shards WHERE state = 'open' AND runner = '' AND lease_until >= `+e.store.Dialect().NowMillis()+` AND holder NOT IN ('', $1) GROUP BY ns, scenario`,
		e.holder)
	if err != nil {
		return nil, fmt.Errorf("counting the shards that others work on: %w", err)
	}
	return out, nil
}

// parallelism is how many shards of a scenario are worked on at once, by all managers together.
func (e *Engine) parallelism(ctx context.Context, ref Ref) int {
	e.mu.Lock()
	a := e.armed[ref]
	e.mu.Unlock()
	if a != nil {
		return a.Compiled.Parallelism()
	}
	var revision string
	err := e.store.QueryRow(ctx, `SELECT revision FROM scenarios WHERE ns = $1 AND name = $2`, ref.Namespace, ref.Name).Scan(&revision)
	if err == nil {
		if rev, err := e.revisions.get(ctx, ref.Namespace, ref.Name, revision); err == nil {
			return rev.Parallelism()
		}
	}
	return int((*crm.Dispatch)(nil).ParallelismOrDefault())
}
