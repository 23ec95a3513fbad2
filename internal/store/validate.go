// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// FieldError says which field of a fact is wrong, and how to write it instead.
type FieldError struct {
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

const (
	maxID   = 255 // bytes; both stores index more, but nobody means to
	maxText = 100_000
	// maxTotal keeps the sum of a customer's orders within a BIGINT.
	maxTotal = 1_000_000_000_000 * money.Unit
)

// The years that a time may lie in. Others are typing errors or a wrong unit.
var minTime, maxTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// Validate normalises what is said about a customer, and tells what cannot be. A fact that was not
// validated may fail its whole batch.
func (c *Customer) Validate() error {
	if err := validCustomer("id", c.ID); err != nil {
		return err
	}
	for _, field := range []struct {
		name      string
		field     *Field[string]
		normalize func(string) (string, error)
	}{
		{"email", &c.Email, NormalizeEmail},
		{"phone", &c.Phone, NormalizePhone},
		{"line_user_id", &c.LineUserID, func(s string) (string, error) { return s, checkID(s) }},
	} {
		if v, ok := field.field.Get(); ok && v == "" {
			*field.field = None[string]()
		} else if ok {
			normal, err := field.normalize(v)
			if err != nil {
				return &FieldError{field.name, err.Error()}
			}
			*field.field = Value(normal)
		}
	}
	for name, document := range c.Attributes {
		if err := checkKey(name); err != nil {
			return &FieldError{shorten(name), err.Error()}
		}
		canonical, err := canonicalJSON(document)
		if err != nil {
			return &FieldError{name, err.Error()}
		}
		c.Attributes[name] = canonical
	}
	for about, state := range c.Consents {
		channel, purpose, _ := strings.Cut(about, "/")
		if err := (Said{channel, purpose, state}).check(); err != nil {
			return &FieldError{"consent_" + strings.ReplaceAll(about, "/", "_"), err.Error()}
		}
	}
	return nil
}

// Validate tells what an order cannot be.
func (o *Order) Validate() error {
	err := errors.Join(
		validID("id", o.ID), validCustomer("customer_id", o.CustomerID), validTime("placed_at", o.PlacedAt),
		validTotal("total", o.Total),
		validField("currency", &o.Currency, checkID), validField("status", &o.Status, checkID), validField("source", &o.Source, checkID))
	if err != nil {
		return first(err)
	}
	for i := range o.Items {
		item := &o.Items[i]
		at := fmt.Sprintf("item %d: ", i+1)
		err := errors.Join(
			validField(at+"product_id", &item.ProductID, checkID), validField(at+"name", &item.Name, checkText), validField(at+"category", &item.Category, checkID))
		if price, ok := item.Price.Get(); ok {
			err = errors.Join(err, validTotal(at+"price", price))
		}
		if err != nil {
			return &FieldError{"items", first(err).Error()}
		}
		item.ProductID, item.Name, item.Category, item.Price = item.ProductID.or(None[string]()), item.Name.or(None[string]()), item.Category.or(None[string]()), item.Price.or(None[money.Amount]())
	}
	return nil
}

// Validate tells what a product cannot be.
func (p *Product) Validate() error {
	err := errors.Join(
		validID("id", p.ID), validField("name", &p.Name, checkText), validField("category", &p.Category, checkID),
		validField("url", &p.URL, checkText), validField("image_url", &p.ImageURL, checkText))
	if price, ok := p.Price.Get(); ok {
		err = errors.Join(err, validTotal("price", price))
	}
	return first(err)
}

// Validate normalises an event's properties, and tells what cannot be.
func (e *Event) Validate() error {
	if err := errors.Join(validID("id", e.ID), validCustomer("customer_id", e.CustomerID), validID("name", e.Name), validTime("occurred_at", e.OccurredAt)); err != nil {
		return first(err)
	}
	if e.Properties == nil {
		e.Properties = emptyObject
		return nil
	}
	canonical, err := canonicalJSON(e.Properties)
	if err == nil && canonical[0] != '{' {
		err = errNoObject
	}
	if err != nil {
		return &FieldError{"properties", err.Error()}
	}
	e.Properties = canonical
	return nil
}

// Validate normalises the status of a subscription, and tells what cannot be.
func (s *Subscription) Validate() error {
	err := errors.Join(validID("id", s.ID), validCustomer("customer_id", s.CustomerID), validField("plan", &s.Plan, checkID))
	for i, field := range []Field[time.Time]{s.StartedAt, s.CancelledAt, s.NextDelivery} {
		if t, ok := field.Get(); ok {
			err = errors.Join(err, validTime([]string{"started_at", "cancelled_at", "next_delivery_at"}[i], t))
		}
	}
	at := slices.IndexFunc(SubscriptionStatuses, func(status string) bool { return strings.EqualFold(status, s.Status) })
	if at < 0 {
		err = errors.Join(err, &FieldError{"status", fmt.Sprintf("%q is not one of %s", shorten(s.Status), strings.Join(SubscriptionStatuses, ", "))})
	} else {
		s.Status = SubscriptionStatuses[at]
	}
	return first(err)
}

// Validate tells what a coupon cannot be.
func (c *Coupon) Validate() error {
	err := errors.Join(validID("pool", c.Pool), validID("code", c.Code))
	if t, ok := c.ExpiresAt.Get(); ok {
		err = errors.Join(err, validTime("expires_at", t))
	}
	return first(err)
}

// first is the first of joined errors: one reason a row is enough.
func first(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// validCustomer keeps the ids of customers apart from the pseudonyms of those who were erased.
func validCustomer(field, id string) error {
	if IsErased(id) {
		return &FieldError{field, "begins with " + erasedPrefix + ", which is kept for customers who were erased"}
	}
	return validID(field, id)
}

func validID(field, id string) error {
	if err := checkID(id); err != nil {
		return &FieldError{field, err.Error()}
	}
	return nil
}

// validField makes an empty text into no value.
func validField(name string, field *Field[string], check func(string) error) error {
	v, ok := field.Get()
	if ok && v == "" {
		*field = None[string]()
	} else if ok {
		if err := check(v); err != nil {
			return &FieldError{name, err.Error()}
		}
	}
	return nil
}

func validTime(field string, t time.Time) error {
	switch {
	case t.IsZero():
		return &FieldError{field, "is empty"}
	case t.Before(minTime), t.After(maxTime):
		return &FieldError{field, fmt.Sprintf("the year %d is not between 1900 and 2200", t.Year())}
	}
	return nil
}

func validTotal(field string, amount money.Amount) error {
	if amount > maxTotal || amount < -maxTotal {
		return &FieldError{field, fmt.Sprintf("is larger than %s", maxTotal)}
	}
	return nil
}

func checkID(id string) error {
	if len(id) > maxID {
		return fmt.Errorf("is longer than %d bytes", maxID)
	}
	if id == "" {
		return errors.New("is empty")
	}
	return checkText(id)
}

// checkText refuses what PostgreSQL cannot hold.
func checkText(text string) error {
	switch {
	case len(text) > maxText:
		return fmt.Errorf("is longer than %d bytes", maxText)
	case !utf8.ValidString(text):
		return errors.New("is not UTF-8: save the file in that encoding")
	case strings.ContainsRune(text, 0):
		return errors.New("contains a NUL character")
	}
	return nil
}

// checkKey refuses names that a JSON path cannot hold.
func checkKey(name string) error {
	if strings.ContainsAny(name, `"\`) {
		return errors.New(`a name may not contain " or \`)
	}
	return checkID(name)
}

// shorten keeps a whole pasted file out of an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// CheckID tells why an id cannot be one.
func CheckID(id string) error { return checkID(id) }
