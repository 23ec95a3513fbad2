// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// sharing is a store with processes that send through one of its channels.
type sharing struct {
	testing.TB
	dsn string
	mu  sync.Mutex
	// passed are the moments at which messages left, by process.
	passed map[int][]time.Time
	// asks counts the questions to the store.
	asks int
}

func newSharing(t testing.TB) *sharing {
	t.Helper()
	s := &sharing{TB: t, dsn: testenv.Postgres(t), passed: map[int][]time.Time{}}
	if err := s.open().Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// open is a connection of a process of its own.
func (s *sharing) open() *store.Store {
	s.Helper()
	st, err := store.Open(s.Context(), s.dsn, store.MaxConnections(4))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = st.Close() })
	return st
}

// counting counts what a Leaser is asked.
type counting struct {
	channel.Leaser
	s *sharing
}

func (c counting) Lease(ctx context.Context, limit, wants float64) (channel.Grant, error) {
	c.s.mu.Lock()
	c.s.asks++
	c.s.mu.Unlock()
	return c.Leaser.Lease(ctx, limit, wants)
}

func (s *sharing) limiter(perSecond float64) *channel.Limiter {
	s.Helper()
	c := NewChannels(nil)
	c.share(s.open())
	return channel.NewLimiter(perSecond, counting{c.leaser(mail), s})
}

// send has a process send with so many at once, each of which takes a while, until ctx ends.
func (s *sharing) send(ctx context.Context, process int, l *channel.Limiter, workers int, each time.Duration) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for l.Wait(ctx) == nil {
				now := time.Now()
				s.mu.Lock()
				s.passed[process] = append(s.passed[process], now)
				s.mu.Unlock()
				if each > 0 {
					time.Sleep(each) // the provider's time
				}
			}
		})
	}
	wg.Wait()
}

// all are the moments of all processes since one, in order.
func (s *sharing) all(since time.Time) (all []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.passed {
		for _, at := range p {
			if !at.Before(since) {
				all = append(all, at)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// most is the largest number within any second.
func most(all []time.Time) (n int) {
	from := 0
	for i, at := range all {
		for at.Sub(all[from]) >= time.Second {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// between counts what a process sent, from one moment after begin to another.
func (s *sharing) between(process int, begin time.Time, from, to time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.passed[process] {
		if d := at.Sub(begin); d >= from && d < to {
			n++
		}
	}
	return n
}

// What a rate reaches and how even its shares are is held exactly in internal/channel, in time that stands still while
// somebody works. Here the store is a real one and the machine may be busy: nothing may be too much, and much must go.
func TestRateOfAllProcesses(t *testing.T) {
	tests := map[string]struct {
		rate      float64
		processes int
	}{
		"one":                  {500, 1},
		"two":                  {500, 2},
		"four":                 {500, 4},
		"four that take turns": {15, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSharing(t)
			const settled, lasting = time.Second, 3 * time.Second
			var limiters []*channel.Limiter
			for range tt.processes {
				limiters = append(limiters, s.limiter(tt.rate))
			}
			begin := time.Now()
			ctx, cancel := context.WithDeadline(t.Context(), begin.Add(lasting))
			defer cancel()
			var wg sync.WaitGroup
			for i, l := range limiters {
				wg.Go(func() { s.send(ctx, i, l, 16, 0) })
			}
			wg.Wait()
			all := s.all(begin)
			// A goroutine may be kept from writing down when it passed.
			if n, allowed := most(all), 1.15*tt.rate+float64(tt.processes); float64(n) > allowed {
				t.Errorf("%d left in a second, more than %v", n, allowed)
			}
			if got, whole := float64(len(all)), tt.rate*lasting.Seconds(); got < whole/2 || got > 1.05*whole+float64(tt.processes) {
				t.Errorf("%v left in %s, want %v", got, lasting, whole)
			}
			for i := range limiters {
				got, fair := s.between(i, begin, settled, lasting), tt.rate/float64(tt.processes)*(lasting-settled).Seconds()
				if float64(got) < fair/3 {
					t.Errorf("process %d sent %d, and %v would be fair", i, got, fair)
				}
			}
			if perSecond := float64(s.asks) / lasting.Seconds(); tt.rate > 100 && perSecond > 15*float64(tt.processes) {
				t.Errorf("the store was asked %v times a second", perSecond)
			}
			t.Logf("%d left, %d in the fullest second, with %d questions", len(all), most(all), s.asks)
		})
	}
}

func TestADeadProcessLeavesItsShare(t *testing.T) {
	s := newSharing(t)
	begin := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), begin.Add(6*time.Second))
	defer cancel()
	dies, die := context.WithDeadline(ctx, begin.Add(2*time.Second))
	defer die()
	var wg sync.WaitGroup
	lives, dead := s.limiter(400), s.limiter(400)
	wg.Go(func() { s.send(ctx, 0, lives, 16, 0) })
	wg.Go(func() { s.send(dies, 1, dead, 16, 0) }) // and gives nothing back
	wg.Wait()
	with, without := s.between(0, begin, time.Second, 2*time.Second), s.between(0, begin, 4*time.Second, 6*time.Second)/2
	if with > 260 || without < with*5/4 {
		t.Errorf("%d a second beside another, %d when that was dead", with, without)
	}
	if n := most(s.all(begin)); n > 460+2 {
		t.Errorf("%d left in a second: what the dead one did not send is not made up for", n)
	}
}

func TestOneHearsOfTooMuchAndAllSlowDown(t *testing.T) {
	s := newSharing(t)
	hears, other := s.limiter(400), s.limiter(400)
	begin := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), begin.Add(7*time.Second))
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.send(ctx, 0, hears, 16, 0) })
	wg.Go(func() { s.send(ctx, 1, other, 16, 0) })
	time.Sleep(time.Until(begin.Add(2 * time.Second)))
	for range 50 {
		hears.Slow(2 * time.Second)
	}
	heard := time.Since(begin)
	wg.Wait()
	for i := range 2 {
		if n := s.between(i, begin, heard+time.Second, heard+1900*time.Millisecond); n > 0 {
			t.Errorf("process %d sent %d while the provider wanted to wait", i, n)
		}
	}
	after := func(i int) int { return s.between(i, begin, heard+3*time.Second, heard+4*time.Second) }
	if a, b := after(0), after(1); a+b > 235 || a+b < 50 {
		t.Errorf("they sent %d and %d in a second after that, of 200", a, b)
	}
	var state string
	if err := s.open().QueryRow(t.Context(), `SELECT state FROM channel_rates`).Scan(&state); err != nil {
		t.Fatal(err)
	}
	var r channel.Rate
	if err := json.Unmarshal([]byte(state), &r); err != nil || r.Cuts != 1 {
		t.Errorf("the rate is %s: %v", state, err)
	}
}

// A store that fails over to a machine whose clock is hours behind goes on, and gives nobody more.
func TestTheStoresClockIsSetBack(t *testing.T) {
	s := newSharing(t)
	s.clock("2 hours")
	a, b := s.limiter(400), s.limiter(400)
	begin := time.Now()
	ctx, cancel := context.WithDeadline(t.Context(), begin.Add(5*time.Second))
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.send(ctx, 0, a, 16, 0) })
	wg.Go(func() { s.send(ctx, 1, b, 16, 0) })
	time.Sleep(time.Until(begin.Add(2 * time.Second)))
	s.clock("-2 hours")
	set := time.Since(begin)
	wg.Wait()
	for i := range 2 {
		if n := s.between(i, begin, set+time.Second, set+2*time.Second); n < 80 {
			t.Errorf("process %d sent %d in a second after that", i, n)
		}
	}
	// Until both have asked again, one may have the share that the other still has.
	if n := most(s.all(begin.Add(set + time.Second))); n > 460+2 {
		t.Errorf("%d left in a second", n)
	}
}

// What leaves at 2,000 a second, and what that asks of the store: each question is a transaction of two statements.
func BenchmarkRateOfAllProcesses(b *testing.B) {
	for _, processes := range []int{1, 2, 4} {
		b.Run(strconv.Itoa(processes), func(b *testing.B) {
			const rate, settled, lasting = 2000.0, time.Second, 6 * time.Second
			for range b.N {
				s := newSharing(b)
				begin := time.Now()
				ctx, cancel := context.WithDeadline(b.Context(), begin.Add(lasting))
				var wg sync.WaitGroup
				for i := range processes {
					l := s.limiter(rate)
					wg.Go(func() { s.send(ctx, i, l, 64, 5*time.Millisecond) })
				}
				wg.Wait()
				cancel()
				all := s.all(begin)
				b.ReportMetric(float64(len(s.all(begin.Add(settled))))/(lasting-settled).Seconds()/rate*100, "%-of-rate")
				b.ReportMetric(float64(most(all))/rate*100, "%-in-fullest-second")
				b.ReportMetric(2*float64(s.asks)/float64(len(all))*1000, "statements/1000-messages")
			}
		})
	}
}
