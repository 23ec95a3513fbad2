// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// The kinds of channels, and what a customer may say about one.
const (
	ChannelEmail = "email"
	ChannelLINE  = "line"
	ChannelSMS   = "sms"

	ConsentGranted   = "granted"
	ConsentWithdrawn = "withdrawn"
)

// Channels are the kinds of channels.
var Channels = []string{ChannelEmail, ChannelLINE, ChannelSMS}

// Customer is what is said about a customer.
type Customer struct {
	ID                       string
	Email, Phone, LineUserID Field[string]
	// Attributes are set one by one: one that is not here stays, one that is null goes.
	Attributes map[string]json.RawMessage
	// Consents are states by kind of channel, such as email, or by that and a purpose, such as email/news.
	Consents map[string]string
}

// Order is a purchase. An order without a status, or with any but cancelled and refunded, counts.
type Order struct {
	ID, CustomerID           string
	PlacedAt                 time.Time
	Total                    money.Amount
	Currency, Status, Source Field[string]
	// Items replace those known, unless HasItems is false.
	Items    []Item
	HasItems bool
}

// Item is a line of an order. Price is for one piece.
type Item struct {
	ProductID, Name, Category Field[string]
	Quantity                  int64
	Price                     Field[money.Amount]
}

// Product is what is said about a product. Without a name, its id is its name.
type Product struct {
	ID                            string
	Name, Category, URL, ImageURL Field[string]
	Price                         Field[money.Amount]
	Stock                         Field[int64]
}

// Event is something a customer did.
type Event struct {
	ID, CustomerID, Name string
	OccurredAt           time.Time
	// Properties is a JSON object; nil is an empty one.
	Properties json.RawMessage
}

// Subscription is a regular delivery.
type Subscription struct {
	ID, CustomerID                       string
	Plan                                 Field[string]
	Status                               string // Active, Paused, Cancelled
	StartedAt, CancelledAt, NextDelivery Field[time.Time]
}

// SubscriptionStatuses are the statuses of a subscription.
var SubscriptionStatuses = []string{"Active", "Paused", "Cancelled"}

// Coupon is a code that can be given to one customer.
type Coupon struct {
	Pool, Code string
	ExpiresAt  Field[time.Time]
}

// Counts is what became of the rows of a batch.
type Counts struct {
	New, Changed, Unchanged int64
}

// Add adds the counts of another batch.
func (c *Counts) Add(other Counts) {
	c.New += other.New
	c.Changed += other.Changed
	c.Unchanged += other.Unchanged
}

// Total is the number of rows.
func (c Counts) Total() int64 { return c.New + c.Changed + c.Unchanged }

// counts tells whether an order with this status is an order, and its total spend.
func counts(status string) bool {
	return !strings.EqualFold(status, "cancelled") && !strings.EqualFold(status, "refunded")
}

func millisField(t Field[time.Time]) Field[int64] {
	return Field[int64]{t.value.UnixMilli(), t.said}.tidy()
}

// tidy drops the value of a field that has none, so that equal fields compare equal.
func (f Field[T]) tidy() Field[T] {
	if f.said != value {
		var zero T
		f.value = zero
	}
	return f
}
