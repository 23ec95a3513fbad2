// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// The values of enumerated fields that are plain strings, as they are written in a spec.
const (
	SpendTotal   = "Total"
	SpendAverage = "Average"

	ReachableAny = "Any"
	ReachableAll = "All"

	AttributePresent = "Present"
	AttributeAbsent  = "Absent"

	AnniversaryYearly = "Yearly"

	CapChannel   = "Channel"
	CapNamespace = "Namespace"

	ReentryNever     = "Never"
	ReentryAfterExit = "AfterExit"
	ReentryAlways    = "Always"

	AttributionLastTouch  = "LastTouch"
	AttributionFirstTouch = "FirstTouch"
	AttributionLinear     = "Linear"

	// EventOrderCompleted is an order that counts, imported or tracked.
	EventOrderCompleted = "Order Completed"
)
