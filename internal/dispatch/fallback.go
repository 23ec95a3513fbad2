// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import "slices"

// unreachable are the reasons for which the customer cannot be reached on a channel.
var unreachable = []string{ReasonNoConsent, ReasonNoPurpose, ReasonNoAddress, ReasonSuppressed}

// tooLate are the ends of messages that nothing else goes out for: the moment has passed, or nobody knows what
// was to be said.
var tooLate = []string{ReasonExpired, ReasonRevisionGone, ReasonStepGone}

// fallsBack tells whether a message that comes to an end goes out as its step's fallback instead: the customer
// cannot be reached, or the provider will never take it. It is the same message, which goes out once whichever
// way. What the provider may have is never sent another way.
func (l *letter) fallsBack(to *end) bool {
	if l.planned == nil || l.planned.Fallback == nil || l.fellBack != "" || l.lost {
		return false
	}
	switch to.state {
	case StateSkipped:
		return slices.Contains(unreachable, to.reason)
	case StateFailed:
		return !slices.Contains(tooLate, to.reason)
	}
	return false
}
