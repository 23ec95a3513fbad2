// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

func TestQuotaEnds(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, japan) }
	tests := map[string]struct {
		limit, used, planned int64
		now                  time.Time
		want                 int // day of the month; 0 for none
	}{
		"nothing sent":                      {30000, 0, 0, day(15), 0},
		"within the month":                  {30000, 10000, 0, day(16), 0},
		"not within it":                     {30000, 20000, 0, day(16), 23},
		"as much as just fits":              {30000, 15000, 0, day(16), 0},
		"with what is planned":              {30000, 10000, 15000, day(16), 23},
		"by what is planned":                {30000, 10000, 20000, day(16), 16},
		"one campaign on the first":         {30000, 5000, 0, day(1).Add(time.Hour), 0},
		"two campaigns on the first":        {30000, 12000, 0, day(1).Add(time.Hour), 11},
		"in the last hour, all but reached": {30000, 29000, 0, day(30).Add(23 * time.Hour), 0},
		"in Japan the month has begun":      {200, 100, 0, time.Date(2026, 10, 31, 15, 0, 0, 0, time.UTC), 8},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := quotaEnds(channel.Quota{Limit: &tt.limit, Used: tt.used}, tt.planned, tt.now)
			switch {
			case tt.want == 0 && !got.IsZero(), tt.want != 0 && (got.IsZero() || got.In(japan).Day() != tt.want):
				t.Errorf("%v, want day %d", got, tt.want)
			}
		})
	}
}

func TestMended(t *testing.T) {
	limited := func(n int64) *checked {
		return &checked{account: channel.Account{Quota: &channel.Quota{Limit: &n}}}
	}
	unlimited := &checked{account: channel.Account{Quota: &channel.Quota{}}}
	for name, tt := range map[string]struct {
		before, now *checked
		want        bool
	}{
		"first look, some are left": {nil, limited(5000), true},
		"first look, none is left":  {nil, limited(0), false},
		"as it was":                 {limited(200), limited(200), false},
		"a larger plan":             {limited(200), limited(5000), true},
		"a smaller one":             {limited(5000), limited(200), false},
		"no limit now":              {limited(200), unlimited, true},
		"not reached":               {limited(200), &checked{err: &channel.CheckError{}}, false},
	} {
		if got := mended(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNumbersInSentences(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 30000: "30,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for day, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 22: "22nd", 23: "23rd", 24: "24th"} {
		if got := ordinal(day); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
