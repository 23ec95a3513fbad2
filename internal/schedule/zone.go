// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"sync"
	"time"

	// The image has no /usr/share/zoneinfo, and a shop's ten o'clock must not depend on it.
	_ "time/tzdata"
)

// zones holds what Zone has found; it can only grow to the number of zones there are.
var zones sync.Map

// Zone finds an IANA time zone. The empty name is UTC; "Local" is refused, since what it means
// depends on the machine.
func Zone(name string) (*time.Location, error) {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	if name == "Local" {
		return nil, fmt.Errorf("time zone %q depends on the machine: write an IANA name such as Asia/Tokyo", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q is not known: write an IANA name such as Asia/Tokyo", name)
	}
	zones.Store(name, loc)
	return loc, nil
}

// A wall time is what a clock on the wall shows, without a zone. It is held as a time.Time whose
// fields are the clock's and whose zone is UTC, so that comparing and adding are plain arithmetic.

// wallOf is what the clock in loc shows at t.
func wallOf(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instantOf is the first moment at which the clock in loc has come to wall. A wall time that is
// skipped in spring is reached at the first moment after the gap; one that comes twice in
// autumn, at its first. It never decreases as wall grows, which is what slots rely on.
func instantOf(wall time.Time, loc *time.Location) time.Time {
	// No zone was ever more than 16 hours from UTC: a day before, the clock is not there yet.
	t := wall.Add(-24 * time.Hour)
	for {
		local := t.In(loc)
		_, offset := local.Zone()
		_, end := local.ZoneBounds()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if at.Before(t) {
			return t.UTC() // wall lies in the gap that ended at t
		}
		if end.IsZero() || at.Before(end) {
			return at
		}
		t = end
	}
}

// reached is the latest wall time that the clock in loc has shown at or before t. In the hour that
// comes twice it is not what the clock shows, but what it showed before it was put back.
func reached(t time.Time, loc *time.Location) time.Time {
	latest := wallOf(t, loc)
	for at := t.In(loc); ; {
		start, _ := at.ZoneBounds()
		if start.IsZero() || t.Sub(start) > 48*time.Hour {
			return latest
		}
		// The moment of change itself belongs to the new zone.
		at = start.Add(-time.Nanosecond)
		if w := wallOf(at, loc); w.After(latest) {
			latest = w
		}
	}
}
