// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"fmt"
)

// LineMessage is one of LINE's own message objects, as the Messaging API takes it. The schema leaves
// it open: LINE adds types and properties, and what is wrong with one is said in Stalled.
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
// +kubebuilder:object:generate=false
type LineMessage struct {
	// type of the message object.
	// +required
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
