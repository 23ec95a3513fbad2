// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

// Uses says whether the mail reads a variable, such as "coupon".
func (e *Email) Uses(name string) bool { return uses(name, e.subject, e.html, e.text) }

// Uses says whether the messages read a variable.
func (l *Line) Uses(name string) bool {
	for _, pieces := range l.messages {
		for i := range pieces {
			if uses(name, pieces[i].text) {
				return true
			}
		}
	}
	return false
}

// Uses says whether the text reads a variable.
func (s *SMS) Uses(name string) bool { return uses(name, s.body) }

// Uses says whether an attribute reads a variable.
func (a *Attributes) Uses(name string) bool { return uses(name, a.values...) }

func uses(name string, of ...*template) bool {
	for _, t := range of {
		if t != nil && t.Template.Uses(name) {
			return true
		}
	}
	return false
}
