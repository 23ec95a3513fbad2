// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// taken counts how many of so many goroutines get through in d.
func taken(t *testing.T, l *Limiter, workers int, d time.Duration) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	n := 0
	for range workers {
		wg.Go(func() {
			for l.Wait(ctx) == nil {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return n
}

func TestRate(t *testing.T) {
	tests := map[string]struct {
		perSecond float64
		low, high int
	}{
		"100 a second":    {100, 995, 1010},
		"1 a second":      {1, 9, 11},
		"half a second":   {0.5, 5, 6},
		"2,000 a second":  {2000, 19900, 20200},
		"one in 20 hours": {1.0 / 72000, 1, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := taken(t, NewLimiter(tt.perSecond, nil), 4, 10*time.Second); n < tt.low || n > tt.high {
					t.Errorf("%d in 10 seconds, want %d to %d", n, tt.low, tt.high)
				}
			})
		})
	}
}

func TestNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := NewLimiter(0, nil), time.Now()
		for range 100_000 {
			if err := l.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("it took %v", d)
		}
	})
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := NewLimiter(0, nil), time.Now()
		l.Slow(10 * time.Second)
		l.Slow(time.Second) // does not cut the longer one
		l.Slow(-time.Second)
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := l.Wait(short); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("%v after %v: a wait that cannot be in time ends at once", err, time.Since(start))
		}
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 10*time.Second || d > 15*time.Second {
			t.Errorf("held back %v, want 10 to 15 seconds", d)
		}
	})
}

func TestSlowReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, start := NewLimiter(1, nil), time.Now()
		if err := l.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		done := make(chan time.Duration)
		go func() {
			_ = l.Wait(t.Context())
			done <- time.Since(start)
		}()
		synctest.Wait()
		l.Slow(time.Minute)
		if d := <-done; d < time.Minute {
			t.Errorf("through after %v", d)
		}
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := NewLimiter(0, nil)
		l.Slow(time.Hour)
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if err := l.Wait(ctx); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
