// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScenarioStatus is what Kaeru saw of the scenario, counted from message rows.
type ScenarioStatus struct {
	// observedGeneration is the generation of the spec that this status is about; -1 before the first.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready, Dispatching, GuardrailsPassed and GoalMet.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// nextRun is the next slot of the schedule.
	// +optional
	NextRun *metav1.Time `json:"nextRun,omitempty"`
	// lastRun is the latest run of the schedule.
	// +optional
	LastRun *RunStatus `json:"lastRun,omitempty"`
	// lastMissed is the latest slot that was not run, with the reason.
	// +optional
	LastMissed *MissedSlot `json:"lastMissed,omitempty"`
	// active are the Jobs under way.
	// +optional
	// +listType=map
	// +listMapKey=name
	Active []ActiveJob `json:"active,omitempty"`
	// enrolled counts all who were due, those held out included, in this epoch.
	// +optional
	Enrolled *int64 `json:"enrolled,omitempty"`
	// underway counts those who are on their way.
	// +optional
	Underway *int64 `json:"underway,omitempty"`
	// completed counts those who went through all steps.
	// +optional
	Completed *int64 `json:"completed,omitempty"`
	// exited counts those who left early.
	// +optional
	Exited *int64 `json:"exited,omitempty"`
	// holdout counts those who get nothing.
	// +optional
	Holdout *int64 `json:"holdout,omitempty"`
	// goal is how far the scenario got.
	// +optional
	Goal *GoalStatus `json:"goal,omitempty"`
	// cost of what was sent in this epoch.
	// +optional
	Cost *CostStatus `json:"cost,omitempty"`
	// steps in the order of the spec; their five ends add up to what was due.
	// +optional
	// +listType=map
	// +listMapKey=name
	Steps []StepStatus `json:"steps,omitempty"`
	// revision is the hash of the spec, with the content it refers to, that new runs are planned with.
	// +optional
	Revision string `json:"revision,omitempty"`
	// lastHandledRequest is the last value of the annotation crm.kaeru.dev/requestedAt that was acted on.
	// +optional
	LastHandledRequest string `json:"lastHandledRequest,omitempty"`
}

// RunStatus is one run.
type RunStatus struct {
	// time of the slot.
	// +optional
	Time metav1.Time `json:"time,omitempty,omitzero"`
	// job that carries the run.
	// +optional
	Job string `json:"job,omitempty"`
	// planned messages.
	// +optional
	Planned int64 `json:"planned"`
	// sent messages.
	// +optional
	Sent int64 `json:"sent"`
	// failed for good.
	// +optional
	Failed int64 `json:"failed"`
	// skipped counts those not sent, with a reason in the message's row.
	// +optional
	Skipped int64 `json:"skipped"`
	// cancelled before they were sent.
	// +optional
	Cancelled int64 `json:"cancelled"`
	// unknown counts those that the provider may have.
	// +optional
	Unknown int64 `json:"unknown"`
}

// MissedSlot is a slot that was not run.
type MissedSlot struct {
	// time of the slot.
	// +optional
	Time metav1.Time `json:"time,omitempty,omitzero"`
	// reason why, for people.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// ActiveJob names a Job under way.
type ActiveJob struct {
	// name of the Job.
	// +required
	Name string `json:"name"`
}

// GoalStatus is how far the goal was reached.
type GoalStatus struct {
	// converted customers.
	// +optional
	Converted int64 `json:"converted"`
	// rate of the enrolled who converted.
	// +optional
	Rate string `json:"rate,omitempty"`
	// holdoutRate is the rate of those held out who converted.
	// +optional
	HoldoutRate string `json:"holdoutRate,omitempty"`
	// lift of the rate over the holdout's, in points.
	// +optional
	Lift string `json:"lift,omitempty"`
	// confidence that the lift is not chance.
	// +optional
	Confidence string `json:"confidence,omitempty"`
	// revenue of the converting orders.
	// +optional
	Revenue string `json:"revenue,omitempty"`
	// currency of revenue.
	// +optional
	Currency string `json:"currency,omitempty"`
}

// CostStatus is an amount of money.
type CostStatus struct {
	// amount spent.
	// +optional
	Amount string `json:"amount,omitempty"`
	// currency of amount.
	// +optional
	Currency string `json:"currency,omitempty"`
}

// StepStatus counts one step's messages. The five ends sent, failed, skipped, cancelled and unknown
// add up to what was due and has ended.
type StepStatus struct {
	// name of the step.
	// +required
	Name string `json:"name"`
	// channel the step sends through.
	// +optional
	Channel string `json:"channel,omitempty"`
	// pending messages that have no end yet.
	// +optional
	Pending int64 `json:"pending"`
	// sent to the provider, and taken.
	// +optional
	Sent int64 `json:"sent"`
	// fellBack counts those of sent that went out as the step's fallback.
	// +optional
	FellBack int64 `json:"fellBack,omitempty"`
	// delivered counts what arrived, where the channel tells.
	// +optional
	Delivered int64 `json:"delivered"`
	// opened counts mails that were opened; email only.
	// +optional
	Opened int64 `json:"opened"`
	// clicked on a link.
	// +optional
	Clicked int64 `json:"clicked"`
	// converted by this step, by the goal's attribution.
	// +optional
	Converted int64 `json:"converted"`
	// failed for good.
	// +optional
	Failed int64 `json:"failed"`
	// skipped counts those not sent, with a reason in the message's row.
	// +optional
	Skipped int64 `json:"skipped"`
	// cancelled before they were sent.
	// +optional
	Cancelled int64 `json:"cancelled"`
	// unknown counts those that the provider may have.
	// +optional
	Unknown int64 `json:"unknown"`
	// variants of the step.
	// +optional
	// +listType=map
	// +listMapKey=name
	Variants []VariantStatus `json:"variants,omitempty"`
}

// VariantStatus counts one variant's messages.
type VariantStatus struct {
	// name of the variant.
	// +required
	Name string `json:"name"`
	// sent messages.
	// +optional
	Sent int64 `json:"sent"`
	// opened messages.
	// +optional
	Opened int64 `json:"opened"`
	// clicked messages.
	// +optional
	Clicked int64 `json:"clicked"`
	// converted customers.
	// +optional
	Converted int64 `json:"converted"`
	// verdict is Winner, Loser, or absent while it is open.
	// +optional
	Verdict string `json:"verdict,omitempty"`
}
