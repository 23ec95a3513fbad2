// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// late is how much of its share a process that was kept from sending may make up for. It bounds by how much
// more than the rate leaves in a second.
const late = 50 * time.Millisecond

// Leaser is where processes get their shares of a channel's rate.
type Leaser interface {
	// Lease gives this process its share of limit messages a second, of which it can use wants.
	Lease(ctx context.Context, limit, wants float64) (Grant, error)
	// Cut slows all processes down, and has them send nothing for a while.
	Cut(ctx context.Context, hold time.Duration) error
}

// Limiter lets a process send its share of so many messages a second, on machine time, and slows all processes of
// the channel down when the provider asks for it. Who waits has to wait for the Leaser only where the process
// holds no share: it is asked again while what it gave still lasts.
type Limiter struct {
	// turn is with the one who waits for the next moment; the others queue for it.
	turn chan struct{}

	mu     sync.Mutex
	leaser Leaser
	limit  float64
	// until is when sending goes on that was held back, and told as far as the others know of it.
	until, told time.Time
	cut         time.Time
	grant       grant
	// next is when the next message may leave.
	next time.Time
	// changed is closed when there is something new to wait for.
	changed chan struct{}
	asking  bool
	// notBefore keeps a Leaser that fails from being asked again at once.
	notBefore time.Time
	// asked is when a share was asked for last, wanted what, and taken what has been sent since.
	asked  time.Time
	wanted float64
	taken  int
}

// grant is a Grant on this process's clock.
type grant struct {
	perSecond  float64
	end, again time.Time
	counted    bool
	left       int
}

func (g *grant) usable(at time.Time) bool {
	return g.perSecond > 0 && at.Before(g.end) && (!g.counted || g.left > 0)
}

// NewLimiter allows perSecond messages; 0 or less means no limit, and no question to the Leaser. A nil Leaser is
// for a channel through which no other process sends.
func NewLimiter(perSecond float64, leaser Leaser) *Limiter {
	if leaser == nil {
		leaser = &Alone{}
	}
	return &Limiter{turn: make(chan struct{}, 1), limit: perSecond, leaser: leaser, changed: make(chan struct{})}
}

// SetRate changes the limit for everybody who waits from now on.
func (l *Limiter) SetRate(perSecond float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit != perSecond {
		l.limit, l.grant, l.wanted = perSecond, grant{}, 0
		l.wake()
	}
}

// SetLeaser has the limiter share its rate with other processes.
func (l *Limiter) SetLeaser(leaser Leaser) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaser, l.grant = leaser, grant{}
	l.wake()
}

// Slow holds everybody back for d, and halves the rate that they come back with. Without a rate they come back up
// to half as late again, so that not all do so in the same instant. A shorter Slow does not cut a longer one.
func (l *Limiter) Slow(d time.Duration) {
	if d <= 0 {
		return
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit <= 0 {
		d += rand.N(d/2 + 1)
	}
	l.hold(now.Add(d))
	// Answers to what was under way come by the dozen: the others are told once.
	if l.limit > 0 && (now.Sub(l.cut) >= cutEvery || l.until.Sub(l.told) > cutEvery/2) {
		l.cut, l.told = now, l.until
		go l.tell(l.leaser, d)
	}
}

// tell makes the slowness known. A store that is away lets nothing begin either, so trying for a while will do.
func (l *Limiter) tell(leaser Leaser, d time.Duration) {
	for try := range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
		err := leaser.Cut(ctx, d)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(shortly << try)
	}
}

func (l *Limiter) hold(until time.Time) {
	if until.After(l.until) {
		l.until, l.grant = until, grant{}
		l.wake()
	}
}

func (l *Limiter) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Wait returns when one message may be sent, or with the context's error. A context that would end before then is
// refused as soon as that is known.
func (l *Limiter) Wait(ctx context.Context) error {
	if l.free() {
		return ctx.Err()
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.turn }()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, changed := l.take(time.Now())
		if d <= 0 {
			return nil
		}
		var timer <-chan time.Time
		if d != forGrant {
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
				return context.DeadlineExceeded
			}
			timer = time.After(d)
		}
		select {
		case <-timer:
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// free tells whether there is neither a limit nor anything that holds back.
func (l *Limiter) free() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit <= 0 && !l.until.After(time.Now())
}

// forGrant is the wait for an answer of the Leaser.
const forGrant = time.Duration(1<<63 - 1)

// take lets one message go, or says how long it has to wait, or until what changes.
func (l *Limiter) take(now time.Time) (wait time.Duration, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.until.Sub(now); d > 0 {
		return d, l.changed
	}
	if l.limit <= 0 {
		return 0, nil
	}
	at := l.next
	if least := now.Add(-late); at.Before(least) {
		at = least
	}
	usable := l.grant.usable(now) && l.grant.usable(at)
	// A share that is used up sooner than was thought is too small.
	starved := usable && !l.grant.counted && at.After(now) && l.wanted < l.limit && now.Sub(l.asked) >= shortly
	if !usable || starved || !now.Before(l.grant.again) {
		if d := l.ask(now, starved); !usable && d > 0 {
			return d, l.changed
		}
	}
	switch {
	case !usable:
		return forGrant, l.changed
	case at.After(now):
		return at.Sub(now), l.changed
	}
	l.next = at.Add(time.Duration(float64(time.Second) / l.grant.perSecond))
	l.taken++
	l.grant.left--
	return 0, nil
}
