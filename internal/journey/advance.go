// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"strings"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// State is where a customer is in a journey.
type State struct {
	// Step is the next step, by name. With Arriving it comes next, and its wait begins at Due.
	Step     string
	Arriving bool
	// Listening waits for the step's event until Due.
	Listening bool
	// Due is when the wait ends.
	Due time.Time
	// Since is when Listening began; else zero.
	Since time.Time
}

// arriving marks in the database that a step's wait is still to begin, and listening that it waits
// for an event.
const (
	arriving  = ">"
	listening = "?"
)

// Cursor is how a State's step is kept in the database.
func (s State) Cursor() string {
	switch {
	case s.Arriving:
		return arriving + s.Step
	case s.Listening:
		return ListeningAt(s.Step)
	}
	return s.Step
}

// ListeningAt is the cursor of who waits for the event of a step.
func ListeningAt(step string) string { return listening + step }

// StateAt reads what Cursor wrote.
func StateAt(cursor string, due time.Time) State {
	if name, ok := strings.CutPrefix(cursor, listening); ok {
		return State{Step: name, Listening: true, Due: due}
	}
	name, isArriving := strings.CutPrefix(cursor, arriving)
	return State{Step: name, Arriving: isArriving, Due: due}
}

// Start is the state of who enters at a moment.
func (j *Journey) Start(at time.Time) State {
	return State{Step: j.Steps[0].Name, Arriving: true, Due: at}
}

// End says how a way through a journey ended.
type End string

// The ends of a way.
const (
	Underway  End = "active"
	Completed End = "completed"
	Exited    End = "exited"
)

// Reasons why a way ended early or a step was left out.
const (
	ReasonGoal           = "GoalReached"
	ReasonUnsubscribed   = "Unsubscribed"
	ReasonExitStep       = "ExitStep"
	ReasonConditionFalse = "ConditionFalse"
	ReasonSegmentExit    = "SegmentExit"
	// ReasonNoDate is of a step that waits for a date that the customer has not got, and ReasonDatePassed
	// of one whose moment was over when the customer came to it.
	ReasonNoDate     = "NoDate"
	ReasonDatePassed = "DatePassed"
)

// Planned is a message that is to go out now, or, with Skip, one that was due and does not.
type Planned struct {
	Step *Step
	Due  time.Time
	Skip string
}

// Decision is what happens next.
type Decision struct {
	Messages []Planned
	// Acts are the steps that are done now, and send nothing.
	Acts   []*Step
	End    End
	Reason string
	// State to go on from, with End Underway.
	State State
}

// Advance decides all that is due for one customer at f.Now. Steps without a wait between them
// happen together. A step that is not in the journey any more ends the way: edits are carried over
// by name before (see Resume).
func (j *Journey) Advance(s State, f Facts) Decision {
	d := Decision{End: Underway, State: s}
	at, ok := j.byName[s.Step]
	if !ok {
		d.End = Completed
		return d
	}
	if reason := j.exit(f); reason != "" {
		d.End, d.Reason = Exited, reason
		return d
	}
	for passed := false; at < len(j.Steps); at++ {
		step := &j.Steps[at]
		next, skip := j.waited(step, s, f, passed)
		if skip == ReasonNoDate && passed {
			// What was decided just now may bring it, as a coupon does: the next look will tell.
			d.State = State{Step: step.Name, Arriving: true, Due: s.Due}
			return d
		}
		if next.Listening || next.Due.After(f.Now) {
			d.State = next
			return d
		}
		if skip == "" && step.cond != nil && !step.cond.holds(f) {
			skip = ReasonConditionFalse
		}
		switch {
		case step.Kind == KindExit && skip == "":
			d.End, d.Reason = Exited, ReasonExitStep
			return d
		case (step.Kind == KindUpdate || step.Kind == KindEnter) && skip == "":
			d.Acts = append(d.Acts, step)
		case step.Channel == "":
			// what sends nothing, and is not done, leaves no trace
		default:
			d.Messages = append(d.Messages, Planned{Step: step, Due: next.Due, Skip: skip})
		}
		s, passed = State{Arriving: true, Due: next.Due}, true
		// What happened did so during another wait.
		f.Happened = time.Time{}
	}
	d.End = Completed
	return d
}

// waited is the state of somebody at a step, whose wait is over where it is due and not listening. The
// step is left out where there is a reason to skip it.
func (j *Journey) waited(step *Step, s State, f Facts, passed bool) (next State, skip string) {
	w := &step.wait
	next = State{Step: step.Name, Due: s.Due}
	if w.until != nil {
		return j.untilDate(step, s, f)
	}
	switch {
	case s.Arriving && w.event != "":
		// From now on: what a customer did before the message was sent is no answer to it.
		return State{Step: step.Name, Listening: true, Due: lasting(s.Due, f.Now, w.timeout, passed), Since: f.Now}, ""
	case s.Arriving:
		next.Due = step.next(s.Due, f.Now, passed, j.loc)
	case s.Listening && w.event != "":
		switch {
		case !f.Happened.IsZero() && !f.Happened.Before(s.Since):
			next.Due = w.settle(f.Happened, j.loc)
		case s.Due.After(f.Now):
			return s, ""
		default:
			next.Due = w.settle(s.Due, j.loc)
		}
	}
	return next, ""
}

// untilDate reads the date anew each time: a delivery may have moved. The one that let the customer in
// stays what it was then.
func (j *Journey) untilDate(step *Step, s State, f Facts) (next State, skip string) {
	next = State{Step: step.Name, Due: s.Due}
	date, known := f.Dates[*step.wait.until]
	if day, ok := f.Entry[EntryDate].(string); ok && *step.wait.until == j.occasion {
		if at, err := time.ParseInLocation(time.DateOnly, day, j.loc); err == nil {
			date, known = at, true
		}
	}
	if !known {
		next.Due = f.Now
		return next, ReasonNoDate
	}
	if step.wait.until.Of == crm.DateSubscriptionRenewal && *step.wait.until != j.occasion {
		next.Due = step.wait.renewal(date, s, j.loc)
		return next, ""
	}
	due := step.wait.on(date, j.loc)
	if s.Arriving && due.Before(s.Due) {
		return next, ReasonDatePassed
	}
	next.Due = due
	return next, ""
}

// next is when the step happens. Waits count from the moment the step before was due, so that a
// second's delay does not move "1d at 12:00" by a day. But where that step was so late that less
// than half of the wait would be left, the wait counts from now: after an outage a journey does not
// catch up by sending everything at once.
func (s *Step) next(due, now time.Time, passed bool, loc *time.Location) time.Time {
	w := &s.wait
	if next := w.settle(due.Add(w.length), loc); !passed || next.Sub(now) >= w.length/2 {
		return next
	}
	return w.settle(now.Add(w.length), loc)
}

// lasting is the end of a length of time that counts as a wait does.
func lasting(due, now time.Time, length time.Duration, passed bool) time.Time {
	if end := due.Add(length); !passed || end.Sub(now) >= length/2 {
		return end
	}
	return now.Add(length)
}

func (j *Journey) exit(f Facts) string {
	switch {
	case f.Unsubscribed:
		return ReasonUnsubscribed
	case j.exitOnGoal && f.Converted:
		return ReasonGoal
	case j.exitOnSegment && f.OutOfSegment:
		return ReasonSegmentExit
	}
	return ""
}

// Resume says where those go on who waited for a step of the old journey that the new one has not
// got: at the next step that both have, or at the end. The result maps old cursors to new ones; an
// empty new cursor is the end.
func Resume(before, after *Journey) map[string]string {
	moved := map[string]string{}
	for i := range before.Steps {
		name := before.Steps[i].Name
		if _, still := after.byName[name]; still {
			continue
		}
		next := ""
		for _, later := range before.Steps[i+1:] {
			if _, still := after.byName[later.Name]; still {
				next = arriving + later.Name
				break
			}
		}
		moved[name], moved[arriving+name], moved[listening+name] = next, next, next
	}
	return moved
}
