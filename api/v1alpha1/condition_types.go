// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

// Condition is one question about a customer. Each sets exactly one field.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:MaxProperties=1
type Condition struct {
	// attribute of the customer.
	// +optional
	Attribute *AttributeCondition `json:"attribute,omitempty"`
	// orders counts orders.
	// +optional
	Orders *OrdersCondition `json:"orders,omitempty"`
	// spend compares amounts spent.
	// +optional
	Spend *SpendCondition `json:"spend,omitempty"`
	// firstOrder compares its age.
	// +optional
	FirstOrder *AgeCondition `json:"firstOrder,omitempty"`
	// lastOrder compares its age.
	// +optional
	LastOrder *AgeCondition `json:"lastOrder,omitempty"`
	// event counts events.
	// +optional
	Event *EventCondition `json:"event,omitempty"`
	// lifecycle stage.
	// +optional
	Lifecycle *LifecycleCondition `json:"lifecycle,omitempty"`
	// rfm compares quintiles.
	// +optional
	RFM *RFMCondition `json:"rfm,omitempty"`
	// subscription state.
	// +optional
	Subscription *SubscriptionCondition `json:"subscription,omitempty"`
	// reachable asks for an address, consent and no suppression.
	// +optional
	Reachable *ReachableCondition `json:"reachable,omitempty"`
	// engagement counts what became of messages.
	// +optional
	Engagement *EngagementCondition `json:"engagement,omitempty"`
	// replenishment is the predicted next purchase.
	// +optional
	Replenishment *ReplenishmentCondition `json:"replenishment,omitempty"`
	// favourite products.
	// +optional
	Favourite *FavouriteCondition `json:"favourite,omitempty"`
	// segment that the customer is a member of.
	// +optional
	Segment *LocalReference `json:"segment,omitempty"`
	// expression is CEL, boolean, over customer and now.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression,omitempty"`
}

// AttributeCondition compares one attribute. A comparison with an absent attribute is false.
// +kubebuilder:validation:XValidation:rule="[has(self.__in__),has(self.notIn),has(self.atLeast)||has(self.atMost),has(self.before)||has(self.after),has(self.presence),has(self.anniversaryWithin)].exists_one(x,x)",message="set exactly one of in, notIn, atLeast/atMost, before/after, presence, anniversaryWithin"
// +kubebuilder:validation:XValidation:rule="!has(self.before)||!has(self.after)||self.after<self.before",message="the date of after must be earlier than that of before"
// +kubebuilder:validation:XValidation:rule="!has(self.atLeast)||!has(self.atMost)||double(self.atLeast)<=double(self.atMost)",message="atLeast must not be above atMost"
type AttributeCondition struct {
	// name of the attribute, or id, email, phone, line_user_id.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// in lists the values that match, compared as text.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=512
	In []string `json:"in,omitempty"`
	// notIn lists the values that do not match; nor does an absent attribute.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=500
	// +kubebuilder:validation:items:MaxLength=512
	NotIn []string `json:"notIn,omitempty"`
	// atLeast this number.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=18
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self<2147483648&&self>-2147483648:self.matches('^-?[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 20 or \"-0.5\"; from 2147483648 on in quotes"
	AtLeast *intstr.IntOrString `json:"atLeast,omitempty"`
	// atMost this number.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=18
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self<2147483648&&self>-2147483648:self.matches('^-?[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 20 or \"-0.5\"; from 2147483648 on in quotes"
	AtMost *intstr.IntOrString `json:"atMost,omitempty"`
	// before this date, such as "2026-12-24".
	// +optional
	Before Date `json:"before,omitempty"`
	// after this date, such as "2026-12-24".
	// +optional
	After Date `json:"after,omitempty"`
	// presence is Present (and not empty) or Absent.
	// +optional
	// +kubebuilder:validation:Enum=Present;Absent
	Presence string `json:"presence,omitempty"`
	// anniversaryWithin is how soon the date's anniversary comes.
	// +optional
	AnniversaryWithin Duration `json:"anniversaryWithin,omitempty"`
}

// Date is a calendar day, "2006-01-02".
// +kubebuilder:validation:Format=date
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
	// source of the order, such as web.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Source []string `json:"source,omitempty"`
	// status of the order. Default: all but cancelled and refunded.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=253
	Status []string `json:"status,omitempty"`
	// totalAtLeast this total.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\"; from 2147483648 on in quotes"
	TotalAtLeast *intstr.IntOrString `json:"totalAtLeast,omitempty"`
}

// Count is how many. Without a field it means at least one.
// +kubebuilder:validation:XValidation:rule="!has(self.exactly)||!(has(self.atLeast)||has(self.atMost))",message="exactly stands alone: remove atLeast and atMost"
// +kubebuilder:validation:XValidation:rule="!has(self.atLeast)||!has(self.atMost)||self.atLeast<=self.atMost",message="atLeast must not be above atMost"
type Count struct {
	// exactly this many; 0 is none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Exactly *int32 `json:"exactly,omitempty"`
	// atLeast this many.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AtLeast *int32 `json:"atLeast,omitempty"`
	// atMost this many, or none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AtMost *int32 `json:"atMost,omitempty"`
}

// OrdersCondition counts orders.
type OrdersCondition struct {
	Count `json:",inline"`
	// within this time before now. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where says which orders count.
	// +optional
	Where *OrderFilter `json:"where,omitempty"`
}

// SpendCondition compares what was spent.
// +kubebuilder:validation:XValidation:rule="[has(self.atLeast)||has(self.atMost),has(self.topPercent),has(self.bottomPercent)].exists_one(x,x)",message="set exactly one of atLeast/atMost, topPercent, bottomPercent"
// +kubebuilder:validation:XValidation:rule="!has(self.atLeast)||!has(self.atMost)||double(self.atLeast)<=double(self.atMost)",message="atLeast must not be above atMost"
type SpendCondition struct {
	// of is Total or Average (a counted order). Default Total.
	// +optional
	// +kubebuilder:validation:Enum=Total;Average
	Of string `json:"of,omitempty"`
	// atLeast this amount, in the shop's currency.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\"; from 2147483648 on in quotes"
	AtLeast *intstr.IntOrString `json:"atLeast,omitempty"`
	// atMost this amount, or nothing.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\"; from 2147483648 on in quotes"
	AtMost *intstr.IntOrString `json:"atMost,omitempty"`
	// topPercent of those who have bought; equal amounts rank the same.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="string(self).matches('^(100|[1-9][0-9]?([.][0-9]+)?|0[.]0*[1-9][0-9]*)$')",message="write a number above 0 and up to 100, such as 30 or \"2.5\""
	TopPercent *intstr.IntOrString `json:"topPercent,omitempty"`
	// bottomPercent of those who have bought.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="string(self).matches('^(100|[1-9][0-9]?([.][0-9]+)?|0[.]0*[1-9][0-9]*)$')",message="write a number above 0 and up to 100, such as 30 or \"2.5\""
	BottomPercent *intstr.IntOrString `json:"bottomPercent,omitempty"`
	// within this time before now. Default: for ever.
	// +optional
	Within Duration `json:"within,omitempty"`
	// where says which orders count.
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
