// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	day := 24 * time.Hour
	tests := map[string]struct {
		want    time.Duration
		wantErr bool
	}{
		"90m":                  {want: 90 * time.Minute},
		"36h":                  {want: 36 * time.Hour},
		"30d":                  {want: 30 * day},
		"2w":                   {want: 14 * day},
		"45s":                  {want: 45 * time.Second},
		"1d12h":                {want: 36 * time.Hour},
		"1h1h":                 {want: 2 * time.Hour},
		"0m":                   {},
		"":                     {wantErr: true},
		"d":                    {wantErr: true},
		"30":                   {wantErr: true},
		"1.5h":                 {wantErr: true},
		"-3d":                  {wantErr: true},
		"1y":                   {wantErr: true},
		"1h ":                  {wantErr: true},
		"999999w":              {wantErr: true},
		"15250w15250w":         {wantErr: true},
		"99999999999999999999": {wantErr: true},
		"9223372036854775808s": {wantErr: true},
	}
	for text, tc := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := ParseDuration(text)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("got %s, %v, want %s, error %t", got, err, tc.want, tc.wantErr)
			}
		})
	}
	if got, err := ParseOffset("-3d"); got != -3*day || err != nil {
		t.Errorf("ParseOffset(-3d) = %s, %v", got, err)
	}
	if got, err := ParseOffset("3d"); got != 3*day || err != nil {
		t.Errorf("ParseOffset(3d) = %s, %v", got, err)
	}
	if got, err := ParseOffset("--3d"); err == nil {
		t.Errorf("ParseOffset(--3d) = %s", got)
	}
}

func FuzzParseDuration(f *testing.F) {
	f.Add("1d12h")
	f.Add("9999999999w")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil && (d < 0 || d%time.Second != 0) {
			t.Errorf("%q is %s", text, d)
		}
	})
}

func TestParseTimeOfDay(t *testing.T) {
	for _, text := range []string{"00:00", "09:30", "23:59"} {
		if got, err := ParseTimeOfDay(text); err != nil || got.String() != text {
			t.Errorf("%q became %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "9:30", "24:00", "12:60", "12.30", "ab:cd", "12:30:00", "-1:30"} {
		if got, err := ParseTimeOfDay(text); err == nil {
			t.Errorf("%q was taken as %s", text, got)
		}
	}
}

func TestNextTimeOfDay(t *testing.T) {
	tests := map[string]struct{ at, zone, of, want string }{
		"later today":               {"12:00", "Asia/Tokyo", "2026-11-23T11:00:00+09:00", "2026-11-23T12:00:00+09:00"},
		"now":                       {"12:00", "Asia/Tokyo", "2026-11-23T12:00:00+09:00", "2026-11-23T12:00:00+09:00"},
		"tomorrow":                  {"12:00", "Asia/Tokyo", "2026-11-23T12:00:01+09:00", "2026-11-24T12:00:00+09:00"},
		"the new year":              {"00:00", "Asia/Tokyo", "2026-12-31T23:59:59+09:00", "2027-01-01T00:00:00+09:00"},
		"skipped in spring":         {"02:30", "America/New_York", "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"},
		"right after the gap":       {"02:30", "America/New_York", "2026-03-08T03:00:00-04:00", "2026-03-08T03:00:00-04:00"},
		"a moment after the gap":    {"02:30", "America/New_York", "2026-03-08T03:00:01-04:00", "2026-03-09T02:30:00-04:00"},
		"the first of two":          {"01:30", "America/New_York", "2026-11-01T01:00:00-04:00", "2026-11-01T01:30:00-04:00"},
		"the second, when between":  {"01:30", "America/New_York", "2026-11-01T01:31:00-04:00", "2026-11-01T01:30:00-05:00"},
		"the second is over":        {"01:30", "America/New_York", "2026-11-01T01:31:00-05:00", "2026-11-02T01:30:00-05:00"},
		"Lord Howe, half an hour":   {"02:10", "Australia/Lord_Howe", "2026-10-04T01:59:00+10:30", "2026-10-04T02:30:00+11:00"},
		"London, a day of 25 hours": {"12:00", "Europe/London", "2026-10-24T12:00:01+01:00", "2026-10-25T12:00:00Z"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := ParseTimeOfDay(tc.at)
			if err != nil {
				t.Fatal(err)
			}
			loc, err := Zone(tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got := NextTimeOfDay(moment(t, tc.of), d, loc); !got.Equal(moment(t, tc.want)) {
				t.Errorf("got %s, want %s", got.In(loc), tc.want)
			}
		})
	}
}

func TestQuietHours(t *testing.T) {
	tests := map[string]struct {
		start, end, zone, at string
		want                 string // empty: allowed at once
	}{
		"by day":                  {"21:00", "08:00", "Asia/Tokyo", "2026-11-23T12:00:00+09:00", ""},
		"at the start":            {"21:00", "08:00", "Asia/Tokyo", "2026-11-23T21:00:00+09:00", "2026-11-24T08:00:00+09:00"},
		"just before the start":   {"21:00", "08:00", "Asia/Tokyo", "2026-11-23T20:59:59+09:00", ""},
		"after midnight":          {"21:00", "08:00", "Asia/Tokyo", "2026-11-23T02:00:00+09:00", "2026-11-23T08:00:00+09:00"},
		"at the end":              {"21:00", "08:00", "Asia/Tokyo", "2026-11-23T08:00:00+09:00", ""},
		"within a day":            {"12:00", "13:00", "Asia/Tokyo", "2026-11-23T12:30:00+09:00", "2026-11-23T13:00:00+09:00"},
		"ends in the spring gap":  {"21:00", "02:30", "America/New_York", "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"},
		"ends in autumn, between": {"21:00", "01:30", "America/New_York", "2026-11-01T01:10:00-05:00", "2026-11-01T01:30:00-05:00"},
		"leaps over its end":      {"02:50", "02:10", "America/New_York", "2026-03-08T01:00:00-05:00", "2026-03-09T02:10:00-04:00"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q, err := ParseQuietHours(tc.start, tc.end, tc.zone)
			if err != nil {
				t.Fatal(err)
			}
			at := moment(t, tc.at)
			want := at
			if tc.want != "" {
				want = moment(t, tc.want)
			}
			if got := q.NextAllowed(at); !got.Equal(want) || q.Contains(at) != (tc.want != "") {
				t.Errorf("contains %t, next allowed %s, want %s", q.Contains(at), got.In(q.Location), want)
			}
		})
	}
	for name, bad := range map[string][3]string{
		"no length": {"08:00", "08:00", "UTC"}, "bad start": {"8", "09:00", "UTC"},
		"bad end": {"08:00", "9", "UTC"}, "bad zone": {"08:00", "09:00", "Local"},
	} {
		if _, err := ParseQuietHours(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// NextAllowed skips nothing that is allowed: every minute until then is quiet.
func TestNextAllowedIsTheFirst(t *testing.T) {
	for _, zone := range []string{"Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"} {
		for _, hours := range [][2]string{{"21:00", "08:00"}, {"00:00", "02:30"}, {"01:45", "02:15"}, {"02:20", "01:50"}, {"23:30", "00:30"}} {
			q, err := ParseQuietHours(hours[0], hours[1], zone)
			if err != nil {
				t.Fatal(err)
			}
			for at := time.Date(2026, 1, 1, 0, 7, 0, 0, time.UTC); at.Year() == 2026; at = at.Add(1217 * time.Minute) {
				next := q.NextAllowed(at)
				if next.Before(at) || q.Contains(next) {
					t.Fatalf("%v: at %s next allowed is %s", q, at, next)
				}
				for m := at; m.Before(next); m = m.Add(time.Minute) {
					if !q.Contains(m) {
						t.Fatalf("%v: at %s next allowed is %s, but %s is allowed", q, at, next, m)
					}
				}
			}
		}
	}
}
