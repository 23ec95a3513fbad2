// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// customer is what conditions and templates see of one, as the store has it.
type customer struct {
	attributes                           []byte // empty where the customer is gone
	email, phone, line                   sql.NullString
	orders, spend, first, last, previous sql.NullInt64
}

// customerColumns are what a customer is scanned from, customerJoins where a row of that name has one, and
// customerNone stands in their place where nobody asks.
const (
	customerColumns = `c.attributes, c.email, c.phone, c.line_user_id, u.orders, u.spend, u.first_order_at, u.last_order_at, u.previous_order_at`
	customerNone    = `'{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL`
)

func customerJoins(of string) string {
	return fmt.Sprintf(`
LEFT JOIN customers c ON c.ns = %[1]s.ns AND c.id = %[1]s.customer_id
LEFT JOIN metrics u ON u.ns = %[1]s.ns AND u.customer_id = %[1]s.customer_id`, of)
}

func (c *customer) scans() []any {
	return []any{&c.attributes, &c.email, &c.phone, &c.line, &c.orders, &c.spend, &c.first, &c.last, &c.previous}
}

// addressOf is where a channel of a kind reaches the customer; empty for nowhere.
func (c *customer) addressOf(kind string) string {
	return map[string]string{"email": c.email.String, "line": c.line.String, "sms": c.phone.String}[kind]
}

// facts are the attributes and, under names that no attribute may have, what Kaeru knows. They are there
// without the attributes too, where these are no document.
func (c *customer) facts(id string) (map[string]any, error) {
	var facts map[string]any
	var err error
	if len(c.attributes) > 0 {
		if err = json.Unmarshal(c.attributes, &facts); err != nil {
			facts, err = nil, fmt.Errorf("reading a customer's attributes: %w", err)
		}
	}
	if facts == nil {
		facts = map[string]any{}
	}
	for name, v := range map[string]sql.NullString{"email": c.email, "phone": c.phone, "line_user_id": c.line} {
		if v.Valid {
			facts[name] = v.String
		}
	}
	facts["id"] = id
	orders := c.orders.Int64
	facts["orders"], facts["spend"], facts["average"] = orders, money.Amount(c.spend.Int64).Float(), 0.0
	if orders > 0 {
		facts["average"] = money.Amount(c.spend.Int64 / orders).Float()
	}
	for name, at := range map[string]sql.NullInt64{"first_order_at": c.first, "last_order_at": c.last, "previous_order_at": c.previous} {
		delete(facts, name)
		if at.Valid {
			facts[name] = store.Time(at.Int64)
		}
	}
	return facts, err
}
