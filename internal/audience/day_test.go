// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"testing"
	"time"
)

// FuzzDayOf holds that whatever a shop writes into an attribute is a day that exists, or none.
func FuzzDayOf(f *testing.F) {
	for _, text := range []string{"2026-02-28", "2024-02-29T23:59:59.999999999Z", "2026-02-28 10:00+14:59", "1999-12-31T10:00:00-0930", "0000-00-00", "2026-02-28T", "９９９９-01-01"} {
		f.Add(text)
	}
	tokyo, err := location("Asia/Tokyo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		day, ok := dayOf(text, tokyo)
		if !ok {
			return
		}
		if at, err := time.Parse("2006-1-2", day); err != nil && day[:5] != "10000" {
			t.Errorf("%q is %q", text, day)
		} else if written, err := time.Parse(time.DateOnly, text[:10]); err != nil || day[:5] != "10000" && at.Sub(written).Abs() > 24*time.Hour {
			t.Errorf("%q is %q, more than a day off", text, day)
		}
	})
}
