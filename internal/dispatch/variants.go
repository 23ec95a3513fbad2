// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// variantsOf are a step's messages with the content of each variant, by its name. What a variant does not
// say is the step's own.
func variantsOf(step *crm.Step) map[string]*crm.Step {
	out := map[string]*crm.Step{}
	with := func(name string, change func(*crm.Step)) {
		v := step.DeepCopy()
		change(v)
		out[name] = v
	}
	switch {
	case step.Email != nil:
		for i := range step.Email.Variants {
			v := &step.Email.Variants[i]
			with(v.Name, func(s *crm.Step) { overrideEmail(&s.Email.EmailContent, &v.EmailContent) })
		}
	case step.Line != nil:
		for i := range step.Line.Variants {
			v := &step.Line.Variants[i]
			with(v.Name, func(s *crm.Step) {
				if len(v.Messages) > 0 {
					s.Line.Messages = v.Messages
				}
			})
		}
	case step.SMS != nil:
		for i := range step.SMS.Variants {
			v := &step.SMS.Variants[i]
			with(v.Name, func(s *crm.Step) {
				if v.Text != "" {
					s.SMS.Text = v.Text
				}
			})
		}
	}
	return out
}

// overrideEmail replaces what a variant says. A body in HTML is one thing, however it is written.
func overrideEmail(c, v *crm.EmailContent) {
	if v.Subject != "" {
		c.Subject = v.Subject
	}
	if v.Preheader != "" {
		c.Preheader = v.Preheader
	}
	if v.MJML != "" || v.HTML != "" {
		c.MJML, c.HTML = v.MJML, v.HTML
		if v.Text == "" {
			c.Text = "" // made of the new body
		}
	}
	if v.Text != "" {
		c.Text = v.Text
	}
}
