// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ScenarioSpec says who gets which messages, when and in which order.
// +kubebuilder:validation:XValidation:rule="has(self.segmentRef) || !(has(self.trigger.schedule) || has(self.trigger.segmentEntry))",message="segmentRef is needed with a schedule or segmentEntry trigger: name the audience"
// +kubebuilder:validation:XValidation:rule="!has(self.exitOn) || !('Goal' in self.exitOn) || has(self.goal)",message="exitOn Goal needs a goal: add goal or remove Goal from exitOn"
// +kubebuilder:validation:XValidation:rule="!has(self.exitOn) || !('SegmentExit' in self.exitOn) || has(self.segmentRef)",message="exitOn SegmentExit needs a segmentRef: add it or remove SegmentExit from exitOn"
type ScenarioSpec struct {
	// description for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`
	// suspend stops new runs and entries; what has started goes on. Default false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// epoch names the enrolment ledger; a new value starts it afresh, and everybody may enter again.
	// Default: empty.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Epoch string `json:"epoch,omitempty"`
	// segmentRef is the audience; with event triggers, a filter.
	// +optional
	SegmentRef *LocalReference `json:"segmentRef,omitempty"`
	// trigger lets customers in.
	// +required
	Trigger Trigger `json:"trigger"`
	// purpose is what the messages are for, one of the purposes in the shop's ConfigMap. Who has withdrawn
	// it on a channel gets none there. Default: none, and the consent to the channel is enough.
	// +optional
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Purpose string `json:"purpose,omitempty"`
	// priority says who goes first when a cap leaves room for one, 0 to 100, higher first. Default 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Priority *int32 `json:"priority,omitempty"`
	// reentry says whether a customer may enter again. Default: Never.
	// +optional
	Reentry *Reentry `json:"reentry,omitempty"`
	// holdout is the share of those due who get nothing and are counted to the goal. Default: nobody.
	// +optional
	Holdout *Holdout `json:"holdout,omitempty"`
	// coupon gives each who enters a code of a pool.
	// +optional
	Coupon *ScenarioCoupon `json:"coupon,omitempty"`
	// goal is what the scenario is for.
	// +optional
	Goal *Goal `json:"goal,omitempty"`
	// exitOn ends a customer's way early: Goal, SegmentExit. Unsubscribed always holds.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	ExitOn []ExitReason `json:"exitOn,omitempty"`
	// guardrails hold or stop a run that looks wrong.
	// +optional
	Guardrails *Guardrails `json:"guardrails,omitempty"`
	// dispatch says how runs are carried out.
	// +optional
	Dispatch *Dispatch `json:"dispatch,omitempty"`
	// steps run in order. A kustomize patch can change one of them by its name.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Steps []Step `json:"steps"`
}

// ExitReason ends a customer's way through a scenario early.
// +kubebuilder:validation:Enum=Goal;SegmentExit;Unsubscribed
type ExitReason string

// The exit reasons.
const (
	ExitGoal         ExitReason = "Goal"
	ExitSegment      ExitReason = "SegmentExit"
	ExitUnsubscribed ExitReason = "Unsubscribed"
)

// Reentry says whether a customer may enter again.
// +kubebuilder:validation:XValidation:rule="has(self.cooldown) == (self.policy == 'AfterExit')",message="cooldown belongs to policy AfterExit, which needs it"
// +kubebuilder:validation:XValidation:rule="has(self.key) == (self.policy == 'Always')",message="key belongs to policy Always, which needs it"
type Reentry struct {
	// policy is Never, AfterExit (after cooldown) or Always (once a value of key).
	// +required
	// +kubebuilder:validation:Enum=Never;AfterExit;Always
	Policy string `json:"policy"`
	// cooldown is the time after an exit before the next entry.
	// +optional
	Cooldown Duration `json:"cooldown,omitempty"`
	// key is the property of the entry, such as order_id, that tells entries apart.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Key string `json:"key,omitempty"`
}

// Holdout is the share who get nothing.
type Holdout struct {
	// percent of those due, 1 to 50.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=50
	Percent int32 `json:"percent,omitempty"`
}

// ScenarioCoupon gives each who enters a code.
type ScenarioCoupon struct {
	// pool of codes, as imported.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Pool string `json:"pool"`
	// validFor is how long the code holds for the customer, at most as long as the code itself does.
	// +optional
	ValidFor Duration `json:"validFor,omitempty"`
}

// Goal is what a scenario is for.
type Goal struct {
	// event that is the goal. "Order Completed" is any counted order, imported or tracked.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Event string `json:"event"`
	// within is the time after the enrolment in which the event counts.
	// +required
	Within Duration `json:"within"`
	// target is the rate that the goal is met at.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[1-9]?[0-9]([.][0-9]+)?)%$')",message="target lies between 0% and 100%"
	Target Percentage `json:"target,omitempty"`
	// attribution says which message a conversion is credited to: LastTouch, FirstTouch or Linear.
	// Default LastTouch.
	// +optional
	// +kubebuilder:validation:Enum=LastTouch;FirstTouch;Linear
	Attribution string `json:"attribution,omitempty"`
}

// Scenario is who gets which messages, when and in which order.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=scn,categories=kaeru
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 52",message="metadata.name is at most 52 characters: the names of its Jobs are made of it"
// +kubebuilder:printcolumn:name="Segment",type=string,JSONPath=`.spec.segmentRef.name`
// +kubebuilder:printcolumn:name="Enrolled",type=integer,JSONPath=`.status.enrolled`
// +kubebuilder:printcolumn:name="Converted",type=integer,JSONPath=`.status.goal.converted`
// +kubebuilder:printcolumn:name="Next Run",type=string,JSONPath=`.status.nextRun`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Suspend",type=boolean,priority=1,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Last Run",type=string,priority=1,JSONPath=`.status.lastRun.time`
// +kubebuilder:printcolumn:name="Sent",type=integer,priority=1,JSONPath=`.status.lastRun.sent`,description="Messages sent in the last run"
// +kubebuilder:printcolumn:name="Rate",type=string,priority=1,JSONPath=`.status.goal.rate`
// +kubebuilder:printcolumn:name="Revenue",type=string,priority=1,JSONPath=`.status.goal.revenue`
// +kubebuilder:printcolumn:name="Cost",type=string,priority=1,JSONPath=`.status.cost.amount`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Scenario struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what users write. Kaeru never changes it.
	// +required
	Spec ScenarioSpec `json:"spec"`
	// status is what Kaeru saw.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ScenarioStatus `json:"status,omitempty,omitzero"`
}

// ScenarioList is a list of Scenarios.
// +kubebuilder:object:root=true
type ScenarioList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Scenario `json:"items"`
}
