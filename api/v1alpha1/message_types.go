// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

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
// +kubebuilder:validation:XValidation:rule="has(self.subject)",message="subject is required: write the subject line"
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
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants: add at least two or remove winner"
// +kubebuilder:validation:XValidation:rule="!has(self.variants) || self.variants.exists(v, v.weight > 0)",message="variants need a weight above 0: give one to at least one of them"
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
// +kubebuilder:validation:XValidation:rule="[has(self.mjml), has(self.mjmlFrom), has(self.html), has(self.htmlFrom)].filter(x, x).size() <= 1 && [has(self.text), has(self.textFrom)].filter(x, x).size() <= 1",message="set at most one of mjml, mjmlFrom, html, htmlFrom, and at most one of text, textFrom"
type EmailVariant struct {
	VariantShare `json:",inline"`
	EmailContent `json:",inline"`
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
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants: add at least two or remove winner"
// +kubebuilder:validation:XValidation:rule="!has(self.variants) || self.variants.exists(v, v.weight > 0)",message="variants need a weight above 0: give one to at least one of them"
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
// +kubebuilder:validation:XValidation:rule="has(self.text)",message="text is required: write the text of the message"
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
// +kubebuilder:validation:XValidation:rule="!has(self.winner) || has(self.variants)",message="winner needs variants: add at least two or remove winner"
// +kubebuilder:validation:XValidation:rule="!has(self.variants) || self.variants.exists(v, v.weight > 0)",message="variants need a weight above 0: give one to at least one of them"
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
