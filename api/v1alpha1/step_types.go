// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"fmt"
)

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
// +kubebuilder:validation:XValidation:rule="[has(self.for), has(self.until), has(self.untilEvent)].filter(x, x).size() <= 1",message="set at most one of for, until, untilEvent"
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

// EmailContent is a mail. Every text is a Liquid template.
type EmailContent struct {
	// subject line.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=998
	Subject string `json:"subject,omitempty"`
	// preheader is what a mail client shows beside the subject.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	Preheader string `json:"preheader,omitempty"`
	// mjml is the body in MJML.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=131072
	MJML string `json:"mjml,omitempty"`
	// mjmlFrom reads the body in MJML from elsewhere.
	// +optional
	MJMLFrom *ContentSource `json:"mjmlFrom,omitempty"`
	// html is the body in HTML.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=131072
	HTML string `json:"html,omitempty"`
	// htmlFrom reads the body in HTML from elsewhere.
	// +optional
	HTMLFrom *ContentSource `json:"htmlFrom,omitempty"`
	// text is the plain body. Default: made from the HTML.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=131072
	Text string `json:"text,omitempty"`
	// textFrom reads the plain body from elsewhere.
	// +optional
	TextFrom *ContentSource `json:"textFrom,omitempty"`
}

// EmailMessage is a mail through a channel.
// +kubebuilder:validation:XValidation:rule="has(self.subject)",message="subject is required"
// +kubebuilder:validation:XValidation:rule="[has(self.mjml), has(self.mjmlFrom), has(self.html), has(self.htmlFrom)].filter(x, x).size() <= 1 && [has(self.text), has(self.textFrom)].filter(x, x).size() <= 1",message="set at most one of mjml, mjmlFrom, html, htmlFrom, and at most one of text, textFrom"
// +kubebuilder:validation:XValidation:rule="has(self.mjml) || has(self.mjmlFrom) || has(self.html) || has(self.htmlFrom) || has(self.text) || has(self.textFrom)",message="a mail needs a body: set mjml, mjmlFrom, html, htmlFrom, text or textFrom"
type EmailMessage struct {
	// channel is the ChannelConfig, of type email, that sends.
	// +required
	Channel      ObjectName `json:"channel"`
	EmailContent `json:",inline"`
	// recommend fills recommendations in the templates.
	// +optional
	Recommend *Recommend `json:"recommend,omitempty"`
}

// EmailStep sends a mail.
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants"
type EmailStep struct {
	EmailMessage `json:",inline"`
	// variants of the content, tried against each other.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=8
	Variants []EmailVariant `json:"variants,omitempty"`
	// winner says how a variant wins; the rest then get it. Default: the variants run side by side.
	// +optional
	Winner *Winner `json:"winner,omitempty"`
	// fallback goes out instead where the customer cannot be reached or the send fails for good.
	// +optional
	Fallback *Fallback `json:"fallback,omitempty"`
}

// VariantShare names a variant and its share.
type VariantShare struct {
	// name of the variant.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// weight of the variant against the others'. 0 gives it to nobody new.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Weight int32 `json:"weight"`
}

// EmailVariant changes the content for its share.
type EmailVariant struct {
	VariantShare `json:",inline"`
	EmailContent `json:",inline"`
}

// LineMessage is one of LINE's own message objects, as the Messaging API takes it.
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:object:generate=false
type LineMessage struct {
	// type of the message object.
	// +required
	// +kubebuilder:validation:Enum=text;textV2;sticker;image;video;audio;location;imagemap;template;flex;coupon
	Type string `json:"type"`
	// raw is the whole object as it was written.
	Raw json.RawMessage `json:"-"`
}

// MarshalJSON gives the object as it was written.
func (m LineMessage) MarshalJSON() ([]byte, error) {
	if m.Raw == nil {
		return json.Marshal(map[string]string{"type": m.Type})
	}
	return m.Raw, nil
}

// UnmarshalJSON keeps the object as it was written.
func (m *LineMessage) UnmarshalJSON(b []byte) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("reading a LINE message object: %w", err)
	}
	m.Type, m.Raw = head.Type, append(json.RawMessage(nil), b...)
	return nil
}

// DeepCopyInto copies m.
func (m *LineMessage) DeepCopyInto(out *LineMessage) {
	out.Type, out.Raw = m.Type, append(json.RawMessage(nil), m.Raw...)
}

// DeepCopy copies m.
func (m *LineMessage) DeepCopy() *LineMessage {
	if m == nil {
		return nil
	}
	out := new(LineMessage)
	m.DeepCopyInto(out)
	return out
}

// LineContent is what one push carries.
type LineContent struct {
	// messages are LINE's own message objects, 1 to 5; every string in them is a Liquid template.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Messages []LineMessage `json:"messages,omitempty"`
}

// LinePush is a push through a channel.
// +kubebuilder:validation:XValidation:rule="has(self.messages)",message="messages is required: write 1 to 5 of LINE's message objects"
type LinePush struct {
	// channel is the ChannelConfig, of type line, that sends.
	// +required
	Channel     ObjectName `json:"channel"`
	LineContent `json:",inline"`
	// recommend fills recommendations in the templates.
	// +optional
	Recommend *Recommend `json:"recommend,omitempty"`
}

// LineStep sends LINE messages.
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants"
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || self.winner.metric != 'Opened'",message="metric Opened exists for email only: LINE tells nobody who read what"
type LineStep struct {
	LinePush `json:",inline"`
	// variants of the content, tried against each other.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=8
	Variants []LineVariant `json:"variants,omitempty"`
	// winner says how a variant wins; the rest then get it. Default: the variants run side by side.
	// +optional
	Winner *Winner `json:"winner,omitempty"`
	// fallback goes out instead where the customer cannot be reached or the send fails for good.
	// +optional
	Fallback *Fallback `json:"fallback,omitempty"`
}

// LineVariant changes the content for its share.
type LineVariant struct {
	VariantShare `json:",inline"`
	LineContent  `json:",inline"`
}

// SMSContent is a text message.
type SMSContent struct {
	// text is a Liquid template.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Text string `json:"text,omitempty"`
}

// SMSMessage is a text message through a channel.
// +kubebuilder:validation:XValidation:rule="has(self.text)",message="text is required"
type SMSMessage struct {
	// channel is the ChannelConfig, of type sms, that sends.
	// +required
	Channel    ObjectName `json:"channel"`
	SMSContent `json:",inline"`
	// recommend fills recommendations in the templates.
	// +optional
	Recommend *Recommend `json:"recommend,omitempty"`
}

// SMSStep sends a text message.
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants"
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || self.winner.metric != 'Opened'",message="metric Opened exists for email only: nobody tells who read an SMS"
type SMSStep struct {
	SMSMessage `json:",inline"`
	// variants of the content, tried against each other.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=8
	Variants []SMSVariant `json:"variants,omitempty"`
	// winner says how a variant wins; the rest then get it. Default: the variants run side by side.
	// +optional
	Winner *Winner `json:"winner,omitempty"`
	// fallback goes out instead where the customer cannot be reached or the send fails for good.
	// +optional
	Fallback *Fallback `json:"fallback,omitempty"`
}

// SMSVariant changes the content for its share.
type SMSVariant struct {
	VariantShare `json:",inline"`
	SMSContent   `json:",inline"`
}

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

// WebhookStep calls a system of the shop's.
type WebhookStep struct {
	// url that is called with POST. Plain http is accepted on loopback only.
	// +required
	URL Endpoint `json:"url"`
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
