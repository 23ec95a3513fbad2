// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sandbox is a stand-in for the providers Kaeru sends through: LINE's
// Messaging API, Twilio's 2010-04-01 API and a mail server, with the failures
// they really have, and an inbox page that shows every message as its recipient
// would see it. Nothing leaves the machine but Twilio's status callbacks, to
// the addresses that a sender names.
package sandbox

import (
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/line"
	"github.com/kaeru-dev/kaeru/internal/sandbox/mail"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
	"github.com/kaeru-dev/kaeru/internal/sandbox/twilio"
)

// Credentials that a sandbox takes where its Config names none.
const (
	DefaultLINEToken    = "sandbox-line-token"
	DefaultLINEName     = "Kaeru Shop"
	DefaultLINEBasicID  = "@kaeru"
	DefaultTwilioSID    = "AC00000000000000000000000000000001"
	DefaultTwilioToken  = "sandboxtwiliotoken"
	DefaultSMTPUser     = "sandbox"
	DefaultSMTPPassword = "sandbox-smtp-password"
)

// Addresses that the command listens on unless told otherwise.
const (
	DefaultHTTPAddress = "127.0.0.1:8025"
	DefaultSMTPAddress = "127.0.0.1:1025"
)

// The sandbox's own types under one name, for those who only use it.
type (
	// Message is one accepted message for one recipient.
	Message = record.Message
	// ChannelStats are one channel's counts.
	ChannelStats = record.ChannelStats
	// Fault is a rule that makes requests go wrong.
	Fault = fault.Rule
	// FaultMatch narrows a Fault down.
	FaultMatch = fault.Match
	// FaultEffect is what a Fault does.
	FaultEffect = fault.Effect
	// FaultPreset is a failure that has a name.
	FaultPreset = fault.Preset
	// LINEEvent is something that a LINE user does.
	LINEEvent = line.Event
	// ActiveFault is a Fault with its counts.
	ActiveFault = fault.Active
	// Duration is written as "250ms" in JSON.
	Duration = fault.Duration
	// Recipient says what is special about one.
	Recipient = people.Recipient
	// LINEChannel is a LINE official account.
	LINEChannel = line.Channel
	// TwilioAccount is a Twilio account.
	TwilioAccount = twilio.Account
	// SMTPUser may submit mail.
	SMTPUser = mail.User
)

// Config says what a sandbox listens on, whom it knows and what goes wrong. The
// zero Config works: loopback, any free ports, the default credentials.
type Config struct {
	// HTTPAddress serves LINE, Twilio, the JSON API and the inbox; empty is any
	// free port on 127.0.0.1.
	HTTPAddress string `json:"httpAddress,omitempty"`
	// SMTPAddress takes mail, with STARTTLS on offer; empty is any free port on 127.0.0.1.
	SMTPAddress string `json:"smtpAddress,omitempty"`
	// SMTPSAddress takes mail over implicit TLS; empty does without.
	SMTPSAddress string `json:"smtpsAddress,omitempty"`

	// LINE are the official accounts; empty is one with DefaultLINEToken.
	LINE []LINEChannel `json:"line,omitempty"`
	// Twilio are the accounts; empty is one with DefaultTwilioSID and DefaultTwilioToken.
	Twilio []TwilioAccount `json:"twilio,omitempty"`
	// SentAfter and DeliveredAfter are how long an SMS takes in real time to
	// be sent, and then to arrive; empty is 100ms and 300ms.
	SentAfter      Duration `json:"sentAfter,omitempty"`
	DeliveredAfter Duration `json:"deliveredAfter,omitempty"`
	// SMTP are the users who can log in; empty is DefaultSMTPUser.
	SMTP []SMTPUser `json:"smtp,omitempty"`
	// RequireSMTPAuth refuses mail from those who have not logged in.
	RequireSMTPAuth bool `json:"requireSMTPAuth,omitempty"`

	// Returns is where bounces and complaints about mail go: smtp://host:port, or
	// an http(s) address that takes them as message/rfc822. Empty is nowhere.
	Returns string `json:"returns,omitempty"`

	// Recipients are those about whom something is special from the start.
	Recipients []Recipient `json:"recipients,omitempty"`
	// Faults are in force from the start, and so are Presets: failures by name,
	// such as line-500 or line-500:count=3,to=U0*.
	Faults  []Fault  `json:"faults,omitempty"`
	Presets []string `json:"presets,omitempty"`
	// Seed makes faults with a probability hit the same requests again.
	Seed uint64 `json:"seed,omitempty"`

	// Journal is a file that keeps accepted messages and retry keys over a
	// restart; empty keeps them in memory only.
	Journal string `json:"journal,omitempty"`
	// MaxMessages and MaxBytes bound what memory holds; 0 is 200,000 messages
	// and 1 GiB. The oldest go first; counts stay.
	MaxMessages int   `json:"maxMessages,omitempty"`
	MaxBytes    int64 `json:"maxBytes,omitempty"`

	// TimeZone is the IANA zone the inbox shows times in; empty is this machine's.
	TimeZone string `json:"timeZone,omitempty"`

	// Clock gives the times shown and LINE's months; nil is real time. What
	// providers do on real time, they do here too: rate limits, retry keys'
	// 24 hours, delays, the dates in Twilio's answers.
	Clock clock.PassiveClock `json:"-"`
}

func (c Config) withDefaults() Config {
	if c.HTTPAddress == "" {
		c.HTTPAddress = "127.0.0.1:0"
	}
	if c.SMTPAddress == "" {
		c.SMTPAddress = "127.0.0.1:0"
	}
	if len(c.LINE) == 0 {
		c.LINE = []LINEChannel{{
			Name: "line-main", Token: DefaultLINEToken, DisplayName: DefaultLINEName, BasicID: DefaultLINEBasicID,
		}}
	}
	if len(c.Twilio) == 0 {
		c.Twilio = []TwilioAccount{{SID: DefaultTwilioSID, AuthToken: DefaultTwilioToken, FriendlyName: "Kaeru Shop"}}
	}
	if len(c.SMTP) == 0 {
		c.SMTP = []SMTPUser{{Name: DefaultSMTPUser, Password: DefaultSMTPPassword}}
	}
	return c
}
