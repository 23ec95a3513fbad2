// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

const (
	// longestValid is how long a text message may be on its way: one of this noon must not come tonight, and
	// Twilio would try for ten hours.
	longestValid = 4 * time.Hour
	// shortestValid is what carriers need in any case.
	shortestValid = time.Minute
)

// validFor is how long a text message may take to arrive, on machine time: until it is of no use any more, or
// until the customer's quiet hours begin.
func (e *Engine) validFor(l *letter, ch *Channel) time.Duration {
	now := e.clock.Now()
	until := now.Add(longestValid)
	if l.expires.Before(until) {
		until = l.expires
	}
	if ch.Quiet != nil {
		zone, _ := l.chosen()
		if begin := ch.Quiet.begins(zone, now); begin.Before(until) {
			until = begin
		}
	}
	return max(clock.RealDuration(e.clock, until.Sub(now)), shortestValid)
}

// begins is when the customer's next quiet hours begin.
func (q *Quiet) begins(zone string, now time.Time) time.Time {
	loc := q.Location
	if zone != "" {
		if own, err := schedule.Zone(zone); err == nil {
			loc = own
		}
	}
	return schedule.NextTimeOfDay(now, q.Start, loc)
}
