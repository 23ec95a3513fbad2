// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"time"
)

// TimeOfDay is a time on the wall clock, to the minute.
type TimeOfDay struct{ Hour, Minute int }

// ParseTimeOfDay reads "HH:MM", from 00:00 to 23:59.
func ParseTimeOfDay(text string) (TimeOfDay, error) {
	bad := fmt.Errorf("time of day %q is not valid: write it as HH:MM, from 00:00 to 23:59", text)
	if len(text) != 5 || text[2] != ':' {
		return TimeOfDay{}, bad
	}
	for _, i := range []int{0, 1, 3, 4} {
		if text[i] < '0' || text[i] > '9' {
			return TimeOfDay{}, bad
		}
	}
	t := TimeOfDay{int(text[0]-'0')*10 + int(text[1]-'0'), int(text[3]-'0')*10 + int(text[4]-'0')}
	if t.Hour > 23 || t.Minute > 59 {
		return TimeOfDay{}, bad
	}
	return t, nil
}

// String is "HH:MM".
func (d TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", d.Hour, d.Minute) }

func (d TimeOfDay) sinceMidnight() time.Duration {
	return time.Duration(d.Hour)*time.Hour + time.Duration(d.Minute)*time.Minute
}

func midnight(wall time.Time) time.Time {
	return time.Date(wall.Year(), wall.Month(), wall.Day(), 0, 0, 0, 0, time.UTC)
}

// after is the first wall time at or after wall at which a clock that is never changed shows d.
func (d TimeOfDay) after(wall time.Time) time.Time {
	at := midnight(wall).Add(d.sinceMidnight())
	if at.Before(wall) {
		return at.AddDate(0, 0, 1)
	}
	return at
}

// NextTimeOfDay is the first moment at or after t at which the clock in loc shows d. On a day whose
// clock skips d, it is the first moment after the gap.
func NextTimeOfDay(t time.Time, d TimeOfDay, loc *time.Location) time.Time {
	for at := t; ; {
		local := at.In(loc)
		start, end := local.ZoneBounds()
		wall := wallOf(at, loc)
		if at.Equal(start) && !start.IsZero() {
			skipped := wallOf(start.Add(-1), loc).Add(1)
			if d.after(skipped).Before(wall) {
				return at.UTC()
			}
		}
		_, offset := local.Zone()
		next := d.after(wall).Add(-time.Duration(offset) * time.Second)
		if end.IsZero() || next.Before(end) {
			return next
		}
		at = end
	}
}
