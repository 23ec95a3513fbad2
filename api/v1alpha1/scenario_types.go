// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ScenarioSpec says who gets which messages, when and in which order.
// +kubebuilder:validation:XValidation:rule="has(self.segmentRef) || !(has(self.trigger.schedule) || has(self.trigger.segmentEntry))",message="segmentRef is needed with a schedule or segmentEntry trigger: name the audience"
// +kubebuilder:validation:XValidation:rule="!has(self.exitOn) || !('Goal' in self.exitOn) || has(self.goal)",message="exitOn Goal needs a goal"
// +kubebuilder:validation:XValidation:rule="!has(self.exitOn) || !('SegmentExit' in self.exitOn) || has(self.segmentRef)",message="exitOn SegmentExit needs a segmentRef"
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

// Trigger lets customers in.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[has(self.schedule), has(self.segmentEntry), has(self.event), has(self.productEvent), has(self.date)].exists_one(x, x)",message="set exactly one of schedule, segmentEntry, event, productEvent, date"
type Trigger struct {
	// schedule lets the whole audience in at set times.
	// +optional
	Schedule *ScheduleTrigger `json:"schedule,omitempty"`
	// segmentEntry lets in who enters the segment after the Scenario was armed.
	// +optional
	SegmentEntry *SegmentEntryTrigger `json:"segmentEntry,omitempty"`
	// event lets in who does something.
	// +optional
	Event *EventTrigger `json:"event,omitempty"`
	// productEvent lets in those whom a product's news concerns.
	// +optional
	ProductEvent *ProductEventTrigger `json:"productEvent,omitempty"`
	// date lets in around a date of the customer's own.
	// +optional
	Date *DateTrigger `json:"date,omitempty"`
}

// ScheduleTrigger is a cron schedule, or one moment.
// +kubebuilder:validation:XValidation:rule="has(self.cron) != has(self.at)",message="set exactly one of cron, at"
// +kubebuilder:validation:XValidation:rule="!has(self.timeZone) || has(self.cron)",message="timeZone belongs to cron: at carries its own offset"
type ScheduleTrigger struct {
	// cron expression of five fields (minute, hour, day of month, month, day of week), or @daily and
	// its like. It is read as wall-clock time in timeZone.
	// +optional
	// +kubebuilder:validation:Pattern=`^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|\S+(\s+\S+){4})$`
	// +kubebuilder:validation:MinLength=5
	// +kubebuilder:validation:MaxLength=128
	Cron string `json:"cron,omitempty"`
	// timeZone of cron. Default: the shop's, else UTC.
	// +optional
	TimeZone TimeZone `json:"timeZone,omitempty"`
	// at is one moment with its offset, "2026-12-01T10:00:00+09:00". Already past when first seen, it
	// is not sent, and status says so.
	// +optional
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:MaxLength=40
	At string `json:"at,omitempty"`
	// startingDeadline is how late a run may start after its slot; later, the slot is missed.
	// Default 1h.
	// +optional
	StartingDeadline Duration `json:"startingDeadline,omitempty"`
}

// SegmentEntryTrigger has no settings yet.
type SegmentEntryTrigger struct{}

// EventTrigger lets in who does something.
type EventTrigger struct {
	// name of the event, such as "Product Added".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// where names properties and the values of which each is one.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	Where map[string]PropertyValues `json:"where,omitempty"`
	// startingDeadline is how late a fact may arrive and still let in. Default 1h.
	// +optional
	StartingDeadline Duration `json:"startingDeadline,omitempty"`
}

// ProductEventTrigger lets in those whom a product's news concerns.
type ProductEventTrigger struct {
	// name is Product Restocked, Product Low Stock or Product Price Dropped.
	// +required
	// +kubebuilder:validation:Enum=Product Restocked;Product Low Stock;Product Price Dropped
	Name string `json:"name"`
	// audience is who is concerned: those who Favourited, Purchased, Viewed or Carted the product.
	// +required
	// +kubebuilder:validation:Enum=Favourited;Purchased;Viewed;Carted
	Audience string `json:"audience"`
	// within is how far back that may lie. Default 90d.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where names properties of the product and the values of which each is one.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	Where map[string]PropertyValues `json:"where,omitempty"`
	// startingDeadline is how late a fact may arrive and still let in. Default 1h.
	// +optional
	StartingDeadline Duration `json:"startingDeadline,omitempty"`
}

// DateReference names a date in a customer's life.
// +kubebuilder:validation:Enum=FirstOrder;LastOrder;NextDelivery;SubscriptionRenewal;CouponExpiry;Replenishment
type DateReference string

// DateTrigger lets in around a date of the customer's own.
// +kubebuilder:validation:XValidation:rule="has(self.of) != has(self.attribute)",message="set exactly one of of, attribute"
// +kubebuilder:validation:XValidation:rule="!has(self.anniversary) || has(self.attribute) || self.of in ['FirstOrder', 'LastOrder']",message="anniversary goes with attribute, FirstOrder or LastOrder"
type DateTrigger struct {
	// of names the date: FirstOrder, LastOrder, NextDelivery, SubscriptionRenewal, CouponExpiry or
	// Replenishment.
	// +optional
	Of DateReference `json:"of,omitempty"`
	// attribute of the customer that holds the date, such as birthday.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Attribute string `json:"attribute,omitempty"`
	// anniversary is Yearly when the date returns every year. Default: once.
	// +optional
	// +kubebuilder:validation:Enum=Yearly
	Anniversary string `json:"anniversary,omitempty"`
	// offset from the date: -3d is three days before. Default 0d.
	// +optional
	Offset SignedDuration `json:"offset,omitempty"`
	// time of day. Default 10:00.
	// +optional
	Time TimeOfDay `json:"time,omitempty"`
	// timeZone of time. Default: the shop's, else UTC.
	// +optional
	TimeZone TimeZone `json:"timeZone,omitempty"`
	// startingDeadline is how late a fact may arrive and still let in. Default 1h.
	// +optional
	StartingDeadline Duration `json:"startingDeadline,omitempty"`
}

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
	Target Percentage `json:"target,omitempty"`
	// attribution says which message a conversion is credited to: LastTouch, FirstTouch or Linear.
	// Default LastTouch.
	// +optional
	// +kubebuilder:validation:Enum=LastTouch;FirstTouch;Linear
	Attribution string `json:"attribution,omitempty"`
}

// Guardrails hold or stop a run that looks wrong.
// +kubebuilder:validation:MinProperties=1
type Guardrails struct {
	// maxRecipientsPerRun is the largest audience a run may have.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRecipientsPerRun int64 `json:"maxRecipientsPerRun,omitempty"`
	// maxGrowth is the largest audience as a share of the last runs' median.
	// +optional
	MaxGrowth Percentage `json:"maxGrowth,omitempty"`
	// budget is the most that the scenario may spend.
	// +optional
	Budget *Budget `json:"budget,omitempty"`
	// abortOn stops a run under way.
	// +optional
	AbortOn *AbortOn `json:"abortOn,omitempty"`
}

// Budget is an amount per time.
type Budget struct {
	// amount that may be spent.
	// +required
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals"
	Amount intstr.IntOrString `json:"amount"`
	// currency of amount. Default: the shop's.
	// +optional
	Currency Currency `json:"currency,omitempty"`
	// per is the sliding window of the budget.
	// +required
	Per Duration `json:"per"`
}

// AbortOn stops a run whose messages do harm.
// +kubebuilder:validation:XValidation:rule="has(self.bounceRate) || has(self.complaintRate) || has(self.unsubscribeRate)",message="give at least one of bounceRate, complaintRate, unsubscribeRate"
type AbortOn struct {
	// bounceRate of those sent.
	// +optional
	BounceRate Percentage `json:"bounceRate,omitempty"`
	// complaintRate of those sent.
	// +optional
	ComplaintRate Percentage `json:"complaintRate,omitempty"`
	// unsubscribeRate of those sent.
	// +optional
	UnsubscribeRate Percentage `json:"unsubscribeRate,omitempty"`
	// minimumSent is how many must be out before a rate means anything. Default 500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinimumSent int64 `json:"minimumSent,omitempty"`
}

// Runner says who works a run's Job off.
// +kubebuilder:validation:Enum=InProcess;Job
type Runner string

// The runners.
const (
	RunnerInProcess Runner = "InProcess"
	RunnerJob       Runner = "Job"
)

// Dispatch says how runs are carried out.
// +kubebuilder:validation:XValidation:rule="!has(self.podTemplate) || (has(self.runner) && self.runner == 'Job')",message="podTemplate belongs to runner Job: set runner: Job or remove it"
type Dispatch struct {
	// runner is InProcess (Kaeru works the Job off itself) or Job (its pods do). Default InProcess.
	// +optional
	Runner Runner `json:"runner,omitempty"`
	// shardSize is how many messages an index of the Job holds. Default 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	ShardSize int32 `json:"shardSize,omitempty"`
	// parallelism is how many indexes are worked off at once. Default 4.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Parallelism int32 `json:"parallelism,omitempty"`
	// successfulJobsHistoryLimit is how many complete Jobs are kept. Default 3.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	SuccessfulJobsHistoryLimit *int32 `json:"successfulJobsHistoryLimit,omitempty"`
	// failedJobsHistoryLimit is how many failed Jobs are kept. Default 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	FailedJobsHistoryLimit *int32 `json:"failedJobsHistoryLimit,omitempty"`
	// podTemplate shapes the pods of runner Job.
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`
}

// PodTemplate shapes the pods of runner Job.
// +kubebuilder:validation:MinProperties=1
type PodTemplate struct {
	// resources of the worker's container.
	// +optional
	Resources *PodResources `json:"resources,omitempty"`
	// nodeSelector of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// priorityClassName of the pods.
	// +optional
	PriorityClassName ObjectName `json:"priorityClassName,omitempty"`
	// labels of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Labels map[string]string `json:"labels,omitempty"`
	// annotations of the pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Annotations map[string]string `json:"annotations,omitempty"`
}

// PodResources are what a worker asks for, as strings that stay as written.
// +kubebuilder:validation:MinProperties=1
type PodResources struct {
	// requests by resource name, such as cpu: 100m.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Requests map[string]ResourceQuantity `json:"requests,omitempty"`
	// limits by resource name, such as memory: 256Mi.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	Limits map[string]ResourceQuantity `json:"limits,omitempty"`
}

// ResourceQuantity is a Kubernetes quantity, kept as written: "100m", "256Mi".
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=32
type ResourceQuantity string

// Toleration is a pod's, with seconds as a number.
type Toleration struct {
	// key of the taint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	Key string `json:"key,omitempty"`
	// operator is Exists or Equal. Default Equal.
	// +optional
	// +kubebuilder:validation:Enum=Exists;Equal
	Operator string `json:"operator,omitempty"`
	// value of the taint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`
	// effect of the taint. Default: all effects.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
	// tolerationSeconds is how long NoExecute is tolerated. Default: for ever.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

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
	// skipped, with a reason in the message's row.
	// +optional
	Skipped int64 `json:"skipped"`
	// cancelled before they were sent.
	// +optional
	Cancelled int64 `json:"cancelled"`
	// unknown: the provider may have them.
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
	// delivered, where the channel tells.
	// +optional
	Delivered int64 `json:"delivered"`
	// opened, email only.
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
	// skipped, with a reason in the message's row.
	// +optional
	Skipped int64 `json:"skipped"`
	// cancelled before they were sent.
	// +optional
	Cancelled int64 `json:"cancelled"`
	// unknown: the provider may have them.
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

// Scenario is who gets which messages, when and in which order.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=scn,categories=kaeru
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 52",message="metadata.name is at most 52 characters: the names of its Jobs are made of it"
// +kubebuilder:printcolumn:name="Segment",type=string,JSONPath=`.spec.segmentRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Enrolled",type=integer,JSONPath=`.status.enrolled`
// +kubebuilder:printcolumn:name="Converted",type=integer,JSONPath=`.status.goal.converted`
// +kubebuilder:printcolumn:name="Next Run",type=string,JSONPath=`.status.nextRun`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Last Run",type=string,priority=1,JSONPath=`.status.lastRun.time`
// +kubebuilder:printcolumn:name="Sent",type=integer,priority=1,JSONPath=`.status.lastRun.sent`
// +kubebuilder:printcolumn:name="Rate",type=string,priority=1,JSONPath=`.status.goal.rate`
// +kubebuilder:printcolumn:name="Revenue",type=string,priority=1,JSONPath=`.status.goal.revenue`
// +kubebuilder:printcolumn:name="Cost",type=string,priority=1,JSONPath=`.status.cost.amount`
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
