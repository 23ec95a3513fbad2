// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package content makes a message for one customer. What all customers share is compiled once a
// revision (Compiler); what differs is rendered per customer (Email, Line, SMS).
//
// Templates are foreign input: they are written by whoever may apply a Scenario, and filled with
// whatever customers typed. So they read no files, call nothing, and end: every render has a
// budget of steps and bytes (Limits).
package content

import (
	"encoding/json"
	"time"
)

// Data is what templates read. Values are what JSON knows (string, bool, numbers, []any,
// map[string]any) and time.Time, money.Amount. A nil value is an absent one. Render changes none
// of it.
type Data struct {
	Customer map[string]any
	// Entry is what let the customer in. A group of values under product is the shop's own, and its
	// address may become one of ours: one that an event brought must not be here.
	Entry           map[string]any
	Coupon          map[string]any // code, pool, expires_at
	Recommendations []map[string]any
	Shop            map[string]any // the keys of the kaeru-shop ConfigMap

	// Location is the zone that times are shown in. Nil is UTC.
	Location *time.Location
	// Currency is what the money filter writes where it is given none, such as JPY.
	Currency string
}

// EmailSource is a mail as resources write it. One of MJML and HTML, or neither; Text is made from
// the HTML where it is empty.
type EmailSource struct {
	Subject, Preheader string
	MJML, HTML, Text   string
}

// Mail is a mail for one customer.
type Mail struct {
	Subject string
	HTML    string // empty for a mail of text alone
	Text    string
}

// LinePush is what one push carries.
type LinePush struct {
	Messages []json.RawMessage
	// Short are the links in the messages' texts. They are to be stored before the push is sent.
	Short []ShortLink
}

// Text is a text message.
type Text struct {
	Body  string
	Count SMSCount
	// Short are the links in the body. They are to be stored before the message is sent.
	Short []ShortLink
}
