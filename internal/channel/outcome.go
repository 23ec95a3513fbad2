// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import "time"

// End is how one sending ended.
type End string

const (
	// Sent means the provider took the message.
	Sent End = "Sent"
	// Failed means it will never take it.
	Failed End = "Failed"
	// Retry means nothing was taken, or what was is harmless to repeat (see Outcome.Ambiguous).
	Retry End = "Retry"
	// Unknown means the provider may have it, and nobody can tell.
	Unknown End = "Unknown"
)

// Outcome says what became of a message.
type Outcome struct {
	End End
	// Reason is one of the constants below; empty when Sent.
	Reason string
	// Detail is for an operator: the provider's code and words, never an address, text or secret.
	Detail string
	// ProviderID is the provider's name for the message, when it gave one.
	ProviderID string
	// Parts is the number of SMS segments; 0 where it is not known or means nothing.
	Parts int
	// Suppress means the address must not be used again on this channel.
	Suppress bool
	// Pause, when set, stops the whole channel.
	Pause *Pause
	// RetryAfter, with Retry, is the least time to wait; 0 leaves it to the caller's backoff.
	RetryAfter time.Duration
	// Slow means that the channel as a whole should slow down.
	Slow bool
	// Ambiguous, with Retry, means the provider may have the message already. Only Resolve may
	// follow: it can no longer be cancelled, changed or sent another way. LINE alone answers so.
	Ambiguous bool
}

// Pause stops a channel.
type Pause struct {
	Reason string
	// Until is when to try again; zero means when somebody has changed something.
	Until time.Time
	// Detail is for an operator, as Outcome's; whoever reacts to an outcome fills it in.
	Detail string
}

// Reasons of outcomes, pauses and check errors.
const (
	// The recipient.
	ReasonRecipientInvalid     = "RecipientInvalid"     // the address does not exist or cannot be one
	ReasonRecipientOptedOut    = "RecipientOptedOut"    // told the provider to stop
	ReasonRecipientUnreachable = "RecipientUnreachable" // exists, but cannot be reached now
	ReasonMailboxFull          = "MailboxFull"

	// The message.
	ReasonContentRefused  = "ContentRefused" // malformed in the provider's eyes: the template must change
	ReasonContentTooLarge = "ContentTooLarge"
	ReasonContentFiltered = "ContentFiltered" // taken for spam by a carrier or a mail server
	ReasonMessageInvalid  = "MessageInvalid"  // refused here, before the provider saw it
	ReasonRefused         = "Refused"         // for a cause that is none of the others

	// The channel.
	ReasonCredentialsInvalid  = "CredentialsInvalid"
	ReasonPermissionDenied    = "PermissionDenied"
	ReasonConfigurationWrong  = "ConfigurationWrong" // sender number, region, endpoint
	ReasonPolicyRefused       = "PolicyRefused"      // the mail server does not trust us
	ReasonTLSFailed           = "TLSFailed"
	ReasonQuotaExhausted      = "QuotaExhausted"
	ReasonRateLimited         = "RateLimited"
	ReasonQueueFull           = "QueueFull"
	ReasonProviderUnreachable = "ProviderUnreachable"
	ReasonProviderFailing     = "ProviderFailing"
	ReasonTooManyToOne        = "TooManyToOne" // too many messages between two numbers: perhaps they answer each other

	// The sending.
	ReasonNotBegun    = "NotBegun"    // Begin failed
	ReasonInterrupted = "Interrupted" // the context ended before the provider could take it
	ReasonOutcomeLost = "OutcomeLost" // the provider may have it

	// ReasonReplyExpired is of an answer that came too late to be one; it was not taken, and may be pushed.
	ReasonReplyExpired = "ReplyExpired"
)
