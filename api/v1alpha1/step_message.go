// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Message is what a step sends, as one of the three kinds that a fallback may be; nil where it sends none.
func (s *Step) Message() *Fallback {
	switch {
	case s.Email != nil:
		return &Fallback{Email: &s.Email.EmailMessage}
	case s.Line != nil:
		return &Fallback{Line: &s.Line.LinePush}
	case s.SMS != nil:
		return &Fallback{SMS: &s.SMS.SMSMessage}
	}
	return nil
}

// Instead is what goes out instead of the step's message; nil where nothing does.
func (s *Step) Instead() *Fallback {
	switch {
	case s.Email != nil:
		return s.Email.Fallback
	case s.Line != nil:
		return s.Line.Fallback
	case s.SMS != nil:
		return s.SMS.Fallback
	}
	return nil
}

// Through names the channel that a message goes through, and its type.
func (f *Fallback) Through() (ChannelType, ObjectName) {
	switch {
	case f.Email != nil:
		return ChannelEmail, f.Email.Channel
	case f.Line != nil:
		return ChannelLine, f.Line.Channel
	}
	return ChannelSMS, f.SMS.Channel
}

// Recommends says which products a message recommends; nil for none.
func (f *Fallback) Recommends() *Recommend {
	switch {
	case f.Email != nil:
		return f.Email.Recommend
	case f.Line != nil:
		return f.Line.Recommend
	}
	return f.SMS.Recommend
}
