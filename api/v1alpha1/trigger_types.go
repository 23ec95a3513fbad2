// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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
	// +kubebuilder:validation:Pattern=`^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[-0-9A-Za-z*/,?]+( +[-0-9A-Za-z*/,?]+){4})$`
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
	// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})$`
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

// The dates in a customer's life.
const (
	DateFirstOrder          DateReference = "FirstOrder"
	DateLastOrder           DateReference = "LastOrder"
	DateNextDelivery        DateReference = "NextDelivery"
	DateSubscriptionRenewal DateReference = "SubscriptionRenewal"
	DateCouponExpiry        DateReference = "CouponExpiry"
	DateReplenishment       DateReference = "Replenishment"
)

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
