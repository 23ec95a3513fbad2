// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// SegmentSpec says who belongs to a segment.
type SegmentSpec struct {
	// description for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`
	// refreshInterval is how often membership is brought up to date. Default 15m, at least 1m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-5]?[0-9]s$')",message="refreshInterval is at least 1m"
	RefreshInterval Duration `json:"refreshInterval,omitempty"`
	// suspend stops refreshes; the members stay as they are. Default false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// match are the conditions; all, any and none hold together.
	// +required
	Match Match `json:"match"`
}

// Match combines conditions: everything in all, at least one in any, nothing in none.
// +kubebuilder:validation:XValidation:rule="has(self.all) || has(self.any) || has(self.none)",message="give at least one of all, any, none"
type Match struct {
	// all of these hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	All []NestedCondition `json:"all,omitempty"`
	// any one of these holds.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Any []NestedCondition `json:"any,omitempty"`
	// none of these holds.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	None []NestedCondition `json:"none,omitempty"`
}

// NestedCondition is a condition, or a group of conditions one level deep.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type NestedCondition struct {
	Condition `json:",inline"`
	// anyOf these holds.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	AnyOf []Condition `json:"anyOf,omitempty"`
	// allOf these hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	AllOf []Condition `json:"allOf,omitempty"`
}

// Condition is one question about a customer. Each sets exactly one field.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type Condition struct {
	// attribute compares something known of the customer.
	// +optional
	Attribute *AttributeCondition `json:"attribute,omitempty"`
	// orders counts orders.
	// +optional
	Orders *OrdersCondition `json:"orders,omitempty"`
	// spend compares what was spent.
	// +optional
	Spend *SpendCondition `json:"spend,omitempty"`
	// firstOrder compares the age of the first order.
	// +optional
	FirstOrder *AgeCondition `json:"firstOrder,omitempty"`
	// lastOrder compares the age of the last order.
	// +optional
	LastOrder *AgeCondition `json:"lastOrder,omitempty"`
	// event counts what the customer did.
	// +optional
	Event *EventCondition `json:"event,omitempty"`
	// lifecycle asks for the customer's stage.
	// +optional
	Lifecycle *LifecycleCondition `json:"lifecycle,omitempty"`
	// rfm asks for recency, frequency and monetary quintiles.
	// +optional
	RFM *RFMCondition `json:"rfm,omitempty"`
	// subscription asks for a subscription's state.
	// +optional
	Subscription *SubscriptionCondition `json:"subscription,omitempty"`
	// reachable asks whether a message can be sent: an address, consent, no suppression.
	// +optional
	Reachable *ReachableCondition `json:"reachable,omitempty"`
	// engagement counts what became of messages.
	// +optional
	Engagement *EngagementCondition `json:"engagement,omitempty"`
	// replenishment asks for the predicted next purchase.
	// +optional
	Replenishment *ReplenishmentCondition `json:"replenishment,omitempty"`
	// favourite asks for products on the wish list.
	// +optional
	Favourite *FavouriteCondition `json:"favourite,omitempty"`
	// segment asks for membership of another segment of the namespace. A cycle is refused.
	// +optional
	Segment *LocalReference `json:"segment,omitempty"`
	// expression is CEL, boolean, over customer and now, for what no other condition says.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// AttributeCondition compares one attribute. A comparison with an absent attribute is false.
// +kubebuilder:validation:XValidation:rule="[has(self.in), has(self.notIn), has(self.atLeast) || has(self.atMost), has(self.before) || has(self.after), has(self.presence), has(self.anniversaryWithin)].exists_one(x, x)",message="set exactly one of in, notIn, atLeast/atMost, before/after, presence, anniversaryWithin"
// +kubebuilder:validation:XValidation:rule="!has(self.before) || !has(self.after) || self.after < self.before",message="after must lie before before"
type AttributeCondition struct {
	// name of the attribute; id, email, phone and line_user_id are the customer's own columns.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// in holds the values of which the attribute is one, compared as text.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=512
	In []string `json:"in,omitempty"`
	// notIn holds the values of which the attribute is none; an absent attribute does not match.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=512
	NotIn []string `json:"notIn,omitempty"`
	// atLeast is the smallest number that matches.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int || self.matches('^-?[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 20 or \"-0.5\", with at most four decimals"
	AtLeast *intstr.IntOrString `json:"atLeast,omitempty"`
	// atMost is the largest number that matches.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int || self.matches('^-?[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 20 or \"-0.5\", with at most four decimals"
	AtMost *intstr.IntOrString `json:"atMost,omitempty"`
	// before is the date, "2006-01-02", that the attribute lies before.
	// +optional
	Before Date `json:"before,omitempty"`
	// after is the date, "2006-01-02", that the attribute lies after.
	// +optional
	After Date `json:"after,omitempty"`
	// presence is Present (there and not empty) or Absent.
	// +optional
	// +kubebuilder:validation:Enum=Present;Absent
	Presence string `json:"presence,omitempty"`
	// anniversaryWithin is how far ahead the yearly return of the date may lie.
	// +optional
	AnniversaryWithin Duration `json:"anniversaryWithin,omitempty"`
}

// Date is a calendar day, "2006-01-02".
// +kubebuilder:validation:Pattern=`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`
// +kubebuilder:validation:MinLength=10
// +kubebuilder:validation:MaxLength=10
type Date string

// OrderFilter narrows down which orders count. Fields hold together; values of a list are alternatives.
// +kubebuilder:validation:MinProperties=1
type OrderFilter struct {
	// category of at least one item.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Category []string `json:"category,omitempty"`
	// product id of at least one item.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=253
	Product []string `json:"product,omitempty"`
	// source of the order, such as web or pos.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Source []string `json:"source,omitempty"`
	// status of the order. Default: every status but cancelled and refunded.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Status []string `json:"status,omitempty"`
	// totalAtLeast is the smallest total of an order that counts.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals"
	TotalAtLeast *intstr.IntOrString `json:"totalAtLeast,omitempty"`
}

// Count is how many. Without a field it means at least one.
// +kubebuilder:validation:XValidation:rule="!has(self.exactly) || (!has(self.atLeast) && !has(self.atMost))",message="exactly stands alone: remove atLeast and atMost"
// +kubebuilder:validation:XValidation:rule="!has(self.atLeast) || !has(self.atMost) || self.atLeast <= self.atMost",message="atLeast must not be above atMost"
type Count struct {
	// exactly this many; 0 is for those who have none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Exactly *int32 `json:"exactly,omitempty"`
	// atLeast this many.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AtLeast *int32 `json:"atLeast,omitempty"`
	// atMost this many; those who have none are included.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AtMost *int32 `json:"atMost,omitempty"`
}

// OrdersCondition counts orders.
type OrdersCondition struct {
	Count `json:",inline"`
	// within is how far back orders count. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where narrows down which orders count.
	// +optional
	Where *OrderFilter `json:"where,omitempty"`
}

// SpendCondition compares what was spent.
// +kubebuilder:validation:XValidation:rule="[has(self.atLeast) || has(self.atMost), has(self.topPercent), has(self.bottomPercent)].exists_one(x, x)",message="set exactly one of atLeast/atMost, topPercent, bottomPercent"
type SpendCondition struct {
	// of is Total or Average (a counted order). Default Total.
	// +optional
	// +kubebuilder:validation:Enum=Total;Average
	Of string `json:"of,omitempty"`
	// atLeast this amount, in the shop's currency.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals"
	AtLeast *intstr.IntOrString `json:"atLeast,omitempty"`
	// atMost this amount; those who spent nothing are included.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals"
	AtMost *intstr.IntOrString `json:"atMost,omitempty"`
	// topPercent of those who have bought, by what they spent; equal amounts get the same rank.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self > 0 && self <= 100 : self.matches('^[0-9]{1,3}([.][0-9]{1,4})?$') && double(self) > 0.0 && double(self) <= 100.0",message="topPercent lies above 0 and at most at 100"
	TopPercent *intstr.IntOrString `json:"topPercent,omitempty"`
	// bottomPercent of those who have bought, by what they spent.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self > 0 && self <= 100 : self.matches('^[0-9]{1,3}([.][0-9]{1,4})?$') && double(self) > 0.0 && double(self) <= 100.0",message="bottomPercent lies above 0 and at most at 100"
	BottomPercent *intstr.IntOrString `json:"bottomPercent,omitempty"`
	// within is how far back orders count. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where narrows down which orders count.
	// +optional
	Where *OrderFilter `json:"where,omitempty"`
}

// AgeCondition compares how long ago something was. Who never had it does not match.
// +kubebuilder:validation:XValidation:rule="has(self.within) != has(self.olderThan)",message="set exactly one of within, olderThan"
type AgeCondition struct {
	// within this time before now.
	// +optional
	Within Duration `json:"within,omitempty"`
	// olderThan this time before now.
	// +optional
	OlderThan Duration `json:"olderThan,omitempty"`
}

// EventCondition counts events.
type EventCondition struct {
	Count `json:",inline"`
	// name of the event, such as "Product Added".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// within is how far back events count. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where names properties and the values of which each is one.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	Where map[string]PropertyValues `json:"where,omitempty"`
	// notFollowedBy is an event that must not have come after.
	// +optional
	NotFollowedBy *FollowUp `json:"notFollowedBy,omitempty"`
}

// PropertyValues are the values of which a property is one, compared as text.
// +listType=set
// +kubebuilder:validation:MinItems=1
// +kubebuilder:validation:MaxItems=100
// +kubebuilder:validation:items:MaxLength=512
type PropertyValues []string

// FollowUp is an event after an event.
type FollowUp struct {
	// name of the later event.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// within is how soon after it would have had to come.
	// +required
	Within Duration `json:"within"`
}

// LifecycleStage is where a customer stands with the shop.
// +kubebuilder:validation:Enum=Prospect;First;Second;Repeat;Dormant;Reactivated
type LifecycleStage string

// The lifecycle stages: Prospect never ordered; Dormant has not for longer than dormantAfter;
// Reactivated came back after such a time; First, Second and Repeat count the orders of the others.
const (
	StageProspect    LifecycleStage = "Prospect"
	StageFirst       LifecycleStage = "First"
	StageSecond      LifecycleStage = "Second"
	StageRepeat      LifecycleStage = "Repeat"
	StageDormant     LifecycleStage = "Dormant"
	StageReactivated LifecycleStage = "Reactivated"
)

// LifecycleCondition asks for a stage.
type LifecycleCondition struct {
	// in holds the stages of which the customer's is one.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	In []LifecycleStage `json:"in"`
	// dormantAfter is the time without an order after which a customer is dormant. Default: the
	// shop's dormantAfter, else 150d.
	// +optional
	DormantAfter Duration `json:"dormantAfter,omitempty"`
}

// QuintileRange is a range of quintiles, 1 to 5, of which 5 is best.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.atLeast) || !has(self.atMost) || self.atLeast <= self.atMost",message="atLeast must not be above atMost"
type QuintileRange struct {
	// atLeast this quintile.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	AtLeast int32 `json:"atLeast,omitempty"`
	// atMost this quintile.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	AtMost int32 `json:"atMost,omitempty"`
}

// RFMCondition asks for quintiles among those who have bought. All that are given hold.
// +kubebuilder:validation:MinProperties=1
type RFMCondition struct {
	// recency of the last order; 5 is latest.
	// +optional
	Recency *QuintileRange `json:"recency,omitempty"`
	// frequency of orders; 5 is most often.
	// +optional
	Frequency *QuintileRange `json:"frequency,omitempty"`
	// monetary is what was spent; 5 is most.
	// +optional
	Monetary *QuintileRange `json:"monetary,omitempty"`
}

// SubscriptionCondition asks for a subscription. One row satisfies all fields; None is no row at all.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.status) || !('None' in self.status) || (!has(self.plan) && !has(self.cancelledWithin) && !has(self.nextDeliveryWithin))",message="status None means no subscription at all: it goes with no other field"
type SubscriptionCondition struct {
	// status is one of Active, Paused, Cancelled, None.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Status []SubscriptionStatus `json:"status,omitempty"`
	// plan is one of these.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Plan []string `json:"plan,omitempty"`
	// cancelledWithin is how long ago at most it was cancelled.
	// +optional
	CancelledWithin Duration `json:"cancelledWithin,omitempty"`
	// nextDeliveryWithin is how far ahead at most the next delivery lies.
	// +optional
	NextDeliveryWithin Duration `json:"nextDeliveryWithin,omitempty"`
}

// SubscriptionStatus is the state of a subscription; None is no subscription at all.
// +kubebuilder:validation:Enum=Active;Paused;Cancelled;None
type SubscriptionStatus string

// ReachableCondition asks whether a message can be sent.
type ReachableCondition struct {
	// channels that are asked for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Channels []ChannelType `json:"channels"`
	// mode is Any (one of them is enough) or All. Default Any.
	// +optional
	// +kubebuilder:validation:Enum=Any;All
	Mode string `json:"mode,omitempty"`
}

// EngagementCondition counts what became of messages.
type EngagementCondition struct {
	Count `json:",inline"`
	// kind is Delivered, Opened (email only), Clicked or Converted.
	// +required
	// +kubebuilder:validation:Enum=Delivered;Opened;Clicked;Converted
	Kind string `json:"kind"`
	// scenario whose messages count. Default: all.
	// +optional
	Scenario ObjectName `json:"scenario,omitempty"`
	// channel (a ChannelConfig's name) whose messages count. Default: all.
	// +optional
	Channel ObjectName `json:"channel,omitempty"`
	// within is how far back they count. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
}

// ReplenishmentCondition asks for the predicted next purchase.
// +kubebuilder:validation:XValidation:rule="!has(self.category) || !has(self.product)",message="set at most one of category, product"
type ReplenishmentCondition struct {
	// dueWithin is how far ahead the predicted purchase lies at most.
	// +required
	DueWithin Duration `json:"dueWithin"`
	// category whose purchase is predicted. Default: any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Category string `json:"category,omitempty"`
	// product whose purchase is predicted. Default: any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Product string `json:"product,omitempty"`
}

// FavouriteCondition asks for products on the wish list.
// +kubebuilder:validation:MinProperties=1
type FavouriteCondition struct {
	// product id on the wish list.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Product string `json:"product,omitempty"`
	// category of a product on the wish list.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Category string `json:"category,omitempty"`
	// within is how long ago at most it was put there.
	// +optional
	Within Duration `json:"within,omitempty"`
}

// SegmentStatus is what Kaeru saw of the segment.
type SegmentStatus struct {
	// observedGeneration is the generation of the spec that this status is about; -1 before the first.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready and Fresh.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// members is how many customers belong to the segment.
	// +optional
	Members *int64 `json:"members,omitempty"`
	// reachable counts the members who can be sent a message, by channel.
	// +optional
	Reachable *ReachableCounts `json:"reachable,omitempty"`
	// entered counts who came in at the last refresh that changed the membership.
	// +optional
	Entered *int64 `json:"entered,omitempty"`
	// exited counts who left at the last refresh that changed the membership.
	// +optional
	Exited *int64 `json:"exited,omitempty"`
	// lastRefresh is the last refresh that changed the numbers. One that changes nothing writes
	// nothing; the metric kaeru_segment_last_refresh_timestamp_seconds tells of each.
	// +optional
	LastRefresh *SegmentRefresh `json:"lastRefresh,omitempty"`
	// lastHandledRequest is the last value of the annotation crm.kaeru.dev/requestedAt that was acted on.
	// +optional
	LastHandledRequest string `json:"lastHandledRequest,omitempty"`
}

// ReachableCounts are numbers of customers by channel.
type ReachableCounts struct {
	// line counts those with a LINE user id, consent and no suppression.
	// +optional
	Line int64 `json:"line"`
	// email counts those with a mail address, consent and no suppression.
	// +optional
	Email int64 `json:"email"`
	// sms counts those with a phone number, consent and no suppression.
	// +optional
	SMS int64 `json:"sms"`
}

// SegmentRefresh is one refresh of a segment.
type SegmentRefresh struct {
	// time of the refresh.
	// +optional
	Time metav1.Time `json:"time,omitempty,omitzero"`
	// mode is Full or Incremental.
	// +optional
	Mode string `json:"mode,omitempty"`
	// candidates is how many customers were looked at.
	// +optional
	Candidates int64 `json:"candidates"`
	// duration of the refresh, such as 38ms.
	// +optional
	Duration string `json:"duration,omitempty"`
}

// Segment is a set of customers who have something in common.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=seg,categories=kaeru
// +kubebuilder:printcolumn:name="Members",type=integer,JSONPath=`.status.members`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="LINE",type=integer,priority=1,JSONPath=`.status.reachable.line`
// +kubebuilder:printcolumn:name="Email",type=integer,priority=1,JSONPath=`.status.reachable.email`
// +kubebuilder:printcolumn:name="SMS",type=integer,priority=1,JSONPath=`.status.reachable.sms`
// +kubebuilder:printcolumn:name="Entered",type=integer,priority=1,JSONPath=`.status.entered`
// +kubebuilder:printcolumn:name="Exited",type=integer,priority=1,JSONPath=`.status.exited`
// +kubebuilder:printcolumn:name="Refreshed",type=date,priority=1,JSONPath=`.status.lastRefresh.time`
type Segment struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what users write. Kaeru never changes it.
	// +required
	Spec SegmentSpec `json:"spec"`
	// status is what Kaeru saw.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status SegmentStatus `json:"status,omitempty,omitzero"`
}

// SegmentList is a list of Segments.
// +kubebuilder:object:root=true
type SegmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Segment `json:"items"`
}
