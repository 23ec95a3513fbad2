// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// lineKeyLife is how long LINE remembers a retry key, less an hour. The sender asks the same once more.
const lineKeyLife = 23 * time.Hour

// redrivable are the reasons for which a message was left out that another moment may change.
var redrivable = map[string]bool{ReasonExpired: true, ReasonMissingValue: true}

// senseless are the reasons of failures that another try cannot change.
var senseless = map[string]string{
	channel.ReasonRecipientInvalid:  "the provider says that the address is none: correct it, and later messages go there",
	channel.ReasonRecipientOptedOut: "the recipient told the provider to stop",
	channel.ReasonContentRefused:    "the provider does not take what it says, which is that of its revision: correct the step for later messages",
	channel.ReasonContentTooLarge:   "it is too large, and would be again: correct the step for later messages",
	channel.ReasonContentFiltered:   "it was taken for spam, and would be again",
	channel.ReasonMessageInvalid:    "it is malformed, and would be again: correct the step for later messages",
	ReasonRevisionGone:              "the revision that it was planned with is gone",
	ReasonStepGone:                  "its step is not in the revision that it was planned with",
}

// mayHave is what is said of a message whose outcome was lost, by its kind.
var mayHave = map[string]string{
	string(journey.KindEmail):   "the mail server may have it and cannot be asked; --unknown sends it again with the same Message-ID",
	string(journey.KindLine):    "LINE may have it; --unknown sends it again with the same retry key, which LINE knows for a day",
	string(journey.KindSMS):     "Twilio may have it; --unknown has it looked up there first, and sent where it is not found",
	string(journey.KindWebhook): "the system that is called may have it; --unknown calls again with the same webhook-id",
}

// refusal is why a message is not planned again, empty where it is. at is where its scenario is, and the zero place
// where that is deleted. What the customer allows is asked again when it is sent; here it spares a way for nothing.
func (u unsentMessage) refusal(m *Outgoing, at place, unknown bool) string {
	switch u.state {
	case "":
		return "it is not there any more"
	case StatePlanned, StateSending:
		return "it is on its way"
	case StateSent:
		return "it was sent"
	case StateCancelled:
		return "it was cancelled: " + u.reason
	}
	word, _, _ := strings.Cut(u.reason, ":")
	calls := m.Kind == string(journey.KindWebhook)
	switch {
	case at == (place{}):
		return "its Scenario is deleted"
	case at.epoch != m.Epoch:
		return "its epoch is over: the Scenario is in another one"
	case strings.HasPrefix(u.stopped, aborted):
		return "guardrails stopped what it belongs to"
	case u.state == StateSkipped && !redrivable[word]:
		return "it was left out for a reason that stands: " + word
	case u.state == StateFailed && senseless[word] != "":
		return senseless[word]
	case !u.known:
		return "its customer is gone"
	case u.exited != "" && u.exited != journey.ReasonExitStep:
		return "its customer has left the Scenario: " + u.exited
	case !calls && u.consent != "granted":
		return "its customer does not consent to " + m.Kind
	case !calls && u.withdrawn:
		return "its customer has withdrawn the consent to its purpose"
	case !calls && !u.addressed:
		return "its customer has no address for " + m.Kind
	case !calls && u.suppressed != "":
		return "its address is suppressed: " + u.suppressed
	case u.state == StateUnknown && !unknown:
		return mayHave[m.Kind]
	case u.state == StateUnknown && m.Kind == string(journey.KindLine) && u.begun.IsZero():
		return "when it was sent first is not known, and so not whether LINE still knows its retry key: it would be a second message"
	case u.state == StateUnknown && m.Kind == string(journey.KindLine) && time.Since(u.begun) > lineKeyLife:
		return "LINE forgets a retry key after a day: it would be a second message"
	}
	return ""
}
