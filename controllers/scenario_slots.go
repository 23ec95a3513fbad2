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
	// occasions says that each slot is about others, so that none stands for another.
	occasions bool
	name      string
	once      bool
	deadline  time.Duration
}

// schedule reads the trigger, and gives nil for one that is none.
func (r *ScenarioReconciler) schedule(scenario *crm.Scenario, a *dispatch.Armed) (*timetable, error) {
	if t := scenario.Spec.Trigger.Date; t != nil {
		zone := t.TimeZoneOr(a.Compiled.Bundle.Shop.TimeZone)
		return &timetable{
			Schedule: a.Compiled.Journey.Calendar.Daily, occasions: true, deadline: t.StartingDeadlineOrDefault(),
			name: "daily " + string(t.TimeOrDefault()) + " " + zone,
		}, nil
	}
	t := scenario.Spec.Trigger.Schedule
	if t == nil {
		return nil, nil
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
	if a.Suspended || plan == nil {
		return time.Time{}, nil
	}
	ledger, err := r.Engine.Slots(ctx, a.Ref, plan.name)
	if err != nil {
		return time.Time{}, err
	}
	now := r.Clock.Now()
	if plan.occasions {
		return r.occur(ctx, scenario, a, plan, ledger.Floor, now)
	}
	d := plan.Decide(ledger.Floor, now, plan.deadline)
	if plan.once && d.Fire == nil && d.Next.IsZero() && d.Missed.Count == 0 {
		return time.Time{}, r.pastAtFirst(ctx, a, plan, ledger)
	}
	if err := r.miss(ctx, scenario, a, d.Missed); err != nil {
		return time.Time{}, err
	}
	if d.Fire != nil {
		if err := r.fire(ctx, scenario, a, *d.Fire); err != nil {
			return time.Time{}, err
		}
	}
	return d.Next.Time, nil
}

// miss records slots that will not run, and says so.
func (r *ScenarioReconciler) miss(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed, missed schedule.Missed) error {
	if missed.Count == 0 {
		return nil
	}
	reason := "not started within startingDeadline of its time, or overtaken by a later slot"
	if err := r.Engine.Miss(ctx, a.Ref, missed.Slots, reason); err != nil {
		return err
	}
	r.Recorder.Eventf(scenario, nil, "Warning", crm.ReasonSlotMissed, "Schedule", "%s", missedMessage(missed))
	return nil
}

// occur lets in at each slot that is not later than its deadline allows: every day is about others, so
// that none stands for another. Those before are missed. It returns the next slot.
func (r *ScenarioReconciler) occur(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed, plan *timetable, floor, now time.Time) (time.Time, error) {
	if tooLate := now.Add(-plan.deadline - 1); tooLate.After(floor) {
		// Not even the latest of those is run.
		if err := r.miss(ctx, scenario, a, plan.Decide(floor, tooLate, 1).Missed); err != nil {
			return time.Time{}, err
		}
		floor = tooLate
	}
	slot := plan.Next(floor)
	for ; !slot.IsZero() && !slot.Time.After(now); slot = plan.Next(slot.Time) {
		if a.Segment != "" {
			if err := r.Segments.RefreshFor(ctx, a.Namespace, a.Segment, slot.Time, a.Compiled.Bundle.Shop); err != nil {
				return time.Time{}, err
			}
		}
		if _, err := r.Engine.Occur(ctx, *a, slot); err != nil {
			return time.Time{}, err
		}
	}
	return slot.Time, nil
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
