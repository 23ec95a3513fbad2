// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SegmentSpec says who belongs to a segment.
type SegmentSpec struct {
	// description for people.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`
	// refreshInterval is how often membership is brought up to date with the time that passes. Facts
	// that come in do so within seconds. Default 15m, at least 1m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('[1-9][0-9]*[mhdw]|[6-9][0-9]s|[1-9][0-9]{2,}s')",message="refreshInterval is at least 1m"
	RefreshInterval Duration `json:"refreshInterval,omitempty"`
	// suspend stops refreshes; the members stay as they are. Default false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// match are the conditions; all, any and none hold together.
	// +required
	Match Match `json:"match"`
}

// Match combines conditions: everything in all, at least one in any, nothing in none.
// +kubebuilder:validation:XValidation:rule="has(self.all) || has(self.any) || has(self.none)",message="match needs conditions: give at least one of all, any, none"
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
	// candidates is how many customers were looked at: all, or those for whom something had changed.
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
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="LINE",type=integer,priority=1,JSONPath=`.status.reachable.line`
// +kubebuilder:printcolumn:name="Email",type=integer,priority=1,JSONPath=`.status.reachable.email`
// +kubebuilder:printcolumn:name="SMS",type=integer,priority=1,JSONPath=`.status.reachable.sms`
// +kubebuilder:printcolumn:name="Entered",type=integer,priority=1,JSONPath=`.status.entered`
// +kubebuilder:printcolumn:name="Exited",type=integer,priority=1,JSONPath=`.status.exited`
// +kubebuilder:printcolumn:name="Refreshed",type=date,priority=1,JSONPath=`.status.lastRefresh.time`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
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
