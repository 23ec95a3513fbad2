// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	daily := mustCron(t, "0 10 * * *", "Asia/Tokyo")
	ten := moment(t, "2026-11-23T10:00:00+09:00")
	day := 24 * time.Hour
	tests := map[string]struct {
		schedule               *Schedule
		floor, now             time.Time
		deadline               time.Duration
		wantFire               time.Time
		wantMissed, wantListed int
		wantMore               bool
		wantNext, wantFloor    time.Time
	}{
		"not yet":              {daily, ten.Add(-day), ten.Add(-1), time.Hour, time.Time{}, 0, 0, false, ten, ten.Add(-day)},
		"on time":              {daily, ten.Add(-day), ten, time.Hour, ten, 0, 0, false, ten.Add(day), ten},
		"late but within":      {daily, ten.Add(-day), ten.Add(time.Hour), time.Hour, ten, 0, 0, false, ten.Add(day), ten},
		"too late":             {daily, ten.Add(-day), ten.Add(time.Hour + 1), time.Hour, time.Time{}, 1, 1, false, ten.Add(day), ten},
		"once only":            {daily, ten, ten.Add(time.Minute), time.Hour, time.Time{}, 0, 0, false, ten.Add(day), ten},
		"first seen after it":  {daily, ten.Add(time.Second), ten.Add(time.Minute), time.Hour, time.Time{}, 0, 0, false, ten.Add(day), ten.Add(time.Second)},
		"missed ones collapse": {daily, ten.Add(-5 * day), ten, time.Hour, ten, 4, 4, false, ten.Add(day), ten},
		"a long outage":        {daily, ten.Add(-400 * day), ten.Add(2 * time.Hour), time.Hour, time.Time{}, 400, 10, false, ten.Add(day), ten},
		"no deadline":          {daily, ten.Add(-day), ten.Add(23 * time.Hour), 0, ten, 0, 0, false, ten.Add(day), ten},
		"the clock jumped back": {
			daily, ten, ten.Add(-10 * day), time.Hour, time.Time{}, 0, 0, false, ten.Add(day), ten,
		},
		"years of minutes": {
			mustCron(t, "* * * * *", "Asia/Tokyo"), ten.AddDate(-5, 0, 0), ten, time.Hour,
			ten, 1000, 10, true, ten.Add(time.Minute), ten,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := tc.schedule.Decide(tc.floor, tc.now, tc.deadline)
			var fire time.Time
			if d.Fire != nil {
				fire = d.Fire.Time
			}
			if !fire.Equal(tc.wantFire) {
				t.Errorf("fires %s, want %s", fire, tc.wantFire)
			}
			if d.Missed.Count != tc.wantMissed || len(d.Missed.Slots) != tc.wantListed || d.Missed.More != tc.wantMore {
				t.Errorf("missed %d, %d listed, more %t; want %d, %d, %t",
					d.Missed.Count, len(d.Missed.Slots), d.Missed.More, tc.wantMissed, tc.wantListed, tc.wantMore)
			}
			for i := 1; i < len(d.Missed.Slots); i++ {
				if !d.Missed.Slots[i-1].Time.Before(d.Missed.Slots[i].Time) {
					t.Errorf("missed slots out of order: %v", d.Missed.Slots)
				}
			}
			if !d.Next.Time.Equal(tc.wantNext) || !d.Floor.Equal(tc.wantFloor) {
				t.Errorf("next %s, floor %s; want %s, %s", d.Next.Time, d.Floor, tc.wantNext, tc.wantFloor)
			}
		})
	}
}

// Whatever the clock does, and however often the controller is restarted, each slot after the
// schedule was first seen is handled once: it fires or it is missed, and never again.
func TestEverySlotIsHandledOnce(t *testing.T) {
	expressions := []string{"*/15 * * * *", "0 10 * * *", "30 2 * * *", "30 1 * * *", "0 */5 * * mon-fri"}
	zones := []string{"Asia/Tokyo", "America/New_York", "Europe/London", "Australia/Lord_Howe"}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 26))
		expr, zone := expressions[r.IntN(len(expressions))], zones[r.IntN(len(zones))]
		t.Run(fmt.Sprintf("%d: %s in %s", seed, expr, zone), func(t *testing.T) {
			start := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
			deadline := time.Duration(1+r.IntN(180)) * time.Minute
			s := mustCron(t, expr, zone)
			now, furthest, floor := start, start, start
			handled := map[time.Time]string{}
			keys := map[string]bool{}
			var lastFired time.Time

			for range 150 {
				switch r.IntN(10) {
				case 0:
					now = now.Add(-time.Duration(r.IntN(72)) * time.Hour) // the clock jumps back
				case 1:
					now = now.Add(time.Duration(r.IntN(48)) * time.Hour) // an outage
				case 2:
					s = mustCron(t, expr, zone) // a restart
				default:
					now = now.Add(time.Duration(r.IntN(3600)) * time.Second)
				}
				if now.After(furthest) {
					furthest = now
				}
				d := s.Decide(floor, now, deadline)
				if d.Floor.Before(floor) {
					t.Fatalf("the floor sank from %s to %s", floor, d.Floor)
				}
				if d.Missed.More || d.Missed.Count > len(d.Missed.Slots) && len(d.Missed.Slots) < maxListed {
					t.Fatalf("missed %+v", d.Missed)
				}
				handle := func(slot Slot, what string) {
					if handled[slot.Time] != "" || keys[slot.Key] {
						t.Fatalf("%s %s, and before that %s", slot.Key, what, handled[slot.Time])
					}
					handled[slot.Time], keys[slot.Key] = what, true
				}
				// What the list leaves out is found again with a walk.
				if left := d.Missed.Count - len(d.Missed.Slots); left > 0 {
					at := floor
					for range left {
						slot := s.Next(at)
						handle(slot, "missed")
						at = slot.Time
					}
				}
				for _, slot := range d.Missed.Slots {
					handle(slot, "missed")
				}
				if d.Fire != nil {
					handle(*d.Fire, "fired")
					if !d.Fire.Time.After(lastFired) || d.Fire.Time.After(now) || now.Sub(d.Fire.Time) > deadline {
						t.Fatalf("fired %v at %s after %s", d.Fire, now, lastFired)
					}
					lastFired = d.Fire.Time
				}
				if !d.Next.Time.After(now) || !d.Next.Time.After(d.Floor) {
					t.Fatalf("next is %v at %s with floor %s", d.Next, now, d.Floor)
				}
				floor = d.Floor
			}
			want := oracle(t, expr, zone, start, furthest)
			for _, at := range want {
				if handled[at] == "" {
					t.Errorf("the slot at %s was forgotten", at)
				}
			}
			if len(want) != len(handled) {
				t.Errorf("%d slots were handled, want %d", len(handled), len(want))
			}
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	s, err := Cron("0 10 * * *", "America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Decide(now.Add(-time.Hour), now, time.Hour)
	}
}
