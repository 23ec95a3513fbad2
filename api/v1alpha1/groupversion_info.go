// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the contract with users' repositories: ChannelConfig, Segment and Scenario.
//
// A spec is only ever read. Defaults live in the getters beside the types and in the fields'
// documentation, never in the stored object, so that GitOps tools see no difference.
//
// +kubebuilder:object:generate=true
// +groupName=crm.kaeru.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the three kinds.
var GroupVersion = schema.GroupVersion{Group: "crm.kaeru.dev", Version: "v1alpha1"}

var schemeBuilder = runtime.NewSchemeBuilder(func(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&ChannelConfig{}, &ChannelConfigList{},
		&Segment{}, &SegmentList{},
		&Scenario{}, &ScenarioList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
})

// AddToScheme registers the three kinds.
var AddToScheme = schemeBuilder.AddToScheme
