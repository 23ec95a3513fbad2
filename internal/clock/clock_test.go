// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"math"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

const example = "2026-11-01T09:00:00+09:00@2026-11-23T05:00:00Z*3600"

func scaled(t *testing.T, text string, machine time.Time) *Scaled {
	t.Helper()
	c, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*Scaled)
	s.machine = clocktesting.NewFakePassiveClock(machine)
	return s
}

func TestScaledNow(t *testing.T) {
	anchor := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	business := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		machine time.Time
		want    time.Time
	}{
		"at the anchor":            {anchor, business},
		"a second is an hour":      {anchor.Add(time.Second), business.Add(time.Hour)},
		"a millisecond is 3.6 s":   {anchor.Add(time.Millisecond), business.Add(3600 * time.Millisecond)},
		"before the anchor":        {anchor.Add(-time.Second), business.Add(-time.Hour)},
		"in another zone":          {anchor.Add(time.Second).In(time.FixedZone("", 9*3600)), business.Add(time.Hour)},
		"after too long it stops":  {anchor.AddDate(1, 0, 0), business.Add(math.MaxInt64)},
		"and before too, it stops": {anchor.AddDate(-1, 0, 0), business.Add(math.MinInt64)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := scaled(t, example, tc.machine).Now(); !got.Equal(tc.want) || got.Location() != time.UTC {
				t.Errorf("Now() = %s, want %s in UTC", got, tc.want)
			}
		})
	}
}

func TestTwoProcessesAgree(t *testing.T) {
	a, err := Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(a.(*Scaled).String())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a.(*Scaled).machine = clocktesting.NewFakePassiveClock(now)
	b.(*Scaled).machine = clocktesting.NewFakePassiveClock(now)
	if !a.Now().Equal(b.Now()) {
		t.Errorf("%s and %s", a.Now(), b.Now())
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a word":             "fast",
		"no factor":          "2026-11-01T09:00:00Z@2026-11-23T05:00:00Z",
		"factor zero":        "2026-11-01T09:00:00Z@2026-11-23T05:00:00Z*0",
		"factor too large":   "2026-11-01T09:00:00Z@2026-11-23T05:00:00Z*100001",
		"factor not whole":   "2026-11-01T09:00:00Z@2026-11-23T05:00:00Z*1.5",
		"business time off":  "2026-11-01@2026-11-23T05:00:00Z*2",
		"real time off":      "2026-11-01T09:00:00Z@now*2",
		"a year long past":   "0000-01-01T00:00:00+01:00@2026-11-23T05:00:00Z*2",
		"real time left out": "2026-11-01T09:00:00Z@*2",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Parse(text); err == nil {
				t.Errorf("Parse(%q) = %v, want an error", text, c)
			}
		})
	}
}

func TestParseEmptyIsTheMachine(t *testing.T) {
	c, err := Parse("")
	if err != nil || c != Real() {
		t.Errorf("Parse(\"\") = %v, %v, want the machine's clock", c, err)
	}
}

func TestRealDuration(t *testing.T) {
	s := scaled(t, example, time.Now())
	tests := map[string]struct {
		d, want time.Duration
	}{
		"an hour":                        {time.Hour, time.Second},
		"rounded up, never back to zero": {1, 1},
		"rounded up":                     {3601, 2},
		"zero":                           {0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := RealDuration(s, tc.d); got != tc.want {
				t.Errorf("RealDuration(%s) = %s, want %s", tc.d, got, tc.want)
			}
		})
	}
	if got := RealDuration(Real(), time.Hour); got != time.Hour {
		t.Errorf("the machine's clock: %s, want an hour", got)
	}
	if got := RealDuration(clocktesting.NewFakeClock(time.Now()), time.Hour); got != time.Hour {
		t.Errorf("a fake clock: %s, want an hour", got)
	}
}

func TestTimers(t *testing.T) {
	s, err := NewScaled(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Now(), 3600)
	if err != nil {
		t.Fatal(err)
	}
	start := s.Now()

	timer := s.NewTimer(time.Minute)
	if at := <-timer.C(); at.Before(start.Add(time.Minute)) {
		t.Errorf("the timer fired at %s, a minute after %s is later", at, start)
	}
	timer.Reset(1000 * time.Hour)
	if !timer.Stop() {
		t.Error("a timer that had not fired could not be stopped")
	}

	ticker := s.NewTicker(time.Minute)
	first := <-ticker.C()
	if second := <-ticker.C(); !second.After(first) {
		t.Errorf("ticks at %s, then %s", first, second)
	}
	ticker.Stop()
	ticker.Stop()

	before := s.Now()
	s.Sleep(time.Minute)
	if got := s.Since(before); got < time.Minute {
		t.Errorf("slept %s, want a minute or more", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example)
	f.Add("")
	f.Add("@*")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil || text == "" {
			return
		}
		again, err := Parse(c.(*Scaled).String())
		if err != nil {
			t.Fatalf("%q was read, and %q was not: %v", text, c, err)
		}
		if again.(*Scaled).String() != c.(*Scaled).String() {
			t.Errorf("%q became %q", c, again)
		}
	})
}
