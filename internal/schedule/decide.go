// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"time"
)

const (
	// maxListed bounds Missed.Slots, maxCounted bounds Missed.Count: a schedule that wakes after
	// years says "more than 1000" rather than walk them all.
	maxListed  = 10
	maxCounted = 1000
)

// Decision is what is to be done about a schedule now.
type Decision struct {
	// Fire is the slot to run, or nil.
	Fire *Slot
	// Missed are the slots that passed and will not run.
	Missed Missed
	// Next is the slot to wake up for, zero where none will come.
	Next Slot
	// Floor is the floor to go on with once the decision is recorded.
	Floor time.Time
}

// Missed tells of slots that passed without a run.
type Missed struct {
	// Slots are the latest ones, oldest first, at most ten.
	Slots []Slot
	// Count is how many there are; where More is set, there are more.
	Count int
	More  bool
}

// Decide finds the slot to run at now. floor is the later of the last slot that was handled and
// the moment this schedule was first seen: no slot at or before it ever fires, whatever the clock
// or an edited expression says. Missed slots collapse into the latest; if that is later than
// startingDeadline, it is missed as well. A startingDeadline of zero or less is none.
func (s *Schedule) Decide(floor, now time.Time, startingDeadline time.Duration) Decision {
	d := Decision{Floor: floor, Next: s.Next(later(floor, now))}
	last := s.latest(now)
	if last.IsZero() || !last.Time.After(floor) {
		return d
	}
	d.Floor = last.Time
	earlier := last
	if startingDeadline > 0 && now.Sub(last.Time) > startingDeadline {
		d.Missed.add(last)
	} else {
		d.Fire = &last
	}
	for {
		earlier = s.latest(earlier.Time.Add(-1))
		if earlier.IsZero() || !earlier.Time.After(floor) {
			break
		}
		if d.Missed.Count == maxCounted {
			d.Missed.More = true
			break
		}
		d.Missed.add(earlier)
	}
	slices.Reverse(d.Missed.Slots)
	return d
}

func (m *Missed) add(s Slot) {
	m.Count++
	if len(m.Slots) < maxListed {
		m.Slots = append(m.Slots, s)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
