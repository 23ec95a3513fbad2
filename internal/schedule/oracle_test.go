// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// oracle finds slots the slow way: it watches the clock on the wall minute by minute, and whenever
// the clock shows what it has not shown before, all slots up to there are due.
func oracle(t *testing.T, expr, zone string, from, to time.Time) []time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cron.ParseStandard(expr)
	if err != nil {
		t.Fatal(err)
	}
	spec := parsed.(*cron.SpecSchedule)
	spec.Location = time.UTC

	var out []time.Time
	var shown, due time.Time
	for now := from.Add(-36 * time.Hour).Truncate(time.Minute); !now.After(to); now = now.Add(time.Minute) {
		l := now.In(loc)
		wall := time.Date(l.Year(), l.Month(), l.Day(), l.Hour(), l.Minute(), 0, 0, time.UTC)
		if shown.IsZero() {
			shown, due = wall, spec.Next(wall)
			continue
		}
		if !wall.After(shown) {
			continue
		}
		shown = wall
		if due.After(wall) {
			continue
		}
		due = spec.Next(wall)
		if now.After(from) {
			out = append(out, now)
		}
	}
	return out
}

func mustCron(t *testing.T, expr, zone string) *Schedule {
	t.Helper()
	s, err := Cron(expr, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSlotsAgainstTheClockOnTheWall(t *testing.T) {
	// Each stretch holds a change of the clock, but for Tokyo's.
	stretches := map[string]struct {
		zone string
		from string
	}{
		"Tokyo, a year's end":     {"Asia/Tokyo", "2026-12-29T00:00:00Z"},
		"New York, spring":        {"America/New_York", "2026-03-06T00:00:00Z"},
		"New York, autumn":        {"America/New_York", "2026-10-30T00:00:00Z"},
		"London, spring":          {"Europe/London", "2026-03-27T00:00:00Z"},
		"London, autumn":          {"Europe/London", "2026-10-23T00:00:00Z"},
		"Lord Howe, spring":       {"Australia/Lord_Howe", "2026-10-02T00:00:00Z"},
		"Lord Howe, autumn":       {"Australia/Lord_Howe", "2026-04-03T00:00:00Z"},
		"Beirut skips midnight":   {"Asia/Beirut", "2025-03-28T00:00:00Z"},
		"Apia skips a whole day":  {"Pacific/Apia", "2011-12-28T00:00:00Z"},
		"Kwajalein, the same":     {"Pacific/Kwajalein", "1993-08-19T00:00:00Z"},
		"Kolkata, half an hour":   {"Asia/Kolkata", "2028-02-27T00:00:00Z"},
		"UTC, a leap day":         {"UTC", "2028-02-27T00:00:00Z"},
		"Casablanca, for Ramadan": {"Africa/Casablanca", "2026-02-13T00:00:00Z"},
	}
	expressions := []string{
		"* * * * *", "*/15 * * * *", "0 10 * * *", "30 1 * * *", "30 2 * * *", "15,45 0-3 * * *", "0 0 * * *",
		"0 0 1 * *", "59 23 31 12 *", "30 2 * * sun", "10 2 29 2 *", "0 12 13 * fri", "5 * 1-7 * mon", "@hourly", "@daily",
	}
	for name, tc := range stretches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, _ := time.Parse(time.RFC3339, tc.from)
			to := from.Add(6 * 24 * time.Hour)
			for _, expr := range expressions {
				s := mustCron(t, expr, tc.zone)
				want := oracle(t, expr, tc.zone, from, to)

				got, at := []time.Time{}, from
				for {
					slot := s.Next(at)
					if slot.IsZero() || slot.Time.After(to) {
						break
					}
					if latest := s.latest(slot.Time); latest != slot {
						t.Fatalf("%s: at %v the latest is %v", expr, slot, latest)
					}
					if latest := s.latest(slot.Time.Add(-1)); !latest.Time.Before(slot.Time) {
						t.Fatalf("%s: just before %v the latest is %v", expr, slot, latest)
					}
					got, at = append(got, slot.Time), slot.Time
				}
				if len(got) != len(want) {
					t.Fatalf("%s: %d slots, want %d", expr, len(got), len(want))
				}
				for i := range got {
					if !got[i].Equal(want[i]) {
						t.Fatalf("%s: slot %d at %s, want %s", expr, i, got[i], want[i])
					}
				}
			}
		})
	}
}
