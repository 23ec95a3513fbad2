// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"strings"
	"testing"
	"time"
)

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNext(t *testing.T) {
	tests := map[string]struct {
		expr, zone, after string
		want, wantKey     string
	}{
		"every day at ten": {
			"0 10 * * *", "Asia/Tokyo", "2026-11-23T00:59:59Z",
			"2026-11-23T10:00:00+09:00", "2026-11-23T10:00[Asia/Tokyo]",
		},
		"strictly after": {
			"0 10 * * *", "Asia/Tokyo", "2026-11-23T10:00:00+09:00",
			"2026-11-24T10:00:00+09:00", "2026-11-24T10:00[Asia/Tokyo]",
		},
		"no zone is UTC": {"0 10 * * *", "", "2026-11-23T00:00:00Z", "2026-11-23T10:00:00Z", "2026-11-23T10:00[UTC]"},
		"skipped in spring, fires after the gap": {
			"30 2 * * *", "America/New_York", "2026-03-08T00:00:00-05:00",
			"2026-03-08T03:00:00-04:00", "2026-03-08T02:30[America/New_York]",
		},
		"twice in autumn, fires the first time": {
			"30 1 * * *", "America/New_York", "2026-11-01T00:00:00-04:00",
			"2026-11-01T01:30:00-04:00", "2026-11-01T01:30[America/New_York]",
		},
		"and not the second": {
			"30 1 * * *", "America/New_York", "2026-11-01T01:30:00-04:00",
			"2026-11-02T01:30:00-05:00", "2026-11-02T01:30[America/New_York]",
		},
		"half an hour in Lord Howe": {
			"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z",
			"2026-10-04T02:30:00+11:00", "2026-10-04T02:15[Australia/Lord_Howe]",
		},
		"a gap that holds three slots fires once": {
			"0,15,30 1 * * *", "Europe/London", "2026-03-29T00:30:00Z",
			"2026-03-29T02:00:00+01:00", "2026-03-29T01:30[Europe/London]",
		},
		"a leap day": {"0 9 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T09:00:00Z", "2028-02-29T09:00[UTC]"},
		"a leap day, eight years apart": {
			"0 9 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T09:00:00Z", "2104-02-29T09:00[UTC]",
		},
		"the year's end":        {"59 23 31 12 *", "Asia/Tokyo", "2026-12-31T14:59:00Z", "2027-12-31T14:59:00Z", "2027-12-31T23:59[Asia/Tokyo]"},
		"a day or a weekday":    {"0 0 13 * fri", "UTC", "2026-11-09T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-13T00:00[UTC]"},
		"the last of the month": {"0 0 31 * *", "UTC", "2026-11-01T00:00:00Z", "2026-12-31T00:00:00Z", "2026-12-31T00:00[UTC]"},
		"monthly":               {"@monthly", "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00[UTC]"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := mustCron(t, tc.expr, tc.zone).Next(moment(t, tc.after))
			if !got.Time.Equal(moment(t, tc.want)) || got.Key != tc.wantKey {
				t.Errorf("got %s at %s, want %s at %s", got.Key, got.Time, tc.wantKey, tc.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]struct{ expr, zone, want string }{
		"a zone inside":        {"TZ=Asia/Tokyo 0 10 * * *", "", "put it in timeZone"},
		"cron's own zone":      {"CRON_TZ=UTC", "", "put it in timeZone"},
		"seconds":              {"0 0 10 * * *", "", "seconds are not supported"},
		"too few fields":       {"0 10 * *", "", "write five fields"},
		"empty":                {"", "", "write five fields"},
		"a word":               {"daily", "", "write five fields"},
		"every":                {"@every 1h", "", "no fixed times"},
		"an unknown shorthand": {"@fortnightly", "", "write five fields"},
		"30 February":          {"0 0 30 2 *", "", "never fires"},
		"31 in short months":   {"0 0 31 4,6,9,11 *", "", "never fires"},
		"an empty list":        {", * * * *", "", "never fires"},
		"no hour":              {"0 , * * *", "", "never fires"},
		"hour 24":              {"0 24 * * *", "", "above maximum"},
		"the machine's zone":   {"0 10 * * *", "Local", "depends on the machine"},
		"an unknown zone":      {"0 10 * * *", "Asia/Tokio", "not known"},
		"a path for a zone":    {"0 10 * * *", "../../etc/passwd", "not known"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Cron(tc.expr, tc.zone)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v, want an error with %q", s, err, tc.want)
			}
		})
	}
}

func TestAt(t *testing.T) {
	s, err := ParseAt("2026-12-01T10:00:00+09:00")
	if err != nil {
		t.Fatal(err)
	}
	same, _ := ParseAt("2026-12-01T01:00:00Z")
	at := moment(t, "2026-12-01T01:00:00Z")
	if s.Next(at.Add(-1)) != same.Next(at.Add(-1)) {
		t.Error("one moment written with two zones gives two slots")
	}
	if got := s.Next(at); !got.IsZero() {
		t.Errorf("after its moment, next is %v", got)
	}
	tests := map[string]struct {
		floor, now  time.Duration
		deadline    time.Duration
		wantFire    bool
		wantMissed  int
		wantNothing bool
	}{
		"before":                         {floor: -2 * time.Hour, now: -time.Hour},
		"at its moment":                  {floor: -time.Hour, now: 0, wantFire: true},
		"a little late":                  {floor: -time.Hour, now: time.Minute, deadline: time.Hour, wantFire: true},
		"too late":                       {floor: -time.Hour, now: 2 * time.Hour, deadline: time.Hour, wantMissed: 1},
		"late without a deadline":        {floor: -time.Hour, now: 1000 * time.Hour, wantFire: true},
		"already past when first seen":   {floor: time.Minute, now: time.Minute, deadline: time.Hour},
		"already fired, the clock back":  {floor: 0, now: -time.Hour},
		"first seen at the very moment":  {floor: 0, now: time.Second},
		"seen again long after it fired": {floor: 0, now: 1000 * time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := s.Decide(at.Add(tc.floor), at.Add(tc.now), tc.deadline)
			if (d.Fire != nil) != tc.wantFire || d.Missed.Count != tc.wantMissed {
				t.Errorf("fire %v, missed %d, want %t, %d", d.Fire, d.Missed.Count, tc.wantFire, tc.wantMissed)
			}
		})
	}
	if _, err := ParseAt("2026-12-01 10:00"); err == nil {
		t.Error("a time without a zone was taken")
	}
}

func FuzzCron(f *testing.F) {
	f.Add("0 10 * * *", "Asia/Tokyo", int64(1_790_000_000))
	f.Add("*/7 1-5 ? jan-mar mon,fri", "Australia/Lord_Howe", int64(1_700_000_000))
	f.Add("TZ=", "", int64(0))
	f.Fuzz(func(t *testing.T, expr, zone string, unix int64) {
		s, err := Cron(expr, zone)
		if err != nil {
			return
		}
		at := time.Unix(unix%10_000_000_000, 0)
		next := s.Next(at)
		if next.IsZero() {
			t.Fatalf("%q in %q never fires after %s", expr, zone, at)
		}
		if !next.Time.After(at) || s.latest(next.Time) != next {
			t.Errorf("%q in %q: next after %s is %v, latest there %v", expr, zone, at, next, s.latest(next.Time))
		}
	})
}
