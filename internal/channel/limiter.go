// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter lets a channel send so many messages a second, on machine time, and holds all of them
// back for a while when the provider asks for it.
type Limiter struct {
	bucket *rate.Limiter

	mu    sync.Mutex
	until time.Time
}

// NewLimiter allows perSecond messages; 0 or less means no limit. The bucket holds a tenth of a
// second, so that a channel that was idle does not burst.
func NewLimiter(perSecond float64) *Limiter {
	l := &Limiter{bucket: rate.NewLimiter(rate.Inf, 1)}
	l.SetRate(perSecond)
	return l
}

// SetRate changes the limit for everybody who waits from now on.
func (l *Limiter) SetRate(perSecond float64) {
	if perSecond <= 0 {
		l.bucket.SetLimit(rate.Inf)
		return
	}
	l.bucket.SetLimit(rate.Limit(perSecond))
	l.bucket.SetBurst(max(1, int(perSecond/10)))
}

// Slow holds everybody back for d and up to half as much again: the jitter keeps several processes
// from coming back in the same instant. A shorter Slow does not cut a longer one.
func (l *Limiter) Slow(d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d + rand.N(d/2+1))
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.until) {
		l.until = until
	}
}

// Wait returns when one message may be sent, or with the context's error. A context that would end
// before then is refused at once.
func (l *Limiter) Wait(ctx context.Context) error {
	for {
		if err := l.waitSlow(ctx); err != nil {
			return err
		}
		if err := l.bucket.Wait(ctx); err != nil {
			return err
		}
		// A Slow that came while this one waited for its token holds it back too.
		if l.held() <= 0 {
			return nil
		}
	}
}

func (l *Limiter) waitSlow(ctx context.Context) error {
	for {
		d := l.held()
		if d <= 0 {
			return ctx.Err()
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
			return context.DeadlineExceeded
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

func (l *Limiter) held() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until)
}
