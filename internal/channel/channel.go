// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package channel sends one message to one customer through a provider and says what became of it.
// The providers are in the packages below: line, email and sms; webhook calls the shop's own systems.
package channel

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Message is one rendered message for one customer. Exactly one of Email, Line, SMS and Webhook is set.
type Message struct {
	// Key is the message's own and never changes: LINE's retry key, the mail's Message-ID, the
	// reference in the callbacks. Two sendings with one Key are one message.
	Key uuid.UUID
	// Customer is the customer's id. Senders do not transmit it; allow lists are by it.
	Customer string
	// To is a mail address, a LINE user id or an E.164 number; empty for a webhook.
	To string

	Email   *Email
	Line    *Line
	SMS     *SMS
	Webhook *Webhook
}

// Email is the content of a mail. At least one of HTML and Text is set.
type Email struct {
	Subject, HTML, Text string
	// UnsubscribeURL, an https URL, becomes List-Unsubscribe with one-click (RFC 8058). A mail that
	// has one is marketing, and is marked as bulk.
	UnsubscribeURL string
	// Headers are added as they are. Those that Kaeru sets itself are refused.
	Headers map[string]string
}

// Line is the content of a LINE push.
type Line struct {
	// Messages are LINE's own message objects, one to five.
	Messages []json.RawMessage
	// Unit is the aggregation unit for LINE's statistics; empty for none.
	Unit string
	// ReplyToken makes it an answer to what the customer did, which LINE does not count; empty for a push.
	ReplyToken string
	// NotificationDisabled delivers without a sound.
	NotificationDisabled bool
	// Since is when the sending of this message was first begun, on machine time; only Resolve asks.
	// LINE keeps a retry key for a day: after that a message once begun is not sent again.
	Since time.Time
}

// SMS is the content of a text message.
type SMS struct {
	Text string
	// StatusCallback is the URL that is told of delivery; empty for none.
	StatusCallback string
	// Link is a part of Text that no other message has, by which the message can be looked up.
	Link string
	// Since is when the sending was begun, on machine time; only Resolve asks, and does not look
	// further back. Zero means now.
	Since time.Time
	// ValidFor is how long the provider and the carriers may take to deliver it, after which they drop
	// it; 0 for the provider's own limit.
	ValidFor time.Duration
}

// Webhook is a call of a system of the shop's.
type Webhook struct {
	URL string
	// Body is JSON.
	Body json.RawMessage
	// Timeout is how long the call may take.
	Timeout time.Duration
}

// Begin is called at the last moment before the provider could take the message. If it fails
// nothing is sent, and Send returns Retry with the reason NotBegun. Its error becomes part of
// Outcome.Detail, so it must not hold customer data.
type Begin func(context.Context) error

// Sender sends messages through one channel. Its methods may be called concurrently.
type Sender interface {
	// Send hands one message to the provider. It always says how it ended, also when ctx ends; to find
	// that out it may outlive ctx by some seconds.
	Send(ctx context.Context, m *Message, begin Begin) Outcome
	// Resolve finds out what became of a message whose sending was begun and whose outcome was lost.
	// LINE: sends again with the same key. Twilio: looks the message up. SMTP: Unknown.
	Resolve(ctx context.Context, m *Message) Outcome
	// Check asks the provider who we are there. Its error is a *CheckError.
	Check(ctx context.Context) (Account, error)
	// Close ends idle connections. Nothing may be sent afterwards.
	Close() error
}

// Asker is a Sender whose provider can be asked what became of a message that it took.
type Asker interface {
	// Ask says how far a message is by the provider's name for it. What it cannot find out is an error.
	Ask(ctx context.Context, providerID string) (Delivery, error)
}

// Delivery is how far a message is that a provider took.
type Delivery struct {
	// Status is the provider's word, as in its callbacks.
	Status string
	// Code says why it was not delivered; 0 for nothing.
	Code int
	// To is the recipient.
	To string
}

// ErrNoMessage is of messages that the provider does not know, or does not keep any more.
var ErrNoMessage = errors.New("the provider has no such message")

// Account is what the provider knows about us.
type Account struct {
	// Name is what the provider calls the account, for people.
	Name string
	// Quota is nil where the provider has none.
	Quota *Quota
	// Signing is nil where the channel signs nothing.
	Signing *Signing
}

// Signing says whether recipients can verify what the channel signs.
type Signing struct {
	Verified SigningState
	// Message says to an operator what is so, or what is wrong and what to do.
	Message string
}

// SigningState is what is known of a signing key.
type SigningState int

// The states of a signing key: nobody could be asked, recipients find it, they find none or another.
const (
	SigningUnknown SigningState = iota
	SigningVerified
	SigningWrong
)

// Quota is how many messages the account may send this month.
type Quota struct {
	// Limit is nil when there is none.
	Limit *int64
	Used  int64
}

// CheckError says why a channel cannot be used.
type CheckError struct {
	// Permanent is true when nothing changes until somebody changes the channel or the account.
	Permanent bool
	// Reason is one of the reasons of Outcome.
	Reason string
	// Message says to an operator what is wrong and what to do. It holds no secret.
	Message string
}

func (e *CheckError) Error() string { return e.Message }

// ErrClosed is what a Sender has to say after Close.
var ErrClosed = errors.New("the sender is closed")
