// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ChannelConfigSpec says how one channel is reached and how much may go through it.
// +kubebuilder:validation:XValidation:rule="[has(self.line), has(self.email), has(self.sms)].exists_one(x, x)",message="set exactly one of line, email, sms"
// +kubebuilder:validation:XValidation:rule="has(self.allowList) == (has(self.mode) && self.mode == 'AllowList')",message="allowList and mode AllowList go together: set both or neither"
type ChannelConfigSpec struct {
	// line is a LINE official account, reached through the Messaging API.
	// +optional
	Line *LineChannel `json:"line,omitempty"`
	// email is a sender address and the SMTP relay that takes its mails.
	// +optional
	Email *EmailChannel `json:"email,omitempty"`
	// sms is a Twilio account with a number or a messaging service.
	// +optional
	SMS *SMSChannel `json:"sms,omitempty"`

	// suspend stops new sends through this channel; what is in flight ends. Messages wait for it.
	// Default false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// mode is Live (send), Sandbox (render and record, never call the provider) or AllowList (send to
	// the customers of allowList, record the rest as skipped). Default Live.
	// +optional
	Mode ChannelMode `json:"mode,omitempty"`
	// allowList holds the ids of the customers who get messages in mode AllowList.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	AllowList []string `json:"allowList,omitempty"`
	// rateLimit is how fast messages leave. Default: 100 a second.
	// +optional
	RateLimit *RateLimit `json:"rateLimit,omitempty"`
	// quietHours are when nobody gets a message from this channel. Default: none.
	// +optional
	QuietHours *QuietHours `json:"quietHours,omitempty"`
	// frequencyCaps limit how many messages one customer gets. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	FrequencyCaps []FrequencyCap `json:"frequencyCaps,omitempty"`
	// cost is the price of a message, for budgets and reports. Default: free.
	// +optional
	Cost *ChannelCost `json:"cost,omitempty"`
}

// ChannelMode says whether messages really leave.
// +kubebuilder:validation:Enum=Live;Sandbox;AllowList
type ChannelMode string

// The channel modes.
const (
	ModeLive      ChannelMode = "Live"
	ModeSandbox   ChannelMode = "Sandbox"
	ModeAllowList ChannelMode = "AllowList"
)

// LineChannel is a LINE official account.
type LineChannel struct {
	// credentialsSecretRef names a Secret with channelSecret, and channelAccessToken; or, for tokens that are
	// renewed, channelID, for which channelSecret issues them, or privateKey and keyID (and tokenKind: stateless or v2.1).
	// +required
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef"`
	// endpoint is the base URL of the Messaging API. Default https://api.line.me. Plain http is
	// accepted on loopback only.
	// +optional
	Endpoint Endpoint `json:"endpoint,omitempty"`
}

// Endpoint is the base URL of a provider: https anywhere, http on loopback only.
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="isURL(self) && self.matches('^(https://[^/?#@ ]+|http://(localhost|127([.][0-9]{1,3}){3}|[[]::1[]])(:[0-9]+)?)(/[^?# ]*)?$')",message="write a base URL such as https://api.example.com; plain http is accepted on loopback only"
type Endpoint string

// SMSChannel is a way to send text messages.
type SMSChannel struct {
	// twilio sends through Twilio.
	// +required
	Twilio TwilioAccount `json:"twilio"`
}

// TwilioAccount is a Twilio account and a sender in it.
// +kubebuilder:validation:XValidation:rule="has(self.from) != has(self.messagingServiceSID)",message="set exactly one of from, messagingServiceSID"
type TwilioAccount struct {
	// credentialsSecretRef names a Secret with accountSID and authToken, or accountSID, apiKeySID and
	// apiKeySecret.
	// +required
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef"`
	// from is the number (E.164) or the alphanumeric sender (at most 11 characters) that sends.
	// +optional
	// +kubebuilder:validation:Pattern=`^(\+[1-9][0-9]{6,14}|[A-Za-z0-9 ]{1,11})$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	From string `json:"from,omitempty"`
	// messagingServiceSID is the Twilio messaging service that sends.
	// +optional
	// +kubebuilder:validation:Pattern=`^MG[0-9a-fA-F]{32}$`
	// +kubebuilder:validation:MinLength=34
	// +kubebuilder:validation:MaxLength=34
	MessagingServiceSID string `json:"messagingServiceSID,omitempty"`
	// endpoint is the base URL of Twilio's API. Default https://api.twilio.com. Plain http is accepted
	// on loopback only.
	// +optional
	Endpoint Endpoint `json:"endpoint,omitempty"`
}

// RateLimit is how fast messages leave.
type RateLimit struct {
	// perSecond is the number of messages a second, over all workers of the channel.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	PerSecond int32 `json:"perSecond,omitempty"`
}

// QuietHours are when nobody gets a message.
// +kubebuilder:validation:XValidation:rule="self.start != self.end",message="start and end must be two different times of day"
type QuietHours struct {
	// start of the quiet time, wall clock. After end, it runs past midnight.
	// +required
	Start TimeOfDay `json:"start"`
	// end of the quiet time, wall clock; a message may go at this very minute.
	// +required
	End TimeOfDay `json:"end"`
	// timeZone of start and end where the customer's own is not known. Default: the shop's, else UTC.
	// +optional
	TimeZone TimeZone `json:"timeZone,omitempty"`
	// policy is Defer (send at the end of the quiet time) or Skip. Default Defer.
	// +optional
	Policy QuietPolicy `json:"policy,omitempty"`
}

// QuietPolicy says what happens to a message in quiet hours.
// +kubebuilder:validation:Enum=Defer;Skip
type QuietPolicy string

// The quiet-hours policies.
const (
	QuietDefer QuietPolicy = "Defer"
	QuietSkip  QuietPolicy = "Skip"
)

// FrequencyCap limits the messages one customer gets in a time.
type FrequencyCap struct {
	// messages is how many one customer may get.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Messages int32 `json:"messages,omitempty"`
	// per is the sliding window in which they are counted.
	// +required
	Per Duration `json:"per"`
	// scope is Channel (this channel's messages) or Namespace (all channels together). Default Channel.
	// +optional
	// +kubebuilder:validation:Enum=Channel;Namespace
	Scope string `json:"scope,omitempty"`
}

// ChannelCost is what a message costs.
type ChannelCost struct {
	// perMessage is the price of one message; of one part for SMS.
	// +required
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals; quote it from 2147483648 on"
	PerMessage intstr.IntOrString `json:"perMessage"`
	// currency of perMessage and monthlyBudget. Default: the shop's.
	// +optional
	Currency Currency `json:"currency,omitempty"`
	// monthlyBudget is the most that this channel may spend in a calendar month. Default: no limit.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals; quote it from 2147483648 on"
	MonthlyBudget *intstr.IntOrString `json:"monthlyBudget,omitempty"`
}

// ChannelConfigStatus is what Kaeru saw of the channel.
type ChannelConfigStatus struct {
	// observedGeneration is the generation of the spec that this status is about; -1 before the first.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions are Ready, CredentialsValid, QuotaAvailable, BudgetAvailable and DKIMVerified, and UnitsAvailable while it is False.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// type is line, email or sms.
	// +optional
	Type ChannelType `json:"type,omitempty"`
	// account is what the provider calls the account.
	// +optional
	Account string `json:"account,omitempty"`
	// quota is what the provider lets this account send in the month.
	// +optional
	Quota *ChannelQuota `json:"quota,omitempty"`
	// month counts what went out in the current calendar month (the shop's zone).
	// +optional
	Month *ChannelMonth `json:"month,omitempty"`
	// webhookPath is where the provider's callbacks come in, under the gateway's public URL.
	// +optional
	WebhookPath string `json:"webhookPath,omitempty"`
	// lastHandledRequest is the last value of the annotation crm.kaeru.dev/requestedAt that was acted on.
	// +optional
	LastHandledRequest string `json:"lastHandledRequest,omitempty"`
}

// ChannelQuota is a provider's own monthly limit.
type ChannelQuota struct {
	// limit of messages in the month. Absent where there is none.
	// +optional
	Limit *int64 `json:"limit,omitempty"`
	// used so far, by the provider's count.
	// +optional
	Used int64 `json:"used"`
	// remaining of limit. Absent where there is no limit.
	// +optional
	Remaining *int64 `json:"remaining,omitempty"`
	// checkedAt is when the numbers were last seen to change.
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`
}

// ChannelMonth is the current month's volume.
type ChannelMonth struct {
	// sent is the number of messages sent.
	// +optional
	Sent int64 `json:"sent"`
	// cost of what was sent.
	// +optional
	Cost string `json:"cost,omitempty"`
	// currency of cost.
	// +optional
	Currency string `json:"currency,omitempty"`
}

// ChannelConfig is one way to reach customers: a LINE official account, an email sender or an SMS sender.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=chc,categories=kaeru
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.status.type`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account`
// +kubebuilder:printcolumn:name="Sent",type=integer,JSONPath=`.status.month.sent`,description="Messages sent this month"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Mode",type=string,priority=1,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Cost",type=string,priority=1,JSONPath=`.status.month.cost`
// +kubebuilder:printcolumn:name="Remaining",type=integer,priority=1,JSONPath=`.status.quota.remaining`,description="Messages that the provider still takes this month"
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ChannelConfig struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec is what users write. Kaeru never changes it.
	// +required
	Spec ChannelConfigSpec `json:"spec"`
	// status is what Kaeru saw.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ChannelConfigStatus `json:"status,omitempty,omitzero"`
}

// ChannelConfigList is a list of ChannelConfigs.
// +kubebuilder:object:root=true
type ChannelConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ChannelConfig `json:"items"`
}
