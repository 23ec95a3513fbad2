// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Step is one thing that happens to a customer on their way: wait first, then if, then the act.
// +kubebuilder:validation:XValidation:rule="[has(self.email), has(self.line), has(self.sms), has(self.webhook), has(self.update), has(self.enter), has(self.exit)].exists_one(x, x)",message="set exactly one of email, line, sms, webhook, update, enter, exit"
type Step struct {
	// name of the step; messages are keyed by it, so a renamed step is a new one.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// wait before the step. Default: none, the step goes out together with the one before.
	// +optional
	Wait *Wait `json:"wait,omitempty"`
	// if is CEL, boolean, over customer, entry, steps, goal, coupon and now. False skips the step.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	If string `json:"if,omitempty"`
	// email sends a mail.
	// +optional
	Email *EmailStep `json:"email,omitempty"`
	// line sends LINE messages.
	// +optional
	Line *LineStep `json:"line,omitempty"`
	// sms sends a text message.
	// +optional
	SMS *SMSStep `json:"sms,omitempty"`
	// webhook calls a system of the shop's.
	// +optional
	Webhook *WebhookStep `json:"webhook,omitempty"`
	// update writes attributes of the customer.
	// +optional
	Update *UpdateStep `json:"update,omitempty"`
	// enter enrols the customer in another Scenario.
	// +optional
	Enter *EnterStep `json:"enter,omitempty"`
	// exit ends the customer's way.
	// +optional
	Exit *ExitStep `json:"exit,omitempty"`
}

// Wait says how long a step waits after the one before it.
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule="[has(self.__for__), has(self.until), has(self.untilEvent)].filter(x, x).size() <= 1",message="set at most one of for, until, untilEvent"
type Wait struct {
	// for this long.
	// +optional
	For Duration `json:"for,omitempty"`
	// until a date of the customer's own.
	// +optional
	Until *DateOffset `json:"until,omitempty"`
	// untilEvent waits for the customer to do something.
	// +optional
	UntilEvent *UntilEvent `json:"untilEvent,omitempty"`
	// at is the time of day, in the shop's zone: after the rest of the wait, on to the next such time.
	// +optional
	At TimeOfDay `json:"at,omitempty"`
	// weekdays on which the wait may end; on others it goes on.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Weekdays []Weekday `json:"weekdays,omitempty"`
}

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// DateOffset is a moment relative to a date in a customer's life.
// +kubebuilder:validation:XValidation:rule="has(self.of) != has(self.attribute)",message="set exactly one of of, attribute"
type DateOffset struct {
	// of names the date: FirstOrder, LastOrder, NextDelivery, SubscriptionRenewal, CouponExpiry or
	// Replenishment.
	// +optional
	Of DateReference `json:"of,omitempty"`
	// attribute of the customer that holds the date.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Attribute string `json:"attribute,omitempty"`
	// offset from the date: -1d is the day before. Default 0d.
	// +optional
	Offset SignedDuration `json:"offset,omitempty"`
}

// UntilEvent waits for the customer to do something.
type UntilEvent struct {
	// name of the event.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// timeout after which the way goes on without it.
	// +required
	Timeout Duration `json:"timeout"`
}

// WebhookStep calls a system of the shop's.
type WebhookStep struct {
	// url that is called with POST. Plain http is accepted on loopback only.
	// +required
	URL WebhookURL `json:"url"`
	// signingSecretRef names the key that signs the body. Default: unsigned.
	// +optional
	SigningSecretRef *KeyReference `json:"signingSecretRef,omitempty"`
	// body is a Liquid template of the JSON body. Default: the customer's id, the scenario and the step.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	Body string `json:"body,omitempty"`
	// timeout of one call. Default 10s.
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
}

// WebhookURL is where a webhook is called: https anywhere, http on loopback only.
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^(https://[^/?#@ ]+|http://(localhost|127([.][0-9]{1,3}){3}|[[]::1[]])(:[0-9]+)?)([/?][^# ]*)?$')",message="write a URL such as https://shop.example/hook; plain http is accepted on loopback only"
type WebhookURL string

// UpdateStep writes attributes of the customer.
type UpdateStep struct {
	// attributes by name; a value is a Liquid template, and an empty one removes the attribute.
	// +required
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	Attributes map[string]AttributeValue `json:"attributes"`
}

// AttributeValue is the text of an attribute.
// +kubebuilder:validation:MaxLength=1024
type AttributeValue string

// EnterStep enrols the customer in another Scenario.
type EnterStep struct {
	// scenario of the namespace to enter.
	// +required
	// +kubebuilder:validation:XValidation:rule="size(self) <= 52",message="scenario is a Scenario's name, at most 52 characters"
	Scenario ObjectName `json:"scenario"`
}

// ExitStep ends the customer's way. It has no settings.
type ExitStep struct{}

// Winner says how a variant wins.
type Winner struct {
	// metric that decides: Opened (email only), Clicked or Converted.
	// +required
	// +kubebuilder:validation:Enum=Opened;Clicked;Converted
	Metric string `json:"metric"`
	// minRecipients of each variant before anything is decided. Default 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinRecipients int64 `json:"minRecipients,omitempty"`
	// confidence at which a variant wins. Default 95%.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[1-9]?[0-9]([.][0-9]+)?)%$')",message="confidence lies between 0% and 100%"
	Confidence Percentage `json:"confidence,omitempty"`
}

// Fallback goes out instead of a step's message.
// +kubebuilder:validation:XValidation:rule="[has(self.email), has(self.line), has(self.sms)].exists_one(x, x)",message="set exactly one of email, line, sms"
type Fallback struct {
	// email sends a mail instead.
	// +optional
	Email *EmailMessage `json:"email,omitempty"`
	// line sends LINE messages instead.
	// +optional
	Line *LinePush `json:"line,omitempty"`
	// sms sends a text message instead.
	// +optional
	SMS *SMSMessage `json:"sms,omitempty"`
}

// Recommend fills recommendations in the templates.
type Recommend struct {
	// strategy chooses the products.
	// +required
	// +kubebuilder:validation:Enum=BoughtTogether;PopularInCategory;NewArrivals;Replenish;RecentlyViewed
	Strategy string `json:"strategy"`
	// limit is how many at most. Default 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	Limit int32 `json:"limit,omitempty"`
}
