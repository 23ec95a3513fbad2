// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/schedule"
)

func TestTextsAreNotLate(t *testing.T) {
	night, err := schedule.ParseQuietHours("21:00", "08:00", "Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	quiet := &Quiet{QuietHours: night}
	tests := map[string]struct {
		at, expires time.Duration // after ten in the morning in Tokyo
		quiet       *Quiet
		zone        string
		want        time.Duration
	}{
		"in the morning":             {expires: 24 * time.Hour, want: 4 * time.Hour},
		"of use for an hour":         {expires: time.Hour, want: time.Hour},
		"too late already":           {expires: -time.Hour, want: time.Minute},
		"before a quiet night":       {at: 9 * time.Hour, expires: 24 * time.Hour, quiet: quiet, want: 2 * time.Hour},
		"at the last minute":         {at: 11*time.Hour - 10*time.Second, expires: 24 * time.Hour, quiet: quiet, want: time.Minute},
		"at noon, with quiet nights": {at: 2 * time.Hour, expires: 24 * time.Hour, quiet: quiet, want: 4 * time.Hour},
		"in the customer's zone":     {at: 9 * time.Hour, expires: 24 * time.Hour, quiet: quiet, zone: "Asia/Shanghai", want: 3 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			now := monday.Add(tt.at)
			e := &Engine{clock: clocktesting.NewFakePassiveClock(now)}
			l := &letter{expires: monday.Add(tt.expires)}
			if tt.zone != "" {
				l.who.attributes = []byte(`{"time_zone": "` + tt.zone + `"}`)
			}
			if got := e.validFor(l, &Channel{Quiet: tt.quiet}); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
