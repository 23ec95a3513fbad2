// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// table says how the rows of a kind are read and stored.
type table[F any] struct {
	columns  map[string]func(f *F, c cell, o *Options) error
	required []string
	// other takes columns that are not in columns; where it is nil they are refused.
	other    func(f *F, name string, c cell) error
	validate func(f *F) error
	upsert   func(ctx context.Context, tx *store.Tx, ns string, facts []F, now time.Time) (store.Counts, error)
}

// column puts a value that may be absent where of says.
func column[F any, T comparable](of func(*F) *store.Field[T], parse func(string) (T, error)) func(*F, cell, *Options) error {
	return func(f *F, c cell, _ *Options) (err error) {
		*of(f), err = field(c, parse)
		return err
	}
}

// required puts a value that may not be absent where of says.
func required[F any, T comparable](of func(*F) *T, parse func(string) (T, error)) func(*F, cell, *Options) error {
	return func(f *F, c cell, _ *Options) (err error) {
		*of(f), err = must(c, parse)
		return err
	}
}

// at puts a time that may be absent where of says.
func at[F any](of func(*F) *store.Field[time.Time]) func(*F, cell, *Options) error {
	return func(f *F, c cell, o *Options) (err error) {
		*of(f), err = field(c, moment(o.Location))
		return err
	}
}

// requiredAt puts a time that may not be absent where of says.
func requiredAt[F any](of func(*F) *time.Time) func(*F, cell, *Options) error {
	return func(f *F, c cell, o *Options) (err error) {
		*of(f), err = must(c, moment(o.Location))
		return err
	}
}

var customers = table[store.Customer]{
	columns: map[string]func(*store.Customer, cell, *Options) error{
		"id":           required(func(c *store.Customer) *string { return &c.ID }, text),
		"email":        column(func(c *store.Customer) *store.Field[string] { return &c.Email }, text),
		"line_user_id": column(func(c *store.Customer) *store.Field[string] { return &c.LineUserID }, text),
		"phone": func(c *store.Customer, value cell, o *Options) (err error) {
			c.Phone, err = field(value, phone(o.CallingCode))
			return err
		},
		"attributes": func(c *store.Customer, value cell, _ *Options) error {
			if value.absent() {
				return nil
			}
			var attributes map[string]json.RawMessage
			if err := json.Unmarshal(value.json(), &attributes); err != nil {
				return errors.New(`is not a JSON object: write it like {"name": "value"}`)
			}
			// A column of its own says more about an attribute, in whatever order they come.
			maps.Copy(attributes, c.Attributes)
			c.Attributes = attributes
			return nil
		},
		"consent_email": customerConsent(store.ChannelEmail),
		"consent_line":  customerConsent(store.ChannelLINE),
		"consent_sms":   customerConsent(store.ChannelSMS),
	},
	required: []string{"id"},
	other:    customerAttribute,
	validate: (*store.Customer).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Customer, now time.Time) (store.Counts, error) {
		return tx.UpsertCustomers(ctx, ns, facts, now)
	},
}

func customerConsent(channel string) func(*store.Customer, cell, *Options) error {
	return func(c *store.Customer, value cell, _ *Options) error { return setConsent(c, channel, value) }
}

func setConsent(c *store.Customer, about string, value cell) error {
	state, err := field(value, consent)
	if v, ok := state.Get(); ok {
		if c.Consents == nil {
			c.Consents = make(map[string]string, len(store.Channels))
		}
		c.Consents[about] = v
	}
	return err
}

// purposeOf is what a column such as consent_email_news is about, as Customer.Consents has it.
func purposeOf(column string) (about string, ok bool) {
	for _, channel := range store.Channels {
		if purpose, ok := strings.CutPrefix(column, "consent_"+channel+"_"); ok {
			return channel + "/" + purpose, true
		}
	}
	return "", false
}

// customerAttribute takes the columns of purposes, and all others as attributes: a cell of CSV as text, never
// as a number, since a postal code keeps its zeros.
func customerAttribute(c *store.Customer, name string, value cell) error {
	if about, ok := purposeOf(name); ok {
		return setConsent(c, about, value)
	}
	if c.Attributes == nil {
		c.Attributes = make(map[string]json.RawMessage)
	}
	switch {
	case value.document != nil:
		c.Attributes[name] = value.document
	case value.text == "":
		c.Attributes[name] = json.RawMessage("null")
	default:
		quoted, err := json.Marshal(value.text)
		if err != nil {
			return fmt.Errorf("cannot be written as JSON: %w", err)
		}
		c.Attributes[name] = quoted
	}
	return nil
}

var orders = table[store.Order]{
	columns: map[string]func(*store.Order, cell, *Options) error{
		"id":          required(func(o *store.Order) *string { return &o.ID }, text),
		"customer_id": required(func(o *store.Order) *string { return &o.CustomerID }, text),
		"placed_at":   requiredAt(func(o *store.Order) *time.Time { return &o.PlacedAt }),
		"total":       required(func(o *store.Order) *money.Amount { return &o.Total }, amount),
		"currency":    column(func(o *store.Order) *store.Field[string] { return &o.Currency }, text),
		"status":      column(func(o *store.Order) *store.Field[string] { return &o.Status }, text),
		"source":      column(func(o *store.Order) *store.Field[string] { return &o.Source }, text),
		"items": func(o *store.Order, value cell, _ *Options) (err error) {
			o.HasItems = true
			o.Items, err = parseItems(value)
			return err
		},
	},
	required: []string{"id", "customer_id", "placed_at", "total"},
	validate: (*store.Order).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Order, now time.Time) (store.Counts, error) {
		return tx.UpsertOrders(ctx, ns, facts, now)
	},
}

var itemColumns = map[string]func(*store.Item, cell, *Options) error{
	"product_id": column(func(i *store.Item) *store.Field[string] { return &i.ProductID }, text),
	"name":       column(func(i *store.Item) *store.Field[string] { return &i.Name }, text),
	"category":   column(func(i *store.Item) *store.Field[string] { return &i.Category }, text),
	"price":      column(func(i *store.Item) *store.Field[money.Amount] { return &i.Price }, amount),
	"quantity": func(i *store.Item, value cell, _ *Options) error {
		quantity, err := field(value, integer)
		if n, ok := quantity.Get(); ok {
			i.Quantity = n
		}
		if i.Quantity < 0 {
			err = errors.Join(err, errors.New("is negative"))
		}
		return err
	},
}

func parseItems(value cell) ([]store.Item, error) {
	if value.absent() {
		return nil, nil
	}
	var rows []map[string]json.RawMessage
	if err := json.Unmarshal(value.json(), &rows); err != nil {
		return nil, errors.New(`is not a JSON array of objects: write it like [{"product_id": "p1", "quantity": 1, "price": 500}]`)
	}
	return itemsOf(rows)
}

func itemsOf(rows []map[string]json.RawMessage) ([]store.Item, error) {
	items := make([]store.Item, len(rows))
	for i, row := range rows {
		items[i].Quantity = 1
		for name, document := range row {
			set, known := itemColumns[name]
			if !known {
				return nil, fmt.Errorf("item %d: %q is not known: an item has %s", i+1, shorten(name), names(itemColumns))
			}
			if err := set(&items[i], cell{document: bytes.TrimSpace(document)}, nil); err != nil {
				return nil, fmt.Errorf("item %d: %s %w", i+1, name, err)
			}
		}
	}
	return items, nil
}

func names[V any](of map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}
