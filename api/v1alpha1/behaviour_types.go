// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// EventCondition counts events.
type EventCondition struct {
	Count `json:",inline"`
	// name of the event.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// within this time before now. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where lists values by property; each property is one of its values.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	Where map[string]PropertyValues `json:"where,omitempty"`
	// notFollowedBy is an event that did not come after.
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
	// within this time after.
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
	// in lists the stages that match.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	In []LifecycleStage `json:"in"`
	// dormantAfter this time without an order. Default: the shop's, else 150d.
	// +optional
	DormantAfter Duration `json:"dormantAfter,omitempty"`
}

// QuintileRange is a range of quintiles, 1 to 5, of which 5 is best.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="self.?atLeast.orValue(1)<=self.?atMost.orValue(5)",message="atLeast must not be above atMost"
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
	// recency is the quintile of the last order; 5 is latest.
	// +optional
	Recency *QuintileRange `json:"recency,omitempty"`
	// frequency is the quintile of the number of orders; 5 is most often.
	// +optional
	Frequency *QuintileRange `json:"frequency,omitempty"`
	// monetary is the quintile of the spend; 5 is most.
	// +optional
	Monetary *QuintileRange `json:"monetary,omitempty"`
}

// SubscriptionCondition asks for a subscription. One row satisfies all fields; None is no row at all.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="!has(self.status)||!('None' in self.status)||!(has(self.plan)||has(self.cancelledWithin)||has(self.nextDeliveryWithin))",message="status None goes with no other field"
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
	// cancelledWithin this time before now.
	// +optional
	CancelledWithin Duration `json:"cancelledWithin,omitempty"`
	// nextDeliveryWithin this time from now.
	// +optional
	NextDeliveryWithin Duration `json:"nextDeliveryWithin,omitempty"`
}

// SubscriptionStatus is the state of a subscription; None is no subscription at all.
// +kubebuilder:validation:Enum=Active;Paused;Cancelled;None
type SubscriptionStatus string

// SubscriptionNone is no subscription at all.
const SubscriptionNone SubscriptionStatus = "None"

// ReachableCondition asks whether a message can be sent.
type ReachableCondition struct {
	// channels asked for.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Channels []ChannelType `json:"channels"`
	// mode is Any or All of them. Default Any.
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
	// channel is the ChannelConfig whose messages count. Default: all.
	// +optional
	Channel ObjectName `json:"channel,omitempty"`
	// within this time before now. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
}

// ReplenishmentCondition asks for the predicted next purchase.
// +kubebuilder:validation:XValidation:rule="!has(self.category) || !has(self.product)",message="set at most one of category, product"
type ReplenishmentCondition struct {
	// dueWithin this time from now.
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
	// within this time before now. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
}
