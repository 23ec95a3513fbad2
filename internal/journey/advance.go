// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"strings"
	"time"
)

// State is where a customer is in a journey.
type State struct {
	// Step is the next step, by name. With Arriving it comes next, and its wait begins at Due.
	Step     string
	Arriving bool
	// Due is when something is to be decided again.
	Due time.Time
}

// arriving marks in the database that a step's wait is still to begin.
const arriving = ">"

// Cursor is how a State's step is kept in the database.
func (s State) Cursor() string {
	if s.Arriving {
		return arriving + s.Step
	}
	return s.Step
}

// StateAt reads what Cursor wrote.
func StateAt(cursor string, due time.Time) State {
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
	End      End
	Reason   string
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
	due, isArriving := s.Due, s.Arriving
	for passed := false; at < len(j.Steps); at++ {
		step := &j.Steps[at]
		if isArriving {
			due = step.next(due, f.Now, passed, j.loc)
		}
		if due.After(f.Now) {
			d.State = State{Step: step.Name, Due: due}
			return d
		}
		holds := step.cond == nil || step.cond.holds(f)
		switch {
		case step.Kind == KindExit && holds:
			d.End, d.Reason = Exited, ReasonExitStep
			return d
		case step.Kind == KindExit:
			// an exit that is not taken leaves no trace
		case holds:
			d.Messages = append(d.Messages, Planned{Step: step, Due: due})
		default:
			d.Messages = append(d.Messages, Planned{Step: step, Due: due, Skip: ReasonConditionFalse})
		}
		isArriving, passed = true, true
	}
	d.End = Completed
	return d
}

// next is when the step happens. Waits count from the moment the step before was due, so that a
// second's delay does not move "1d at 12:00" by a day. But where that step was so late that less
// than half of the wait would be left, the wait counts from now: after an outage a journey does not
// catch up by sending everything at once.
func (s *Step) next(due, now time.Time, passed bool, loc *time.Location) time.Time {
	next := s.due(due, loc)
	if passed && next.Sub(now) < s.waitFor/2 {
		return s.due(now, loc)
	}
	return next
}

func (j *Journey) exit(f Facts) string {
	switch {
	case f.Unsubscribed:
		return ReasonUnsubscribed
	case j.exitOnGoal && f.Converted:
		return ReasonGoal
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
		moved[name], moved[arriving+name] = next, next
	}
	return moved
}
