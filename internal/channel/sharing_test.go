// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// row is a channel's row in a store that takes a while to answer.
type row struct {
	mu   sync.Mutex
	rate Rate
	// away makes each question fail.
	away bool
	asks int
}

const answerTime = 2 * time.Millisecond

// holder is a process, whose clock is nobody's business.
type holder struct {
	row  *row
	name string
}

func (h holder) Lease(ctx context.Context, limit, wants float64) (g Grant, err error) {
	err = h.change(ctx, func(r *Rate, now int64) { g = r.Lease(now, h.name, limit, wants) })
	return g, err
}

func (h holder) Cut(ctx context.Context, hold time.Duration) error {
	return h.change(ctx, func(r *Rate, now int64) { r.Cut(now, hold) })
}

func (h holder) change(_ context.Context, change func(r *Rate, now int64)) error {
	time.Sleep(answerTime / 2)
	defer time.Sleep(answerTime / 2)
	h.row.mu.Lock()
	defer h.row.mu.Unlock()
	h.row.asks++
	if h.row.away {
		return errors.New("the store is away")
	}
	change(&h.row.rate, time.Now().UnixMicro())
	return nil
}

// process sends with so many at once, each of which takes a while.
type process struct {
	limiter *Limiter
	workers int
	each    time.Duration
	mu      sync.Mutex
	passed  []time.Time
}

func (r *row) process(name string, perSecond float64, workers int, each time.Duration) *process {
	return &process{limiter: NewLimiter(perSecond, holder{r, name}), workers: workers, each: each}
}

// run sends for a while, and comes back when what is under way has ended.
func run(t *testing.T, d time.Duration, processes ...*process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range processes {
		for range p.workers {
			wg.Go(func() {
				for p.limiter.Wait(ctx) == nil {
					p.mu.Lock()
					p.passed = append(p.passed, time.Now())
					p.mu.Unlock()
					time.Sleep(p.each)
				}
			})
		}
	}
	wg.Wait()
}

// between counts what a process sent from one moment to another.
func (p *process) between(from, to time.Time) (n int) {
	for _, at := range p.passed {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// fullest is the largest number that all together sent within a second.
func fullest(processes ...*process) (n int) {
	var all []time.Time
	for _, p := range processes {
		all = append(all, p.passed...)
	}
	slices.SortFunc(all, time.Time.Compare)
	from := 0
	for i, at := range all {
		for at.Sub(all[from]) >= time.Second {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

func TestRateIsShared(t *testing.T) {
	type sender struct {
		workers int
		each    time.Duration
		// low and high are the part of the rate that it gets.
		low, high float64
	}
	tests := map[string]struct {
		perSecond float64
		senders   []sender
		// reached is the part of the rate that all reach together at least.
		reached float64
	}{
		"one alone":                              {2000, []sender{{128, 0, 0.99, 1}}, 0.99},
		"two of different strength":              {2000, []sender{{128, 0, 0.48, 0.52}, {8, 0, 0.48, 0.52}}, 0.98},
		"four":                                   {2000, []sender{{128, 0, 0.24, 0.26}, {64, 0, 0.24, 0.26}, {16, 0, 0.24, 0.26}, {4, 0, 0.24, 0.26}}, 0.97},
		"what one cannot use the other gets":     {2000, []sender{{128, 0, 0.85, 0.9}, {4, 20 * time.Millisecond, 0.095, 0.1}}, 0.95},
		"a slow one and two that want all":       {1000, []sender{{64, 0, 0.42, 0.46}, {64, 0, 0.42, 0.46}, {1, 10 * time.Millisecond, 0.09, 0.1}}, 0.95},
		"four, each too weak for its fair share": {2000, []sender{{8, 20 * time.Millisecond, 0.19, 0.2}, {8, 20 * time.Millisecond, 0.19, 0.2}, {8, 20 * time.Millisecond, 0.19, 0.2}, {8, 20 * time.Millisecond, 0.19, 0.2}}, 0.78},
		"the default":                            {100, []sender{{16, 30 * time.Millisecond, 0.48, 0.52}, {16, 0, 0.48, 0.52}}, 0.97},
		"turns":                                  {19, []sender{{16, 0, 0.48, 0.52}, {2, 0, 0.48, 0.52}}, 0.98},
		"one a second":                           {1, []sender{{16, 0, 0.2, 0.4}, {2, 0, 0.2, 0.4}, {2, 0, 0.2, 0.4}}, 0.95},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, begin := &row{}, time.Now()
				var all []*process
				for i, s := range tt.senders {
					all = append(all, r.process(string(rune('a'+i)), tt.perSecond, s.workers, s.each))
				}
				const settling, lasting = 2 * time.Second, 20 * time.Second
				run(t, settling+lasting, all...)
				total, whole := 0, tt.perSecond*lasting.Seconds()
				for i, s := range tt.senders {
					n := all[i].between(begin.Add(settling), begin.Add(settling+lasting))
					total += n
					if got := float64(n) / whole; got < s.low || got > s.high {
						t.Errorf("process %d got %.3f of the rate, want %v to %v", i, got, s.low, s.high)
					}
				}
				if got := float64(total) / whole; got < tt.reached || float64(total) > whole+1 {
					t.Errorf("all reached %.3f of the rate, want %v to 1", got, tt.reached)
				}
				if n, most := fullest(all...), tt.perSecond*1.05+float64(len(all)); float64(n) > most {
					t.Errorf("%d left within a second, more than %v", n, most)
				}
				t.Logf("%.3f of the rate, %d in the fullest second, %.1f questions a second", float64(total)/whole, fullest(all...), float64(r.asks)/22)
			})
		})
	}
}

func TestProcessesComeAndDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := &row{}, time.Now()
		first, dies, late := r.process("first", 1000, 32, 0), r.process("dies", 1000, 32, 0), r.process("late", 1000, 32, 0)
		var wg sync.WaitGroup
		wg.Go(func() { run(t, 20*time.Second, first) })
		wg.Go(func() { run(t, 5*time.Second, dies) }) // and gives nothing back
		wg.Go(func() { time.Sleep(10 * time.Second); run(t, 10*time.Second, late) })
		wg.Wait()
		second := func(p *process, n int) int {
			return p.between(begin.Add(time.Duration(n)*time.Second), begin.Add(time.Duration(n+1)*time.Second))
		}
		for name, tt := range map[string]struct{ got, low, high int }{
			"shared":                       {second(first, 3), 480, 520},
			"of the dead one's last share": {second(first, 5), 480, 1000},
			"all again":                    {second(first, 7), 990, 1001},
			"nothing is made up for":       {second(first, 6), 900, 1001},
			"shared with the late one":     {second(late, 11), 480, 520},
		} {
			if tt.got < tt.low || tt.got > tt.high {
				t.Errorf("%s: %d, want %d to %d", name, tt.got, tt.low, tt.high)
			}
		}
		if n := fullest(first, dies, late); n > 1053 {
			t.Errorf("%d left within a second", n)
		}
	})
}

func TestOneHearsAndAllSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := &row{}, time.Now()
		hears, other := r.process("hears", 1000, 32, 0), r.process("other", 1000, 32, 0)
		go func() {
			time.Sleep(5 * time.Second)
			for range 30 { // the answers to what was under way
				hears.limiter.Slow(4 * time.Second)
			}
		}()
		run(t, 60*time.Second, hears, other)
		second := func(p *process, n int) int {
			return p.between(begin.Add(time.Duration(n)*time.Second), begin.Add(time.Duration(n+1)*time.Second))
		}
		if n := second(hears, 5) + second(other, 6) + second(other, 7); n > 10 {
			t.Errorf("%d left while the provider wanted to wait", n)
		}
		if n := second(other, 5); n > 200 {
			t.Errorf("the other one sent %d after the first had heard", n)
		}
		for _, p := range []*process{hears, other} {
			if n := second(p, 10); n < 250 || n > 285 {
				t.Errorf("%d left a little later, want a little more than half of 500", n)
			}
			if n := second(p, 45); n < 490 || n > 510 {
				t.Errorf("%d left when it was over, want 500", n)
			}
		}
		if r.rate.Cuts != 1 {
			t.Errorf("the rate was cut %d times", r.rate.Cuts)
		}
	})
}

func TestAStoreThatIsAwayHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := &row{}, time.Now()
		p := r.process("p", 1000, 8, 0)
		set := func(away bool) { r.mu.Lock(); r.away = away; r.mu.Unlock() }
		go func() {
			time.Sleep(5 * time.Second)
			set(true)
			time.Sleep(5 * time.Second)
			set(false)
		}()
		run(t, 20*time.Second, p)
		if n := p.between(begin.Add(5*time.Second), begin.Add(10*time.Second)); n > 1000 {
			t.Errorf("%d left that nobody knew of", n)
		}
		if n := p.between(begin.Add(11*time.Second), begin.Add(20*time.Second)); n < 8900 {
			t.Errorf("%d left after that", n)
		}
		if n := fullest(p); n > 1051 {
			t.Errorf("%d left within a second", n)
		}
		if r.asks > 110 {
			t.Errorf("a store that is away was asked %d times", r.asks)
		}
	})
}

func TestAFewMessagesTakeNothingFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, begin := &row{}, time.Now()
		busy, now := r.process("busy", 1000, 32, 0), r.process("now and then", 1000, 1, 3*time.Second)
		run(t, 30*time.Second, busy, now)
		if n := busy.between(begin.Add(2*time.Second), begin.Add(30*time.Second)); n < 26000 {
			t.Errorf("the busy one sent %d of 28000", n)
		}
		if n := len(now.passed); n < 9 {
			t.Errorf("the other one sent %d of 10", n)
		}
	})
}
