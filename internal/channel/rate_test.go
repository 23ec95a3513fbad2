// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"math"
	"testing"
	"time"
)

// at is a moment of the store's clock.
func at(d time.Duration) int64 { return 1_800_000_000_000_000 + d.Microseconds() }

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestEvenly(t *testing.T) {
	tests := map[string]struct {
		whole  float64
		claims []float64
		want   float64
	}{
		"one wants all":            {100, []float64{100}, 100},
		"two want all":             {100, []float64{100, 100}, 50},
		"one wants little":         {100, []float64{100, 10}, 90},
		"two want little":          {100, []float64{100, 100, 10, 20}, 35},
		"all want little":          {100, []float64{10, 20}, 70},
		"nobody wants what is not": {100, []float64{0, 100}, 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := evenly(tt.whole, tt.claims); !near(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestSharesNeverAddUpToMore(t *testing.T) {
	var r Rate
	sum := func() (sum float64) {
		for _, s := range r.Shares {
			sum += s.PerSecond
		}
		return sum
	}
	now := time.Duration(0)
	for i := range 200 {
		now += time.Duration(i*7919%90) * time.Millisecond
		holder, wants := string(rune('a'+i*31%7)), float64(100+i*97%1500)
		if i%50 == 49 {
			r.Cut(at(now), 0)
		}
		rate := 1000 * r.PartNow(at(now))
		g := r.Lease(at(now), holder, 1000, wants)
		// What was granted before a cut lasts until it is over, or asked for again.
		if g.PerSecond > 0 && sum() > rate+1e-6 {
			t.Fatalf("after %d: %v of %v", i, sum(), rate)
		}
	}
}

func TestCut(t *testing.T) {
	type step struct {
		after time.Duration
		hold  time.Duration
		// cut says that it makes a difference to the rate, and want what is left after it.
		cut  bool
		want float64
	}
	tests := map[string][]step{
		"halves":                     {{0, 0, true, 0.5}},
		"once for all answers":       {{0, 0, true, 0.5}, {time.Second, 0, false, 0.5}},
		"again when it does not do":  {{0, 0, true, 0.5}, {2 * time.Second, 0, true, 0.25 + 1.0/60}},
		"comes back evenly":          {{0, 0, true, 0.5}, {15 * time.Second, 0, true, 0.375}},
		"and no further than it was": {{0, 0, true, 0.5}, {time.Hour, 0, true, 0.5}},
		"not while it is held back":  {{0, 20 * time.Second, true, 0.5}, {22 * time.Second, 0, true, 0.25 + 1.0/60}},
		"not to nothing": {{0, 0, true, 0.5}, {2 * time.Second, 0, true, (0.5 + 2.0/60) / 2},
			{2 * time.Second, 0, true, ((0.5+2.0/60)/2 + 2.0/60) / 2}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			var r Rate
			now := time.Duration(0)
			for i, s := range steps {
				now += s.after
				if cut := r.Cut(at(now), s.hold); cut != s.cut {
					t.Errorf("%d: cut %v", i, cut)
				}
				if got := r.PartNow(at(now)); !near(got, s.want) {
					t.Errorf("%d: %v of the rate, want %v", i, got, s.want)
				}
			}
		})
	}
	var r Rate
	for i := range 100 {
		r.Cut(at(time.Duration(i)*cutEvery), cutEvery)
	}
	if r.Part < leastPart {
		t.Errorf("%v of the rate is left", r.Part)
	}
}

// A store that fails over to a machine with another clock must not stop a channel for hours.
func TestTheStoresClockIsSet(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -2 * time.Hour, "ahead": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			var r Rate
			r.Lease(at(0), "a", 1000, 1000)
			if g := r.Lease(at(by), "b", 1000, 1000); !near(g.PerSecond, 1000) {
				t.Errorf("got %v: what was held then is not any more", g.PerSecond)
			}
			r = Rate{}
			r.Cut(at(0), 30*time.Minute)
			if g := r.Lease(at(by), "a", 1000, 1000); g.Hold > 0 || g.PerSecond < 500 {
				t.Errorf("%+v", g)
			}
			r = Rate{}
			r.Lease(at(0), "a", 1, 1)
			if g := r.Lease(at(by), "b", 1, 1); g.After > time.Second {
				t.Errorf("the next turn is in %s", g.After)
			}
		})
	}
}

func TestTurnsAndShares(t *testing.T) {
	var r Rate
	lease := func(d time.Duration, holder string) Grant { return r.Lease(at(d), holder, 25, 25) }
	if g := lease(0, "a"); g.Count != 0 || !near(g.PerSecond, 25) {
		t.Errorf("one has the rate for itself: %+v", g)
	}
	lease(10*time.Millisecond, "b")
	g := lease(20*time.Millisecond, "c")
	if g.Count != 1 || g.After < 900*time.Millisecond {
		t.Errorf("a turn begins when what was given as a share is over: %+v", g)
	}
	if next := lease(30*time.Millisecond, "a"); next.Count != 1 || next.After != g.After+30*time.Millisecond {
		t.Errorf("the next turn is 40 ms later: %+v after %+v", next, g)
	}
	// Two of three have gone.
	if g := lease(3*time.Second, "a"); g.Count != 0 {
		t.Errorf("shares again: %+v", g)
	}
}
