// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// Value is what a condition looks at, as it is for one customer: in words, and as JSON an object whose
// fields are those of its type. What is absent is null there.
type Value interface{ fmt.Stringer }

// AttributeValue is of the condition attribute.
type AttributeValue struct {
	// Text is nil where the attribute is absent or empty.
	Text *string `json:"text"`
}

func (v AttributeValue) String() string {
	if v.Text == nil {
		return "absent"
	}
	return *v.Text
}

// CountValue is of the conditions orders, event and engagement: how many there are that fit, whatever
// the number asked for.
type CountValue struct {
	Count int64 `json:"count"`
	// Latest is the last one, of events and engagements.
	Latest *time.Time `json:"latest,omitempty"`
}

func (v CountValue) String() string {
	if v.Latest == nil {
		return fmt.Sprint(v.Count)
	}
	return fmt.Sprintf("%d, latest %s", v.Count, words(*v.Latest))
}

// SpendValue is of the condition spend.
type SpendValue struct {
	// Amount is nil for a percentage of those who have bought, and somebody who has not.
	Amount *money.Amount `json:"amount"`
	// Threshold is that of a percentage, nil where nobody has bought.
	Threshold *money.Amount `json:"threshold,omitempty"`

	share bool
}

func (v SpendValue) String() string {
	text := "nothing bought"
	if v.Amount != nil {
		text = v.Amount.String()
	}
	switch {
	case v.Threshold != nil:
		return text + ", threshold " + v.Threshold.String()
	case v.share:
		return "nobody has bought"
	}
	return text
}

// MomentValue is of the conditions firstOrder and lastOrder.
type MomentValue struct {
	At *time.Time `json:"at"`
	// AgeDays are the whole days since then, each of 24 hours; below 0 it lies in the future.
	AgeDays *int64 `json:"ageDays"`
}

func (v MomentValue) String() string {
	switch {
	case v.At == nil:
		return "no order"
	case *v.AgeDays < 0:
		return words(*v.At) + ", in the future"
	case *v.AgeDays == 1:
		return words(*v.At) + ", 1 day ago"
	}
	return fmt.Sprintf("%s, %d days ago", words(*v.At), *v.AgeDays)
}

// StageValue is of the condition lifecycle.
type StageValue struct {
	Stage string `json:"stage"`
}

func (v StageValue) String() string { return v.Stage }

// QuintilesValue is of the condition rfm. Who has not bought has none.
type QuintilesValue struct {
	Recency   *int64 `json:"recency"`
	Frequency *int64 `json:"frequency"`
	Monetary  *int64 `json:"monetary"`
}

func (v QuintilesValue) String() string {
	if v.Recency == nil {
		return "no order"
	}
	return fmt.Sprintf("recency %d, frequency %d, monetary %d", *v.Recency, *v.Frequency, *v.Monetary)
}

// SubscriptionsValue is of the condition subscription: all that the customer has.
type SubscriptionsValue struct {
	Subscriptions []Subscription `json:"subscriptions"`
}

// Subscription is one of a customer's.
type Subscription struct {
	Status         string     `json:"status"`
	Plan           string     `json:"plan,omitempty"`
	CancelledAt    *time.Time `json:"cancelledAt,omitempty"`
	NextDeliveryAt *time.Time `json:"nextDeliveryAt,omitempty"`
}

func (v SubscriptionsValue) String() string {
	texts := make([]string, len(v.Subscriptions))
	for i, s := range v.Subscriptions {
		parts := []string{s.Status}
		if s.Plan != "" {
			parts[0] += " " + s.Plan
		}
		if s.CancelledAt != nil {
			parts = append(parts, "cancelled "+words(*s.CancelledAt))
		}
		if s.NextDeliveryAt != nil {
			parts = append(parts, "next delivery "+words(*s.NextDeliveryAt))
		}
		texts[i] = strings.Join(parts, ", ")
	}
	return orNone(texts, "; ")
}

// ChannelsValue is of the condition reachable: those of line, email, sms that reach the customer.
type ChannelsValue struct {
	Channels []string `json:"channels"`
}

func (v ChannelsValue) String() string { return orNone(v.Channels, ", ") }

// ProductsValue is of the condition favourite: the ids of those that fit, the latest first.
type ProductsValue struct {
	Products []string `json:"products"`
}

// fewProducts is how many are named in words.
const fewProducts = 5

func (v ProductsValue) String() string {
	if more := len(v.Products) - fewProducts; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(v.Products[:fewProducts], ", "), more)
	}
	return orNone(v.Products, ", ")
}

// MemberValue is of the condition segment.
type MemberValue struct {
	// Since is nil for who is not a member.
	Since *time.Time `json:"since"`
}

func (v MemberValue) String() string {
	if v.Since == nil {
		return "not a member"
	}
	return "member since " + words(*v.Since)
}

// TruthValue is of the condition expression.
type TruthValue struct {
	// Result is nil where something absent keeps it from being either.
	Result *bool `json:"result"`
}

func (v TruthValue) String() string {
	if v.Result == nil {
		return "neither, a value is absent"
	}
	return fmt.Sprint(*v.Result)
}

// PredictionValue is of the condition replenishment.
type PredictionValue struct {
	DueAt      *time.Time `json:"dueAt"`
	Confidence *float64   `json:"confidence"`
}

func (v PredictionValue) String() string {
	switch {
	case v.DueAt == nil:
		return "no prediction"
	case v.Confidence == nil:
		return "due " + words(*v.DueAt)
	}
	return fmt.Sprintf("due %s, confidence %.2f", words(*v.DueAt), *v.Confidence)
}

func words(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") }

func orNone(texts []string, separator string) string {
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, separator)
}
