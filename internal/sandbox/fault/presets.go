// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import "time"

// Preset is a failure that a provider really has, by name.
type Preset struct {
	Name string `json:"name"`
	// Provider and Operation are where it happens.
	Provider  string `json:"provider"`
	Operation string `json:"operation"`
	// What happens, and how a sender should react.
	What     string `json:"what"`
	Reaction string `json:"reaction"`

	match  Match
	effect Effect
}

// unanswered is longer than any sender waits for an answer.
const unanswered = Duration(20 * time.Second)

// Presets are all failures that have a name, by provider.
func Presets() []Preset {
	var out []Preset
	for _, of := range []struct {
		provider string
		list     []Preset
	}{{LINE, linePresets}, {Twilio, twilioPresets}, {SMTP, smtpPresets}} {
		for _, p := range of.list {
			p.Provider = of.provider
			out = append(out, p)
		}
	}
	return out
}

const typeJSON = "application/json"

var linePresets = []Preset{
	{
		Name: "line-timeout", Operation: "push", What: "the push is taken, and no answer comes for 20 seconds",
		Reaction: "the same key again; the 409 says that it was sent", match: Match{Once: true},
		effect: Effect{Accept: true, AnswerDelay: unanswered, Drop: true},
	},
	{
		Name: "line-reset", Operation: "push", What: "the connection is cut, and the push is not taken",
		Reaction: "the same key again, later and later", effect: Effect{Drop: true},
	},
	{
		Name: "line-500", Operation: "push", What: "500, and the push is not taken",
		Reaction: "the same key again, later and later", effect: Effect{Status: 500},
	},
	{
		Name: "line-409", Operation: "push", What: "the push is taken and answered 500, so its repeat is answered 409",
		Reaction: "sent, with the id of the 409", match: Match{Once: true}, effect: Effect{Accept: true, Status: 500},
	},
	{
		Name: "line-429-rate", Operation: "push", What: "429, the rate limit",
		Reaction: "the same key again, and the channel slows down", effect: Effect{Status: 429},
	},
	{
		Name: "line-429-concurrent", Operation: "push", What: "429, too many operations at once",
		Reaction: "the same key again, and the channel slows down",
		effect:   Effect{Status: 429, Message: "The API rate limit has been exceeded due to concurrent operations. Try again later."},
	},
	{
		Name: "line-429-monthly", Operation: "push", What: "429, the month's messages are used up",
		Reaction: "the channel pauses until the month's end", effect: Effect{Status: 429, Message: "You have reached your monthly limit."},
	},
	{
		Name: "line-400-details", Operation: "push", What: "400, a message object is wrong, with its path",
		Reaction: "failed; the template must change",
		effect: Effect{Status: 400, ContentType: typeJSON, Body: `{"message":"The request body has 1 error(s)",` +
			`"details":[{"message":"May not be empty","property":"messages[0].text"}]}`},
	},
	{
		Name: "line-400-user", Operation: "push", What: "400, there is no such user",
		Reaction: "failed; the LINE id is suppressed", effect: Effect{Status: 400},
	},
	{
		Name: "line-401", Operation: "push", What: "401, the token is not valid",
		Reaction: "the channel pauses until the Secret is changed", effect: Effect{Status: 401},
	},
	{
		Name: "line-403", Operation: "push", What: "403, the account may not use the API",
		Reaction: "the channel pauses until the account is changed", effect: Effect{Status: 403},
	},
	{
		Name: "line-413", Operation: "push", What: "413, the request is larger than LINE reads",
		Reaction: "failed; the template must change", effect: Effect{Status: 413},
	},
	{
		Name: "line-unfollow", Operation: "push", What: "the push is taken, and the user blocks the account",
		Reaction: "sent; the LINE id is suppressed until a follow", effect: Effect{Back: BackUnfollow},
	},
	{
		Name: "line-webhook-forged", Operation: "webhook", What: "a webhook's signature is not the channel's",
		Reaction: "403; nothing changes", effect: Effect{Forge: true},
	},
	{
		Name: "line-webhook-twice", Operation: "webhook", What: "a webhook comes twice",
		Reaction: "the second changes nothing", effect: Effect{Repeat: 1},
	},
}

var smtpPresets = []Preset{
	{
		Name: "smtp-421", Operation: "mail", What: "421, the server closes the connection",
		Reaction: "tried again on another connection, and the channel slows down", effect: Effect{Status: 421, Enhanced: "4.3.2"},
	},
	{
		Name: "smtp-450", Operation: "rcpt", What: "450, the mailbox cannot be reached now",
		Reaction: "tried again, later and later", effect: Effect{Status: 450, Enhanced: "4.2.0"},
	},
	{
		Name: "smtp-greylist", Operation: "rcpt", What: "451, the server greylists",
		Reaction: "tried again after 5 minutes", match: Match{Once: true},
		effect: Effect{Status: 451, Enhanced: "4.7.1", Message: "Greylisted, try again later"},
	},
	{
		Name: "smtp-rate", Operation: "mail", What: "451, too many mails in a time",
		Reaction: "tried again, and the channel slows down", effect: Effect{Status: 451, Enhanced: "4.7.0", Message: "Too many messages, slow down"},
	},
	{
		Name: "smtp-full", Operation: "rcpt", What: "452, the mailbox is full",
		Reaction: "tried again, later and later", effect: Effect{Status: 452, Enhanced: "4.2.2", Message: "The mailbox is full"},
	},
	{
		Name: "smtp-drop-connect", Operation: "connect", What: "the connection is cut before the greeting",
		Reaction: "tried again on another connection", effect: Effect{Drop: true},
	},
	{
		Name: "smtp-drop-before-dot", Operation: "data", What: "the connection is cut before the final dot",
		Reaction: "tried again on another connection", effect: Effect{Drop: true},
	},
	{
		Name: "smtp-drop-after-dot", Operation: "data", What: "the mail is taken, and the connection is cut before the answer",
		Reaction: "unknown; not sent again", effect: Effect{Accept: true, Drop: true},
	},
	{
		Name: "smtp-511", Operation: "rcpt", What: "550 5.1.1, there is no such mailbox",
		Reaction: "failed; the address is suppressed", effect: Effect{Status: 550, Enhanced: "5.1.1", Message: "The mailbox does not exist"},
	},
	{
		Name: "smtp-571", Operation: "data", What: "550 5.7.1, the server's policy is against the mail",
		Reaction: "failed; the channel pauses until something is changed; nobody is suppressed",
		effect:   Effect{Status: 550, Enhanced: "5.7.1", Message: "Message rejected due to policy"},
	},
	{
		Name: "smtp-571-rcpt", Operation: "rcpt", What: "550 5.7.1, the server's policy is against a mail to this recipient",
		Reaction: "failed; the channel pauses for 15 minutes; nobody is suppressed",
		effect:   Effect{Status: 550, Enhanced: "5.7.1", Message: "Relaying denied"},
	},
	{
		Name: "smtp-554-spam", Operation: "data", What: "554, the mail is taken for spam",
		Reaction: "failed; nobody is suppressed", effect: Effect{Status: 554, Enhanced: "5.6.0", Message: "Message looks like spam"},
	},
	{
		Name: "smtp-535", Operation: "auth", What: "535, the password is wrong",
		Reaction: "the channel pauses until the Secret is changed", effect: Effect{Status: 535, Enhanced: "5.7.8"},
	},
	{
		Name: "smtp-tls", Operation: "tls", What: "the certificate has expired",
		Reaction: "the channel is not used until the certificate is good", effect: Effect{Drop: true},
	},
	{
		Name: "dsn-hard", Operation: "data", What: "the mail is taken, and a delivery report says 5.1.1",
		Reaction: "bounced; the address is suppressed", effect: Effect{Back: BackHard},
	},
	{
		Name: "dsn-soft", Operation: "data", What: "the mail is taken, and a delivery report says 4.2.2",
		Reaction: "bounced; the address is suppressed after several", effect: Effect{Back: BackSoft},
	},
	{
		Name: "dsn-policy", Operation: "data", What: "the mail is taken, and a delivery report says 5.7.1",
		Reaction: "bounced; nobody is suppressed", effect: Effect{Back: BackPolicy},
	},
	{
		Name: "arf-complaint", Operation: "data", What: "the mail is taken, and its recipient calls it spam",
		Reaction: "complained; the address is suppressed for good", effect: Effect{Back: BackComplaint},
	},
}
