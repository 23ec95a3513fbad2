// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package schedule says when things happen: the slots of a cron expression in a time zone, one
// moment in time, the time of day a wait ends at, quiet hours. It is pure: every function takes
// the time it needs.
//
// Slots are found on the wall clock and only then turned into moments, so that ten o'clock is
// ten o'clock all year: a slot that the clock skips in spring fires at the first moment after
// the gap, and one that comes twice in autumn fires the first time only.
package schedule

import (
	"fmt"
	"time"
)

// Slot is a moment at which a schedule fires.
type Slot struct {
	// Key names the slot in the ledger: the wall-clock time and its zone, such as
	// "2026-11-23T10:00[Asia/Tokyo]"; for a single moment, that moment in UTC.
	Key string
	// Time is the slot's moment, in UTC.
	Time time.Time
}

// IsZero says that there is no slot.
func (s Slot) IsZero() bool { return s.Time.IsZero() }

// Minutes is the slot's moment in minutes since 1970, for the name of its Job.
func (s Slot) Minutes() int64 { return s.Time.Unix() / 60 }

// Schedule is a sequence of slots.
type Schedule struct{ slots }

// slots is what a kind of schedule knows: neighbours in time.
type slots interface {
	// Next is the first slot after a moment; zero where there is none.
	Next(after time.Time) Slot
	// latest is the last slot at or before a moment; zero where there is none.
	latest(at time.Time) Slot
}

// Cron is the schedule of a five-field cron expression (or @hourly, @daily, @weekly, @monthly,
// @yearly) on the wall clock of an IANA zone; the empty zone is UTC.
func Cron(expr, zone string) (*Schedule, error) {
	e, err := parseExpression(expr)
	if err != nil {
		return nil, err
	}
	loc, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	return &Schedule{&cronSlots{e, loc}}, nil
}

// At is the schedule that fires once.
func At(t time.Time) *Schedule {
	t = t.UTC().Round(0)
	return &Schedule{single{Key: t.Format(time.RFC3339Nano), Time: t}}
}

// ParseAt is At with the time as resources write it, in RFC 3339.
func ParseAt(text string) (*Schedule, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("time %q is not valid: write it with its zone, such as 2026-12-01T10:00:00+09:00", text)
	}
	return At(t), nil
}

type cronSlots struct {
	*expression
	loc *time.Location
}

func (c *cronSlots) Next(after time.Time) Slot {
	wall := c.next(reached(after, c.loc))
	if wall.IsZero() {
		return Slot{}
	}
	// Slots that lie in one gap share a moment, and the last of them stands for all.
	return c.latest(instantOf(wall, c.loc))
}

func (c *cronSlots) latest(at time.Time) Slot {
	wall := c.expression.latest(reached(at, c.loc))
	if wall.IsZero() {
		return Slot{}
	}
	return Slot{
		Key:  wall.Format("2006-01-02T15:04") + "[" + c.loc.String() + "]",
		Time: instantOf(wall, c.loc),
	}
}

type single Slot

func (s single) Next(after time.Time) Slot {
	if s.Time.After(after) {
		return Slot(s)
	}
	return Slot{}
}

func (s single) latest(at time.Time) Slot {
	if s.Time.After(at) {
		return Slot{}
	}
	return Slot(s)
}
