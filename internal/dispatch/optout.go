// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"maps"
	"slices"
)

// optOutLink is what a text message holds that can be unsubscribed from.
const optOutLink = "links.unsubscribe"

// Text is a text message of a Scenario, and the channel that it goes through.
type Text struct{ Path, Channel string }

// WithoutOptOut lists the text messages that hold no link to unsubscribe. Who gets one of these from a number
// can answer STOP; a sender with a name cannot be answered.
func (r *Revision) WithoutOptOut() (out []Text) {
	for i := range r.Bundle.Spec.Steps {
		step, path := &r.Bundle.Spec.Steps[i], fmt.Sprintf("spec.steps[%d]", i)
		t := r.templates[step.Name]
		lacks := func(t *template) bool { return t.sms != nil && !t.sms.Uses(optOutLink) }
		if m := step.Message(); m != nil && t.sms != nil {
			_, name := m.Through()
			if len(t.variants) == 0 && lacks(&t) {
				out = append(out, Text{path + ".sms.text", string(name)})
			}
			for _, variant := range slices.Sorted(maps.Keys(t.variants)) {
				if v := t.variants[variant]; lacks(&v) {
					out = append(out, Text{path + ".sms.variants, " + variant, string(name)})
				}
			}
		}
		if f := step.Instead(); f != nil && t.fallback != nil && lacks(t.fallback) {
			kind, _ := step.Message().Through()
			_, name := f.Through()
			out = append(out, Text{path + "." + string(kind) + ".fallback.sms.text", string(name)})
		}
	}
	return out
}
