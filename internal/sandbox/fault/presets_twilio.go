// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"fmt"
	"time"
)

var twilioPresets = append([]Preset{
	{
		Name: "twilio-429", Operation: "create", What: "429, too many requests",
		Reaction: "tried again, and the channel slows down", effect: Effect{Status: 429},
	},
	{
		Name: "twilio-timeout", Operation: "create", What: "the message is not taken, and no answer comes for 20 seconds",
		Reaction: "looked up, then unknown; not sent again", effect: Effect{AnswerDelay: unanswered, Drop: true},
	},
	{
		Name: "twilio-lost", Operation: "create", What: "the message is taken, and the connection is cut",
		Reaction: "found by its link: sent", effect: Effect{Accept: true, Drop: true},
	},
	{
		Name: "twilio-500", Operation: "create", What: "500 in JSON, and the message is not taken",
		Reaction: "looked up, then unknown; not sent again", effect: Effect{Status: 500},
	},
	{
		Name: "twilio-503-html", Operation: "create", What: "503 in HTML of a load balancer, and the message is taken",
		Reaction: "found by its link: sent", effect: Effect{Accept: true, Status: 503},
	},
	{
		Name: "twilio-401", Operation: "create", What: "401, the auth token is not valid",
		Reaction: "the channel pauses until the Secret is changed", effect: Effect{Status: 401, Code: 20003},
	},
	{
		Name: "twilio-no-callback", Operation: "callback", What: "no status callback comes",
		Reaction: "the message is asked after", effect: Effect{Drop: true},
	},
	{
		Name: "twilio-callback-twice", Operation: "callback", What: "each status callback comes twice",
		Reaction: "the second changes nothing", effect: Effect{Repeat: 1},
	},
	{
		Name: "twilio-callback-late", Operation: "callback", What: "the first status callback comes after the last",
		Reaction: "delivered stays delivered", match: Match{Once: true}, effect: Effect{Delay: Duration(2 * time.Second)},
	},
	{
		Name: "twilio-callback-forged", Operation: "callback", What: "a status callback's signature is not the account's",
		Reaction: "403; nothing changes", effect: Effect{Forge: true},
	},
}, append(refusals(), undelivered()...)...)

// refusals are the codes with which Twilio does not take a message.
func refusals() []Preset {
	var out []Preset
	for _, c := range []struct {
		code, status   int
		what, reaction string
	}{
		{14107, 429, "too many messages between two numbers", "tried again after 30 seconds; an alert"},
		{21211, 400, "the number is none", "failed; the number is suppressed"},
		{21212, 400, "from is no sender", "the channel pauses until it is changed"},
		{21408, 400, "the recipient's region is not enabled", "the channel pauses until the account is changed"},
		{21610, 400, "the recipient has said STOP", "failed; the number is suppressed"},
		{21611, 429, "the sender's queue is full", "tried again after a minute, and the channel slows down"},
		{21612, 400, "from cannot reach the recipient", "the channel pauses until it is changed"},
		{21614, 400, "the number is no mobile", "failed; the number is suppressed"},
		{21635, 400, "the number is a landline", "failed; the number is suppressed"},
		{30450, 400, "the text is filtered", "failed; an alert when it is many"},
		{63038, 429, "the account's messages of the day are used up", "the channel pauses for an hour"},
	} {
		out = append(out, Preset{
			Name: fmt.Sprintf("twilio-%d", c.code), Operation: "create", What: fmt.Sprintf("%d, code %d: %s", c.status, c.code, c.what),
			Reaction: c.reaction, effect: Effect{Status: c.status, Code: c.code},
		})
	}
	return out
}

// undelivered are the codes with which a message that was taken ends.
func undelivered() []Preset {
	var out []Preset
	for _, c := range []struct {
		code           int
		what, reaction string
	}{
		{30001, "the queue overflowed", "tried again later, as long as it is of use"},
		{30003, "the handset cannot be reached", "tried again later a few times, then suppressed for a while"},
		{30004, "it was blocked", "bounced; an alert when it is many"},
		{30005, "the number is not known", "bounced; the number is suppressed"},
		{30006, "a landline, or a carrier that cannot be reached", "bounced; the number is suppressed"},
		{30007, "the carrier filtered it", "bounced; an alert when it is many"},
		{30008, "for a cause that nobody knows", "tried again later a few times, then suppressed for a while"},
		{30036, "it waited longer than it was good for", "tried again later, as long as it is of use"},
	} {
		out = append(out, Preset{
			Name: fmt.Sprintf("twilio-%d", c.code), Operation: "delivery", What: fmt.Sprintf("taken, then undelivered with %d: %s", c.code, c.what),
			Reaction: c.reaction, effect: Effect{Code: c.code},
		})
	}
	return out
}
