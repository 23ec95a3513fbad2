// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bounce reads what mail servers send back about a mail: that it could not be delivered, is
// late, was delivered, or that its reader complained. It changes nothing and knows no store.
//
// Such mails come from anybody and in every state of repair, so a mail that is no report, or a broken
// one, is an answer and not an error. What the server said in words decides: its codes are often
// wrong, or those of another server on the way.
package bounce

import (
	"fmt"
	"io"
)

// MaxSize is how much of a mail is read. The report comes first; what follows is the mail it is about.
const MaxSize = 1 << 20

// Kind is what a mail is.
type Kind string

// The kinds of mails.
const (
	// Failed says that a mail was not delivered to at least one recipient.
	Failed Kind = "bounce"
	// Delayed says that the server is still trying. Nothing has been decided.
	Delayed Kind = "delay"
	// Delivered says that a mail arrived, or was handed to a server that tells no more.
	Delivered Kind = "delivered"
	// Complained is a feedback report: the reader called the mail spam, or asked for no more.
	Complained Kind = "complaint"
	// AutoReply was written by a program for the recipient: a holiday's notice, say.
	AutoReply Kind = "auto-reply"
	// None is any other mail.
	None Kind = "none"
)

// Class is why a mail was not delivered.
type Class string

// The classes of failures.
const (
	// Hard: the address, its host or its account does not exist, or is closed.
	Hard Class = "hard"
	// Soft: it may work another time: the mailbox is full, a server or a network is in trouble.
	Soft Class = "soft"
	// Policy: the server does not want mail from us, or this one: it says nothing of the address.
	Policy Class = "policy"
	// Content: the mail itself is too large, or malformed.
	Content Class = "content"
	// Other: the server did not say.
	Other Class = "other"
)

// Recipient is what a report says about one address.
type Recipient struct {
	// Address is the one that failed, which may be one that mail was forwarded to; Original is the one
	// that we wrote to, where the report tells the two apart.
	Address, Original string
	Kind              Kind
	// Class is set where Kind is Failed.
	Class Class
	// Status is an enhanced status code such as 5.1.1, or empty.
	Status string
	// Diagnostic is what the server said, cut short.
	Diagnostic string
}

// Report is what a mail says.
type Report struct {
	Kind Kind
	// Class is the gravest one of the recipients'.
	Class Class
	// Feedback is a complaint's kind in RFC 5965's words: abuse, opt-out, auth-failure and others.
	Feedback string
	// Recipients is empty where the mail names none.
	Recipients []Recipient
	// ReportingMTA is the server that gave up, or empty.
	ReportingMTA string
	// MessageID is that of the mail the report is about, without angle brackets; or empty.
	MessageID string
	// Subject is the report's own.
	Subject string

	mail     *mail
	original header
	// What was heard around the last recipient, and whether it speaks of a delay.
	near      *surroundings
	nearOf    string
	nearDelay bool
}

// Read reads a mail, up to MaxSize. Its error is the reader's.
func Read(r io.Reader) (*Report, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxSize))
	if err != nil {
		return nil, fmt.Errorf("read a mail: %w", err)
	}
	return Parse(raw), nil
}

// Parse is Read for a mail in memory.
func Parse(raw []byte) *Report {
	m := parseMail(raw[:min(len(raw), MaxSize)])
	r := &Report{Kind: None, mail: m, Subject: shorten(m.header.get("Subject"))}
	r.original = m.original
	r.MessageID = messageID(m.original.get("Message-ID"))
	for _, read := range []func(*Report) bool{readFeedback, readNotification, readStatus, readAutoReply, readText} {
		if read(r) {
			break
		}
	}
	return r
}

// conclude makes the report's kind and class of its recipients'.
func (r *Report) conclude() {
	kinds := map[Kind]int{Delivered: 1, Delayed: 2, Failed: 3}
	classes := map[Class]int{Other: 1, Content: 2, Policy: 3, Soft: 4, Hard: 5}
	for _, to := range r.Recipients {
		if kinds[to.Kind] > kinds[r.Kind] {
			r.Kind = to.Kind
		}
		if classes[to.Class] > classes[r.Class] {
			r.Class = to.Class
		}
	}
}
