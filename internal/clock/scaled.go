// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// MaxFactor is the fastest a Scaled clock may run: a day in 0.864 s.
const MaxFactor = 100_000

// Scaled is business time that runs faster than the machine's, for demos only: a shop whose
// clock runs an hour a second would send a month of messages in twelve minutes.
//
// It is a function of the machine's time alone, so every process that is given the same text
// reads the same business time, also after a restart.
type Scaled struct {
	businessAnchor time.Time
	realAnchor     time.Time
	factor         int64
	machine        clock.PassiveClock
}

var _ Clock = (*Scaled)(nil)

// NewScaled gives a clock that reads business at the real instant anchor and runs factor times
// as fast as the machine's.
func NewScaled(business, anchor time.Time, factor int) (*Scaled, error) {
	if factor < 1 || factor > MaxFactor {
		return nil, fmt.Errorf("clock factor %d is not between 1 and %d", factor, MaxFactor)
	}
	for _, t := range []time.Time{business, anchor} {
		if y := t.UTC().Year(); y < 1970 || y > 9000 {
			return nil, fmt.Errorf("clock time %s is not between the years 1970 and 9000", t)
		}
	}
	return &Scaled{
		businessAnchor: business.UTC().Round(0),
		// Without a monotonic reading both sides of the difference are wall time, which is
		// what other processes see.
		realAnchor: anchor.UTC().Round(0),
		factor:     int64(factor),
		machine:    clock.RealClock{},
	}, nil
}

// Parse reads a clock as flags and environment variables carry it: empty for the machine's, or
// "<business time>@<real time>*<factor>", both times in RFC 3339, for instance
// "2026-11-01T09:00:00+09:00@2026-11-23T05:00:00Z*3600". For demos only.
func Parse(text string) (Clock, error) {
	if text == "" {
		return Real(), nil
	}
	const want = `write it as "2026-11-01T09:00:00+09:00@2026-11-23T05:00:00Z*3600": business time, the real time it is anchored at, and the factor`
	business, rest, ok := strings.Cut(text, "@")
	if !ok {
		return nil, fmt.Errorf("clock %q has no @: %s", text, want)
	}
	anchor, factor, ok := strings.Cut(rest, "*")
	if !ok {
		return nil, fmt.Errorf("clock %q has no *: %s", text, want)
	}
	b, err := time.Parse(time.RFC3339, business)
	if err != nil {
		return nil, fmt.Errorf("clock's business time %q is not RFC 3339: %s", business, want)
	}
	a, err := time.Parse(time.RFC3339, anchor)
	if err != nil {
		return nil, fmt.Errorf("clock's real time %q is not RFC 3339: %s", anchor, want)
	}
	f, err := strconv.Atoi(factor)
	if err != nil {
		return nil, fmt.Errorf("clock factor %q is not a whole number: %s", factor, want)
	}
	return NewScaled(b, a, f)
}

// String is the text that Parse reads, for handing the clock to another process.
func (s *Scaled) String() string {
	return fmt.Sprintf("%s@%s*%d", s.businessAnchor.Format(time.RFC3339Nano), s.realAnchor.Format(time.RFC3339Nano), s.factor)
}

// Now is the business time, in UTC. It stops 292 years from its anchor.
func (s *Scaled) Now() time.Time {
	return s.businessAnchor.Add(multiply(s.machine.Now().Round(0).Sub(s.realAnchor), s.factor))
}

// Since is the business time that has passed since t.
func (s *Scaled) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// Sleep waits for d of business time.
func (s *Scaled) Sleep(d time.Duration) { time.Sleep(s.real(d)) }

// After is the channel of a new timer.
func (s *Scaled) After(d time.Duration) <-chan time.Time { return s.NewTimer(d).C() }

// Tick is the channel of a new ticker that is never stopped.
func (s *Scaled) Tick(d time.Duration) <-chan time.Time { return s.NewTicker(d).C() }

// NewTimer fires once, after d of business time.
func (s *Scaled) NewTimer(d time.Duration) clock.Timer {
	t := &timer{clock: s, c: make(chan time.Time, 1)}
	t.timer = time.AfterFunc(s.real(d), t.fire)
	return t
}

// NewTicker ticks every d of business time; a reader who is slow misses ticks.
func (s *Scaled) NewTicker(d time.Duration) clock.Ticker {
	t := &ticker{c: make(chan time.Time, 1), done: make(chan struct{})}
	real := time.NewTicker(s.real(d))
	go func() {
		defer real.Stop()
		for {
			select {
			case <-t.done:
				return
			case <-real.C:
				select {
				case t.c <- s.Now():
				default:
				}
			}
		}
	}()
	return t
}

// real rounds up, so that who waits for it does not wake before the business moment.
func (s *Scaled) real(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return time.Duration((int64(d)-1)/s.factor + 1)
}

func multiply(d time.Duration, factor int64) time.Duration {
	switch {
	case int64(d) > math.MaxInt64/factor:
		return math.MaxInt64
	case int64(d) < math.MinInt64/factor:
		return math.MinInt64
	}
	return d * time.Duration(factor)
}
