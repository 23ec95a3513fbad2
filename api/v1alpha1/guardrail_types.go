// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "k8s.io/apimachinery/pkg/util/intstr"

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
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=17
	// +kubebuilder:validation:XValidation:rule="type(self)==int?self>=0&&self<2147483648:self.matches('^[0-9]{1,12}([.][0-9]{1,4})?$')",message="write a number such as 10000 or \"0.5\", with at most four decimals; quote it from 2147483648 on"
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
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[1-9]?[0-9]([.][0-9]+)?)%$')",message="bounceRate lies between 0% and 100%"
	BounceRate Percentage `json:"bounceRate,omitempty"`
	// complaintRate of those sent.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[1-9]?[0-9]([.][0-9]+)?)%$')",message="complaintRate lies between 0% and 100%"
	ComplaintRate Percentage `json:"complaintRate,omitempty"`
	// unsubscribeRate of those sent.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[1-9]?[0-9]([.][0-9]+)?)%$')",message="unsubscribeRate lies between 0% and 100%"
	UnsubscribeRate Percentage `json:"unsubscribeRate,omitempty"`
	// minimumSent is how many must be out before a rate means anything. Default 500.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinimumSent int64 `json:"minimumSent,omitempty"`
}
