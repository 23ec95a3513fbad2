// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

// SegmentRefresher brings a segment's membership up to date.
type SegmentRefresher interface {
	// RefreshFor makes the membership at least as young as a moment. waitingError where it cannot be
	// done yet.
	RefreshFor(ctx context.Context, namespace, name string, moment time.Time, shop journey.Shop) error
}

// timetable is a Scenario's schedule with the name it has in the ledger.
type timetable struct {
	*schedule.Schedule
	name     string
	once     bool
	deadline time.Duration
}

// schedule reads the trigger.
func (r *ScenarioReconciler) schedule(scenario *crm.Scenario, a *dispatch.Armed) (*timetable, error) {
	t := scenario.Spec.Trigger.Schedule
	if t == nil {
		return nil, stalled(crm.ReasonUnsupported, "spec.trigger: only schedule is supported by this version of Kaeru")
	}
	plan := &timetable{deadline: t.StartingDeadlineOrDefault()}
	var err error
	if t.At != "" {
		plan.once, plan.name = true, "at "+t.At
		if plan.Schedule, err = schedule.ParseAt(t.At); err != nil {
			return nil, stalled(crm.ReasonScheduleInvalid, "spec.trigger.schedule.at: %s", err)
		}
		return plan, nil
	}
	zone := t.TimeZoneOr(a.Compiled.Bundle.Shop.TimeZone)
	plan.name = "cron " + t.Cron + " " + zone
	if plan.Schedule, err = schedule.Cron(t.Cron, zone); err != nil {
		return nil, stalled(crm.ReasonScheduleInvalid, "spec.trigger.schedule: %s", err)
	}
	return plan, nil
}

// slots decides about the schedule's slots, and returns the next one to wake up for. The ledger is
// in the database and is read each time; whoever claims a slot there first runs it.
func (r *ScenarioReconciler) slots(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed, plan *timetable) (time.Time, error) {
	if a.Suspended {
		return time.Time{}, nil
	}
	ledger, err := r.Engine.Slots(ctx, a.Ref, plan.name)
	if err != nil {
		return time.Time{}, err
	}
	now := r.Clock.Now()
	d := plan.Decide(ledger.Floor, now, plan.deadline)
	if plan.once && d.Fire == nil && d.Next.IsZero() && d.Missed.Count == 0 {
		return time.Time{}, r.pastAtFirst(ctx, a, plan, ledger)
	}
	if d.Missed.Count > 0 {
		reason := "not started within startingDeadline of its time, or overtaken by a later slot"
		if err := r.Engine.Miss(ctx, a.Ref, d.Missed.Slots, reason); err != nil {
			return time.Time{}, err
		}
		r.Recorder.Eventf(scenario, nil, "Warning", crm.ReasonSlotMissed, "Schedule", "%s", missedMessage(d.Missed))
	}
	if d.Fire != nil {
		if err := r.fire(ctx, scenario, a, *d.Fire); err != nil {
			return time.Time{}, err
		}
	}
	return d.Next.Time, nil
}

// pastAtFirst tells of a single moment that had passed when the Scenario was first seen.
func (r *ScenarioReconciler) pastAtFirst(ctx context.Context, a *dispatch.Armed, plan *timetable, ledger dispatch.Ledger) error {
	slot := plan.Next(time.Time{})
	if slot.IsZero() || slot.Time.After(ledger.FirstSeen) {
		return nil
	}
	return r.Engine.Miss(ctx, a.Ref, []schedule.Slot{slot}, "already past when the Scenario was first seen: not sent; write a time that is still to come")
}

// fire begins the run of a slot, on a membership of the slot's own time or later.
func (r *ScenarioReconciler) fire(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed, slot schedule.Slot) error {
	if err := r.Segments.RefreshFor(ctx, a.Namespace, a.Segment, slot.Time, a.Compiled.Bundle.Shop); err != nil {
		return err
	}
	fired, err := r.Engine.Fire(ctx, *a, slot)
	if err != nil || !fired {
		return err
	}
	r.Recorder.Eventf(scenario, nil, "Normal", crm.ReasonRunPlanned, "Schedule", "run %s began for the slot of %s",
		dispatch.RunName(a.Name, slot), slot.Time.Format(time.RFC3339))
	return nil
}

func missedMessage(m schedule.Missed) string {
	more := ""
	if m.More {
		more = "more than "
	}
	last := m.Slots[len(m.Slots)-1]
	return fmt.Sprintf("%s%d slots were missed and will not run, the latest at %s", more, m.Count, last.Time.Format(time.RFC3339))
}
