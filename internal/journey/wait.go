// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"slices"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

// DateKey names a date in a customer's life: one that Kaeru knows, or an attribute.
type DateKey struct {
	Of        crm.DateReference
	Attribute string
}

// wait is what comes before a step: a length of time, a date or an event, and then the next time of day
// and weekday that fit.
type wait struct {
	length time.Duration
	until  *DateKey
	offset time.Duration
	// event is waited for no longer than timeout.
	event   string
	timeout time.Duration

	at       *schedule.TimeOfDay
	weekdays []time.Weekday
}

var weekdays = map[crm.Weekday]time.Weekday{
	"Sun": time.Sunday, "Mon": time.Monday, "Tue": time.Tuesday, "Wed": time.Wednesday, "Thu": time.Thursday, "Fri": time.Friday, "Sat": time.Saturday,
}

func compileWait(spec *crm.Wait, path string) (w wait, err error) {
	if spec == nil {
		return wait{}, nil
	}
	w.length = spec.For.Duration()
	if u := spec.Until; u != nil {
		w.until, w.offset = &DateKey{u.Of, u.Attribute}, u.Offset.Duration()
	}
	if u := spec.UntilEvent; u != nil {
		w.event, w.timeout = u.Name, u.Timeout.Duration()
	}
	if spec.At != "" {
		at, err := schedule.ParseTimeOfDay(string(spec.At))
		if err != nil {
			return wait{}, &Error{Path: path + ".at", Message: err.Error()}
		}
		w.at = &at
	}
	for _, name := range spec.Weekdays {
		w.weekdays = append(w.weekdays, weekdays[name])
	}
	return w, nil
}

// settle is the first moment, at or after one, of the time of day and on a weekday that the wait may end
// at. Where only weekdays are named, it is the same time on the first of them.
func (w *wait) settle(t time.Time, loc *time.Location) time.Time {
	if w.at != nil {
		t = schedule.NextTimeOfDay(t, *w.at, loc)
	}
	if len(w.weekdays) == 0 {
		return t
	}
	for range 7 {
		local := t.In(loc)
		if slices.Contains(w.weekdays, local.Weekday()) {
			break
		}
		next := time.Date(local.Year(), local.Month(), local.Day()+1, local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), loc)
		if w.at != nil {
			// Of a day whose clock leaves it out, it is the first moment after.
			midnight := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, loc)
			next = schedule.NextTimeOfDay(midnight, *w.at, loc)
		}
		t = next.UTC()
	}
	return t
}

// on is the moment that a date, of a day its beginning, says: with a time of day, that time of the day that the offset leads to.
func (w *wait) on(date time.Time, loc *time.Location) time.Time {
	local := date.In(loc)
	days := int(w.offset / day)
	moment := time.Date(local.Year(), local.Month(), local.Day()+days, local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), loc).Add(w.offset % day)
	if w.at != nil {
		local = moment.In(loc)
		moment = time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, loc)
	}
	return w.settle(moment.UTC(), loc)
}

// renewal is the moment of one of the yearly returns of a day: the first that is not over for who comes to
// the step, and for who waits, that which they wait for. 29 February returns on the 28th in other years.
func (w *wait) renewal(began time.Time, s State, loc *time.Location) time.Time {
	local, from := began.In(loc), s.Due
	if !s.Arriving {
		from = from.AddDate(0, -6, 0)
	}
	for year := max(local.Year()+1, from.In(loc).Year()-1); ; year++ {
		day := time.Date(year, local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), loc)
		if day.Month() != local.Month() {
			day = day.AddDate(0, 0, -day.Day())
		}
		if due := w.on(day, loc); !due.Before(from) {
			return due
		}
	}
}

// Listens is the event that a step waits for, and for how long; empty for one that waits for none.
func (s *Step) Listens() (event string, timeout time.Duration) { return s.wait.event, s.wait.timeout }

// Awaits tells whether a step waits for an event.
func (j *Journey) Awaits(event string) bool {
	return slices.ContainsFunc(j.Steps, func(s Step) bool { return s.wait.event == event })
}

// Dates are those that the journey's waits end by.
func (j *Journey) Dates() []DateKey {
	var out []DateKey
	for i := range j.Steps {
		if u := j.Steps[i].wait.until; u != nil && !slices.Contains(out, *u) {
			out = append(out, *u)
		}
	}
	return out
}
