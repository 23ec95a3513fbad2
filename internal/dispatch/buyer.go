// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"database/sql"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// buyer is a customer's row of metrics u, all NULL where there is none.
type buyer struct{ orders, spend, first, last, previous sql.NullInt64 }

// buyerColumns are what buyer scans, and buyerNone the same of nobody.
const (
	buyerColumns = `u.orders, u.spend, u.first_order_at, u.last_order_at, u.previous_order_at`
	buyerNone    = `NULL, NULL, NULL, NULL, NULL`
)

func (b *buyer) scans() []any { return []any{&b.orders, &b.spend, &b.first, &b.last, &b.previous} }

// add writes the metrics into what conditions and templates see of a customer, under the names that they
// have in a segment's expression. They win over attributes of these names.
func (b *buyer) add(facts map[string]any) {
	orders, spend := b.orders.Int64, money.Amount(b.spend.Int64)
	facts["orders"], facts["spend"], facts["average"] = orders, spend.Float(), 0.0
	if orders > 0 {
		facts["average"] = money.Amount(b.spend.Int64 / orders).Float()
	}
	for name, at := range map[string]sql.NullInt64{"first_order_at": b.first, "last_order_at": b.last, "previous_order_at": b.previous} {
		delete(facts, name)
		if at.Valid {
			facts[name] = store.Time(at.Int64)
		}
	}
}
