// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"time"
)

// QuietHours is a part of every day, on the wall clock of a zone, in which nothing is sent. It
// includes its start and not its end, and may span midnight.
type QuietHours struct {
	Start, End TimeOfDay
	Location   *time.Location
}

// ParseQuietHours reads the three fields of a channel's quiet hours.
func ParseQuietHours(start, end, zone string) (QuietHours, error) {
	var q QuietHours
	var err error
	if q.Start, err = ParseTimeOfDay(start); err != nil {
		return q, fmt.Errorf("start: %w", err)
	}
	if q.End, err = ParseTimeOfDay(end); err != nil {
		return q, fmt.Errorf("end: %w", err)
	}
	if q.Start == q.End {
		return q, fmt.Errorf("start and end are both %s: quiet hours need a beginning and another end", start)
	}
	q.Location, err = Zone(zone)
	return q, err
}

// Contains says whether t is in the quiet hours.
func (q QuietHours) Contains(t time.Time) bool {
	wall := wallOf(t, q.Location)
	at, start, end := wall.Sub(midnight(wall)), q.Start.sinceMidnight(), q.End.sinceMidnight()
	if start < end {
		return start <= at && at < end
	}
	return at >= start || at < end
}

// NextAllowed is the first moment at or after t that is outside the quiet hours.
func (q QuietHours) NextAllowed(t time.Time) time.Time {
	for q.Contains(t) {
		// Strictly after t: the end may lie in a gap that has just brought the clock to t.
		next := NextTimeOfDay(t.Add(1), q.End, q.Location)
		// Where the clock is put forward or back past both edges, it may leave the quiet hours
		// without ever showing their end.
		if _, change := t.In(q.Location).ZoneBounds(); !change.IsZero() && change.Before(next) {
			next = change.UTC()
		}
		t = next
	}
	return t
}
