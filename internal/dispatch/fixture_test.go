// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var (
	shop    = Ref{"shop", "winback"}
	mail    = Ref{"shop", "mail"}
	push    = Ref{"shop", "push"}
	monday  = time.Date(2026, 11, 2, 1, 0, 0, 0, time.UTC) // 10:00 in Tokyo
	oneMail = `[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`
)

// fixture is a store with a shop in it, a clock that stands still, and a provider that does as it
// is told.
type fixture struct {
	testing.TB
	st       *store.Store
	clock    *clocktesting.FakePassiveClock
	compiler *content.Compiler
	channels *Channels
	provider *provider
}

func newFixture(t testing.TB, dsn string) *fixture {
	t.Helper()
	f := &fixture{TB: t, clock: clocktesting.NewFakePassiveClock(monday), compiler: content.NewCompiler(content.Options{}), channels: NewChannels(nil)}
	var err error
	f.st, err = store.Open(t.Context(), dsn)
	f.ok(err)
	t.Cleanup(func() { f.ok(errors.Join(f.st.Close(), f.compiler.Close())) })
	f.ok(f.st.Migrate(t.Context()))
	f.provider = newProvider()
	f.channels.Put(mail, f.channel("email"))
	f.channels.Put(push, f.channel("line"))
	return f
}

// in is the fixture in a subtest, with nothing in the store.
func (f *fixture) in(t testing.TB) *fixture {
	t.Helper()
	in := *f
	in.TB = t
	in.clock.SetTime(monday)
	for _, table := range []string{"messages", "enrolments", "runs", "slots", "shards", "suppressions", "scenarios", "customers", "consents", "memberships", "listeners", "arrivals", "events", "orders", "order_items", "metrics", "segments", "fanouts", "subscriptions", "favourites", "products", "coupons", "verdicts", "line_replies", "line_units", "channel_pauses", "channel_rates"} {
		in.exec(`DELETE FROM ` + table)
	}
	return &in
}

func (f *fixture) channel(kind string) *Channel {
	return &Channel{Sender: f.provider, Kind: kind, Mode: ModeLive, Fingerprint: "1"}
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// engine makes an engine that is driven by turns. What it leaves behind when it is let go of without
// an end is what a process leaves that was killed.
func (f *fixture) engine() *Engine {
	f.Helper()
	signer, err := content.NewSigner("https://links.shop.example", make([]byte, 32))
	f.ok(err)
	e := NewEngine(Options{Store: f.st, Clock: f.clock, Compiler: f.compiler, Signer: signer, Channels: f.channels, Log: logr.Discard()})
	e.firstBackoff, e.heldBack = time.Millisecond, time.Millisecond
	e.ledger = newLedger(f.st, f.clock)
	return e
}

// customers makes members of the segment who consent to everything.
func (f *fixture) customers(n int) {
	f.Helper()
	ids := make([]string, n)
	for i := range n {
		ids[i] = fmt.Sprintf("c%05d", i)
	}
	d := f.st.Dialect()
	list := store.List(d, ids)
	f.exec(`INSERT INTO customers (ns, id, email, line_user_id, attributes, created_at, updated_at)
SELECT 'shop', value, value || '@shop.example', 'U' || value, '{"points": 5}', 0, 0 FROM `+d.Unnest(1)+` u`, list)
	for _, kind := range []string{"email", "line"} {
		f.exec(`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at)
SELECT 'shop', value, '`+kind+`', 'granted', 'test', 0 FROM `+d.Unnest(1)+` u`, list)
	}
	f.exec(`INSERT INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', 'all', value, 0 FROM `+d.Unnest(1)+` u`, list)
}

// armed compiles a Scenario of these steps.
func (f *fixture) armed(steps string, change ...func(*crm.ScenarioSpec)) Armed {
	f.Helper()
	b := journey.Bundle{Shop: journey.Shop{TimeZone: "Asia/Tokyo", LowStock: "3"}}
	f.ok(json.Unmarshal([]byte(steps), &b.Spec.Steps))
	b.Spec.Dispatch = &crm.Dispatch{ShardSize: 10}
	for _, c := range change {
		c(&b.Spec)
	}
	if b.Spec.Trigger == (crm.Trigger{}) {
		b.Spec.Trigger.Schedule = &crm.ScheduleTrigger{Cron: "0 10 * * *"}
	}
	rev, err := Compile(f.Context(), f.compiler, b)
	f.ok(err)
	revision, text, err := b.Revision()
	f.ok(err)
	return Armed{Ref: shop, Epoch: b.Spec.Epoch, Revision: revision, Bundle: text, Compiled: rev, Segment: "all", Suspended: b.Spec.Suspend}
}

// refused is why a Scenario of these steps is not taken.
func (f *fixture) refused(steps string) error {
	f.Helper()
	b := journey.Bundle{}
	f.ok(json.Unmarshal([]byte(steps), &b.Spec.Steps))
	_, err := Compile(f.Context(), f.compiler, b)
	return err
}

func slot(at time.Time) schedule.Slot {
	return schedule.Slot{Key: at.Format("2006-01-02T15:04"), Time: at}
}

// fire arms and fires the slot of now.
func (f *fixture) fire(e *Engine, a Armed) string {
	f.Helper()
	f.ok(e.Arm(f.Context(), a))
	s := slot(f.clock.Now())
	fired, err := e.Fire(f.Context(), a, s)
	f.ok(err)
	if !fired {
		f.Fatal("the slot did not fire")
	}
	return RunName(a.Name, s)
}

// plan ticks until nothing is left to plan, and opens the runs as a controller would.
func (f *fixture) plan(e *Engine) {
	f.Helper()
	for range 100 {
		f.ok(e.tick(f.Context()))
		runs, err := e.Runs(f.Context(), shop)
		f.ok(err)
		open := false
		for _, r := range runs {
			open = open || r.State == RunEnrolling || r.State == RunPlanning
			if r.State == RunPlanned {
				f.ok(e.Open(f.Context(), shop, r.Name))
			}
		}
		if !open {
			return
		}
	}
	f.Fatal("planning does not end")
}

// finish works until all messages have an end.
func (f *fixture) finish(e *Engine) {
	f.Helper()
	f.plan(e)
	deadline := time.Now().Add(30 * time.Second)
	for f.count(`SELECT COUNT(*) FROM messages WHERE state IN ('planned', 'sending')`)+f.count(`SELECT COUNT(*) FROM shards WHERE state = 'open'`) > 0 {
		if time.Now().After(deadline) {
			f.Fatalf("after 30 seconds messages are %v", f.states())
		}
		f.ok(e.tick(f.Context()))
		time.Sleep(time.Millisecond)
	}
	e.workers.Wait()
	f.ok(e.tick(f.Context()))
}

// turn starts workers, and waits until they have nothing more to do now.
func (f *fixture) turn(e *Engine) {
	f.Helper()
	f.ok(e.tick(f.Context()))
	e.workers.Wait()
}

func (f *fixture) count(query string, args ...any) (n int) {
	f.Helper()
	f.ok(f.st.QueryRow(f.Context(), query, args...).Scan(&n))
	return n
}

func (f *fixture) exec(query string, args ...any) {
	f.Helper()
	_, err := f.st.Exec(f.Context(), query, args...)
	f.ok(err)
}

// expire ends all leases, as time does.
func (f *fixture) expire() { f.exec(`UPDATE shards SET lease_until = 0`) }

// states counts messages by state and reason.
func (f *fixture) states() string {
	f.Helper()
	rows, err := f.st.Query(f.Context(), `SELECT state, reason, COUNT(*) FROM messages GROUP BY state, reason ORDER BY state, reason`)
	f.ok(err)
	defer rows.Close()
	out := ""
	for rows.Next() {
		var state, reason string
		var n int
		f.ok(rows.Scan(&state, &reason, &n))
		if reason != "" {
			state += " " + reason
		}
		out += fmt.Sprintf("%s:%d;", state, n)
	}
	f.ok(rows.Err())
	return out
}

func (f *fixture) want(states string) {
	f.Helper()
	if got := f.states(); got != states {
		f.Errorf("messages are %s, want %s", got, states)
	}
}

// provider takes messages, and remembers how often it took each. Like LINE, it knows a key that it
// has seen when it is asked to resolve it.
type provider struct {
	mu       sync.Mutex
	took     map[uuid.UUID]int
	sends    map[uuid.UUID]int
	resolves map[uuid.UUID]int
	// script says what becomes of a try; nil takes everything.
	script func(m *channel.Message, n int) step
	// seen is told of each message that it takes, and whether it was found out about; nil for nobody.
	seen func(m *channel.Message, resolved bool)
	// graves are the calls of processes that died in the middle of them.
	graves chan struct{}
}

// step is what a provider does with one try.
type step struct {
	out channel.Outcome
	// diesBefore, diesBegun and diesTaken end the process before Begin, after it, or after the
	// provider took the message.
	diesBefore, diesBegun, diesTaken bool
	// unbegun returns the outcome without asking to begin.
	unbegun bool
}

func newProvider() *provider {
	return &provider{took: map[uuid.UUID]int{}, sends: map[uuid.UUID]int{}, resolves: map[uuid.UUID]int{}, graves: make(chan struct{})}
}

func (p *provider) next(m *channel.Message, counts map[uuid.UUID]int) step {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts[m.Key]++
	if p.script == nil {
		return step{out: channel.Outcome{End: channel.Sent}}
	}
	return p.script(m, p.sends[m.Key]+p.resolves[m.Key])
}

func (p *provider) take(m *channel.Message, resolved bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took[m.Key] > 0 && (resolved || m.Line != nil) {
		return // LINE knows the key: it takes no message twice, whoever is slow to push it
	}
	p.took[m.Key]++
	if p.seen != nil {
		p.seen(m, resolved)
	}
}

func (p *provider) Send(ctx context.Context, m *channel.Message, begin channel.Begin) channel.Outcome {
	s := p.next(m, p.sends)
	if s.diesBefore {
		<-p.graves
	}
	if s.unbegun {
		return s.out
	}
	if err := begin(ctx); err != nil {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonNotBegun}
	}
	if s.diesBegun {
		<-p.graves
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonInterrupted}
	}
	if s.out.End == channel.Sent || s.diesTaken || s.out.End == channel.Unknown || s.out.Ambiguous {
		p.take(m, false)
	}
	if s.diesTaken {
		<-p.graves
		return channel.Outcome{End: channel.Sent}
	}
	return s.out
}

func (p *provider) Resolve(_ context.Context, m *channel.Message) channel.Outcome {
	s := p.next(m, p.resolves)
	if m.Email != nil {
		return channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost}
	}
	if s.diesBegun || s.diesTaken {
		<-p.graves
	}
	p.take(m, true)
	return channel.Outcome{End: channel.Sent}
}

func (*provider) Check(context.Context) (channel.Account, error) { return channel.Account{}, nil }
func (*provider) Close() error                                   { return nil }

// taken says how many messages the provider took; the test fails if it took one twice.
func (f *fixture) taken() int {
	f.Helper()
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	for key, n := range f.provider.took {
		if n > 1 {
			f.Errorf("message %s was taken %d times", key, n)
		}
	}
	return len(f.provider.took)
}

// size makes shards of so many messages.
func size(n int32) func(*crm.ScenarioSpec) {
	return func(s *crm.ScenarioSpec) { s.Dispatch.ShardSize = n }
}
