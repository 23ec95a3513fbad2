// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package record keeps what the sandbox's providers have accepted: in memory
// within a bound, and in a journal if one is given.
package record

import (
	"encoding/json"
	"time"
)

// The channels a message can arrive on.
const (
	Email = "email"
	LINE  = "line"
	SMS   = "sms"
)

// What has become of an accepted message. SMS moves through queued (or
// accepted) and sent; the others are decided when they arrive.
const (
	Delivered   = "delivered"
	Blocked     = "blocked" // LINE answered 200, and the user who blocked the account sees nothing
	Accepted    = "accepted"
	Queued      = "queued"
	Sent        = "sent"
	Undelivered = "undelivered"
	Failed      = "failed"
)

// Message is one accepted message for one recipient.
type Message struct {
	// Seq counts up from 1 in the order of acceptance, across all channels.
	Seq int64 `json:"seq"`
	// Time is when it arrived on the sandbox's clock, which may be sped up.
	Time time.Time `json:"time"`
	// ReceivedAt is when it arrived in real time.
	ReceivedAt time.Time `json:"receivedAt"`
	Channel    string    `json:"channel"`
	// Account is the LINE channel's name, the Twilio account's SID or the SMTP user.
	Account string `json:"account,omitempty"`
	// Key is what the provider knows the message by: LINE's retry key, a mail's
	// Message-ID, Twilio's SID.
	Key  string `json:"key,omitempty"`
	From string `json:"from,omitempty"`
	// To is the recipient: a LINE user id, the envelope's address, a phone number.
	To     string `json:"to"`
	Status string `json:"status"`
	// ErrorCode is Twilio's, with an SMS that ended undelivered or failed.
	ErrorCode int `json:"errorCode,omitempty"`
	// Earlier counts the messages with the same key that this recipient already had.
	Earlier int `json:"earlier,omitempty"`
	// Repeats counts the messages with the same content that this recipient
	// already had (LINE and SMS).
	Repeats int `json:"repeats,omitempty"`

	// Subject is a mail's, and LINE's alternative text.
	Subject string              `json:"subject,omitempty"`
	Text    string              `json:"text,omitempty"`
	HTML    string              `json:"html,omitempty"`
	Headers map[string][]string `json:"headers,omitempty"`
	Links   []string            `json:"links,omitempty"`
	// Images are the addresses of the pictures in a mail, its open pixel among them.
	Images []string `json:"images,omitempty"`

	Line *Line `json:"line,omitempty"`
	SMS  *Text `json:"sms,omitempty"`

	// Raw is a mail as it came over the wire.
	Raw []byte `json:"raw,omitempty"`
}

// Line is what a LINE push brought besides its recipient.
type Line struct {
	Messages             json.RawMessage `json:"messages"`
	RequestID            string          `json:"requestId"`
	SentMessages         []SentMessage   `json:"sentMessages"`
	NotificationDisabled bool            `json:"notificationDisabled,omitempty"`
	AggregationUnits     []string        `json:"customAggregationUnits,omitempty"`
	// Reply says that it answered what the user did, and counts for nothing.
	Reply bool `json:"reply,omitempty"`
}

// SentMessage is LINE's receipt for one message object of a push.
type SentMessage struct {
	ID         string `json:"id"`
	QuoteToken string `json:"quoteToken,omitempty"`
}

// Text is what an SMS brought besides its text and numbers.
type Text struct {
	Segments            int        `json:"segments"`
	Encoding            string     `json:"encoding"`
	MessagingServiceSID string     `json:"messagingServiceSid,omitempty"`
	StatusCallback      string     `json:"statusCallback,omitempty"`
	SentAt              *time.Time `json:"sentAt,omitempty"`
}
