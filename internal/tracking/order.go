// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// order is what an event says of an order, by the e-commerce specification: order_id, total or revenue,
// currency, affiliation, products.
func (c *call) order(event string) (store.OrderNews, error) {
	n := store.OrderNews{Event: event, Order: store.Order{CustomerID: c.customer(), PlacedAt: c.at}}
	properties, err := object(c.members, "properties")
	if err != nil {
		return n, err
	}
	if n.ID, err = text(properties, "order_id"); err != nil {
		return n, under(err)
	}
	if n.ID == "" {
		return n, &store.FieldError{Field: "properties.order_id", Reason: "is missing: it is the id of the order"}
	}
	for _, field := range []struct {
		property string
		into     *store.Field[string]
	}{{"currency", &n.Currency}, {"affiliation", &n.Source}} {
		said, err := text(properties, field.property)
		if err != nil {
			return n, under(err)
		}
		if said != "" {
			*field.into = store.Value(said)
		}
	}
	if err := readItems(&n, properties); err != nil {
		return n, err
	}
	for _, property := range []string{"total", "revenue"} {
		if n.HasTotal {
			break
		}
		if n.Total, n.HasTotal, err = amount(properties, property); err != nil {
			return n, under(err)
		}
	}
	if !n.HasTotal && event == store.EventOrderCompleted {
		return n, &store.FieldError{Field: "properties.total", Reason: "is missing, and so is revenue: write what the order cost"}
	}
	if err := n.Validate(); err != nil {
		return n, under(named(err, map[string]string{"id": "order_id", "items": "products", "source": "affiliation"}))
	}
	return n, nil
}

// under says that a field is one of the properties.
func under(err error) error {
	var field *store.FieldError
	if errors.As(err, &field) {
		return &store.FieldError{Field: "properties." + field.Field, Reason: field.Reason}
	}
	return err
}

func readItems(n *store.OrderNews, properties map[string]json.RawMessage) error {
	document, said := properties["products"]
	if !said || string(document) == "null" {
		return nil
	}
	wrong := &store.FieldError{Field: "properties.products", Reason: `is not an array of objects: write it like [{"product_id": "p1", "quantity": 1, "price": 500}]`}
	var rows []map[string]json.RawMessage
	if err := json.Unmarshal(document, &rows); err != nil {
		return wrong
	}
	for _, row := range rows {
		// What a program has counted with may be 19.990000000000002.
		price, known, err := amount(row, "price")
		if err != nil {
			return &store.FieldError{Field: "properties.products", Reason: err.Error()}
		}
		if known {
			row["price"] = json.RawMessage(price.String())
		}
	}
	items, err := ingest.Items(rows)
	if err != nil {
		return &store.FieldError{Field: "properties.products", Reason: err.Error()}
	}
	n.Items, n.HasItems = items, true
	return nil
}

// amount is a member that is an amount of money. A number that has more digits than money is what a program
// has counted with, and is rounded.
func amount(members map[string]json.RawMessage, name string) (money.Amount, bool, error) {
	said, err := text(members, name)
	if err != nil || said == "" {
		return 0, false, err
	}
	a, err := money.Parse(said)
	if err == nil {
		return a, true, nil
	}
	if n, floatErr := strconv.ParseFloat(said, 64); floatErr == nil && members[name][0] != '"' && math.Abs(n) < 1e12 {
		if a, floatErr = money.Parse(strconv.FormatFloat(n, 'f', 4, 64)); floatErr == nil {
			return a, true, nil
		}
	}
	return 0, false, &store.FieldError{Field: name, Reason: err.Error()}
}
