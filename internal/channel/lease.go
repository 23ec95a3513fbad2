// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"context"
	"sync"
	"time"
)

const (
	// leaseTimeout bounds a question to the Leaser.
	leaseTimeout = 5 * time.Second
	// failedWait is how long a Leaser that failed is not asked again.
	failedWait = 250 * time.Millisecond
)

// ask asks for a share, unless that is under way, and returns how long it has to be put off.
func (l *Limiter) ask(now time.Time, starved bool) (putOff time.Duration) {
	if l.asking {
		return 0
	}
	if d := l.notBefore.Sub(now); d > 0 {
		return d
	}
	l.asking = true
	wants := l.wants(now, starved)
	l.asked, l.wanted, l.taken = now, wants, 0
	go l.lease(l.leaser, l.limit, wants)
	return 0
}

// wants is what the process can use: all there is where it uses up what it has, and else a little more than it
// used. Who has not sent for a while begins with a tenth, so that a few messages keep nothing from the others.
func (l *Limiter) wants(now time.Time, starved bool) float64 {
	since := now.Sub(l.asked)
	if l.asked.IsZero() || since > 2*LeaseFor {
		return max(l.limit/10, turnsBelow)
	}
	if l.grant.perSecond <= 0 {
		return max(l.wanted, turnsBelow) // it got nothing yet
	}
	used := float64(l.taken) / max(since, shortly).Seconds()
	if starved || l.grant.counted || used >= 0.85*l.grant.perSecond {
		return l.limit
	}
	// Not all at once: what was used in a short while may have been little by chance.
	return max(1.25*used, 0.6*l.grant.perSecond, turnsBelow)
}

// lease takes a Grant over. What it says counts from when it was asked for as far as it ends, and from when it
// came as far as it begins: the moment it is from lies between.
func (l *Limiter) lease(leaser Leaser, limit, wants float64) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), leaseTimeout)
	defer cancel()
	g, err := leaser.Lease(ctx, limit, wants)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = false
	defer l.wake()
	switch {
	case err != nil:
		l.notBefore = now.Add(failedWait)
		return
	case l.limit != limit || l.leaser != leaser:
		return // it was for what is not so any more
	case g.Hold > 0:
		l.told = now.Add(g.Hold)
		l.hold(l.told)
		return
	case l.until.After(now) && g.PerSecond > 0:
		return // the provider has asked to slow down since
	}
	before := l.grant
	l.grant = grant{perSecond: g.PerSecond, end: asked.Add(g.For), again: asked.Add(g.Again), counted: g.Count > 0, left: g.Count}
	begin := now.Add(g.After)
	if l.grant.counted {
		// A turn counts from when its answer came, so it ends from then too; and there is no other before.
		l.grant.end, l.next = now.Add(g.For), begin
		l.grant.again = l.grant.end
		return
	}
	if g.PerSecond <= 0 {
		l.grant.end = l.grant.again
		l.notBefore = l.grant.again
		return
	}
	if each := time.Duration(float64(time.Second) / g.PerSecond); l.next.After(begin.Add(each)) {
		l.next = begin.Add(each) // of a rate that was lower
	}
	if !before.usable(now) && l.next.Before(begin) {
		l.next = begin
	}
}

// Alone is the Leaser of a channel through which one process sends. The zero value is ready.
type Alone struct {
	mu    sync.Mutex
	begun time.Time
	rate  Rate
}

// Lease gives the whole rate.
func (a *Alone) Lease(_ context.Context, limit, _ float64) (Grant, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rate.Lease(a.now(), "", limit, limit), nil
}

// Cut slows down.
func (a *Alone) Cut(_ context.Context, hold time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rate.Cut(a.now(), hold)
	return nil
}

// now is monotonic, so that it does not matter whether the machine's clock is set.
func (a *Alone) now() int64 {
	if a.begun.IsZero() {
		a.begun = time.Now()
	}
	return time.Since(a.begun).Microseconds()
}
