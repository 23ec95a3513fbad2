// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/api/meta"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/evidence"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// report writes what the rows say into the status. a is nil while the spec cannot be armed.
func (r *ScenarioReconciler) report(ctx context.Context, scenario *crm.Scenario, a *dispatch.Armed) error {
	var seen *report.ScenarioReport
	var last *crm.RunStatus
	err := r.Store.ReadTx(ctx, func(tx *store.Tx) (err error) {
		if seen, err = report.Scenario(ctx, tx, scenario.Namespace, scenario.Name, scenario.Spec.Epoch); err != nil {
			return err
		}
		last, err = r.lastRun(ctx, tx, scenario)
		return err
	})
	if err != nil {
		return err
	}
	missed, err := r.Engine.LastMissed(ctx, dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name})
	if err != nil {
		return err
	}
	s := &scenario.Status
	s.LastRun, s.LastMissed = last, nil
	if missed != nil {
		s.LastMissed = &crm.MissedSlot{Time: *metaTime(missed.Time), Reason: missed.Reason}
	}
	s.Enrolled, s.Underway, s.Completed, s.Exited, s.Holdout = &seen.Enrolled, &seen.Underway, &seen.Completed, &seen.Exited, &seen.Holdout
	currency := ""
	if a != nil {
		currency = a.Compiled.Bundle.Shop.Currency
	} else if s.Cost != nil {
		currency = s.Cost.Currency
	}
	s.Cost = &crm.CostStatus{Amount: seen.Cost.String(), Currency: currency}
	s.Steps = stepStatuses(scenario.Spec.Steps, seen.Steps)
	if a != nil {
		if err := r.variants(ctx, s.Steps, a); err != nil {
			return err
		}
	}
	goalStatus(scenario, seen, currency)
	r.dispatching(scenario, seen)
	return r.coupons(ctx, scenario)
}

// The verdicts about a variant.
const verdictWinner, verdictLoser = "Winner", "Loser"

// variants writes what became of the variants of steps that have any.
func (r *ScenarioReconciler) variants(ctx context.Context, steps []crm.StepStatus, a *dispatch.Armed) error {
	won, err := r.Engine.Verdicts(ctx, *a)
	if err != nil {
		return err
	}
	for i := range steps {
		s, known := a.Compiled.Journey.Step(steps[i].Name)
		if !known || s.Experiment == nil {
			continue
		}
		counts, err := r.Engine.Variants(ctx, a.Ref, a.Epoch, s.Name)
		if err != nil {
			return err
		}
		for _, v := range s.Experiment.Variants {
			c := counts[v.Name]
			status := crm.VariantStatus{Name: v.Name, Sent: c.Sent, Opened: c.Opened, Clicked: c.Clicked, Converted: c.Converted}
			if winner := won[s.Name]; winner != "" {
				status.Verdict = verdictLoser
				if winner == v.Name {
					status.Verdict = verdictWinner
				}
			}
			steps[i].Variants = append(steps[i].Variants, status)
		}
	}
	return nil
}

// coupons says whether there are coupons left for those who may come: on a schedule the members who are
// not in yet, else as many as were given in a week.
func (r *ScenarioReconciler) coupons(ctx context.Context, scenario *crm.Scenario) error {
	to := conditions{&scenario.Status.Conditions, scenario.Generation}
	c := scenario.Spec.Coupon
	if c == nil {
		to.remove(crm.ConditionCouponsAvailable)
		return nil
	}
	segment := ""
	if scenario.Spec.Trigger.Schedule != nil && scenario.Spec.SegmentRef != nil {
		segment = string(scenario.Spec.SegmentRef.Name)
	}
	stock, err := r.Engine.Coupons(ctx, dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name}, scenario.Spec.Epoch, c.Pool, segment)
	if err != nil {
		return err
	}
	reason, message := crm.ReasonCouponsLeft, fmt.Sprintf("pool %s has %d coupons left", c.Pool, stock.Free)
	switch {
	case stock.Free == 0:
		reason, message = crm.ReasonCouponsExhausted, fmt.Sprintf("pool %s has no coupon left: messages that need one are skipped; kaeru import coupons brings more", c.Pool)
	case stock.Free < stock.Needed:
		reason = crm.ReasonCouponsLow
		message += fmt.Sprintf(", and %d may be needed soon: kaeru import coupons brings more", stock.Needed)
	}
	was := meta.FindStatusCondition(scenario.Status.Conditions, crm.ConditionCouponsAvailable)
	if reason != crm.ReasonCouponsLeft && (was == nil || was.Reason != reason) {
		r.Recorder.Eventf(scenario, nil, "Warning", reason, "Coupons", "%s", message)
	}
	to.set(crm.ConditionCouponsAvailable, reason == crm.ReasonCouponsLeft, reason, message)
	return nil
}

func (r *ScenarioReconciler) lastRun(ctx context.Context, q store.Querier, scenario *crm.Scenario) (*crm.RunStatus, error) {
	runs, err := r.Engine.Runs(ctx, dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name})
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	run := runs[len(runs)-1]
	seen, err := report.Run(ctx, q, scenario.Namespace, scenario.Name, run.Name)
	if err != nil {
		return nil, err
	}
	return &crm.RunStatus{
		Time: *metaTime(run.Slot), Job: run.Name, Planned: seen.Planned, Sent: seen.Sent, Failed: seen.Failed,
		Skipped: seen.Skipped, Cancelled: seen.Cancelled, Unknown: seen.Unknown,
	}, nil
}

// stepStatuses are in the order of the spec; steps that are not in it any more follow, as long as
// they have messages.
func stepStatuses(spec []crm.Step, seen map[string]report.StepCounts) []crm.StepStatus {
	var out []crm.StepStatus
	known := map[string]bool{}
	for i := range spec {
		known[spec[i].Name] = true
		switch message := spec[i].Message(); {
		case message != nil:
			_, channel := message.Through()
			out = append(out, stepStatus(spec[i].Name, string(channel), seen[spec[i].Name]))
		case spec[i].Webhook != nil:
			out = append(out, stepStatus(spec[i].Name, "", seen[spec[i].Name]))
		}
	}
	for _, name := range sortedKeys(seen) {
		if !known[name] {
			out = append(out, stepStatus(name, seen[name].Channel, seen[name]))
		}
	}
	return out
}

func stepStatus(name, channel string, c report.StepCounts) crm.StepStatus {
	return crm.StepStatus{
		Name: name, Channel: channel, Pending: c.Pending, Sent: c.Sent, Delivered: c.Delivered, Opened: c.Opened, Clicked: c.Clicked,
		FellBack: c.FellBack, Converted: c.Converted, Failed: c.Failed, Skipped: c.Skipped, Cancelled: c.Cancelled, Unknown: c.Unknown,
	}
}

func goalStatus(scenario *crm.Scenario, seen *report.ScenarioReport, currency string) {
	to := conditions{&scenario.Status.Conditions, scenario.Generation}
	goal := scenario.Spec.Goal
	if goal == nil {
		scenario.Status.Goal = nil
		to.remove(crm.ConditionGoalMet)
		return
	}
	rate := report.Percent(seen.Converted, seen.Enrolled)
	scenario.Status.Goal = &crm.GoalStatus{Converted: seen.Converted, Rate: rate, Revenue: seen.Revenue.String(), Currency: currency}
	if seen.Holdout > 0 {
		s := scenario.Status.Goal
		s.HoldoutRate, s.Lift, s.Confidence = lift(seen)
	}
	if goal.Target == "" || seen.Enrolled == 0 {
		to.remove(crm.ConditionGoalMet)
		return
	}
	met := float64(seen.Converted) >= goal.Target.Fraction()*float64(seen.Enrolled)
	reason := crm.ReasonTargetNotMet
	if met {
		reason = crm.ReasonTargetReached
	}
	to.set(crm.ConditionGoalMet, met, reason, fmt.Sprintf("%s of the enrolled converted; the target is %s", rate, goal.Target))
}

// liftAt is the size of the groups at which the lift is told from chance best.
const liftAt = 1000

// lift holds those who got the messages against those held out.
func lift(seen *report.ScenarioReport) (holdoutRate, points, confidence string) {
	held := evidence.Group{Size: seen.Holdout, Did: seen.HoldoutConverted}
	treated := evidence.Group{Size: seen.Enrolled - seen.Holdout - seen.Cancelled, Did: seen.Converted - seen.HoldoutConverted}
	holdoutRate = report.Percent(held.Did, held.Size)
	if treated.Size <= 0 {
		return holdoutRate, "", ""
	}
	points = fmt.Sprintf("%.1fpt", 100*(treated.Rate()-held.Rate()))
	// Rounded down, as 99.9 % is not certain.
	confidence = strconv.FormatFloat(math.Floor(1000*evidence.Confidence(held, treated, liftAt))/10, 'f', -1, 64) + "%"
	return holdoutRate, points, confidence
}

// dispatching says whether messages are on their way.
func (r *ScenarioReconciler) dispatching(scenario *crm.Scenario, seen *report.ScenarioReport) {
	to := conditions{&scenario.Status.Conditions, scenario.Generation}
	var pending int64
	for _, s := range seen.Steps {
		pending += s.Pending
	}
	switch {
	case len(scenario.Status.Active) > 0:
		to.set(crm.ConditionDispatching, true, crm.ReasonRunActive, "Job "+scenario.Status.Active[0].Name+" is under way")
	case pending > 0:
		to.set(crm.ConditionDispatching, true, crm.ReasonRunActive, "messages are on their way or wait for their channel")
	default:
		to.set(crm.ConditionDispatching, false, crm.ReasonIdle, "no messages are waiting to be sent")
	}
}
