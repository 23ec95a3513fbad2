// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Kinds of receipts.
const (
	receiptAccepted     = "accepted" // the provider has it, and has not said more yet
	receiptDelivered    = "delivered"
	receiptUndelivered  = "undelivered"
	receiptOpened       = "opened"
	receiptClicked      = "clicked"
	receiptUnsubscribed = "unsubscribed"
)

// receipt is one row: something that came back about a message.
type receipt struct {
	// id is the same when the same thing is told again.
	id      string
	kind    string
	detail  map[string]string
	machine bool
}

// message is what a change needs to know of the message it is about.
type message struct {
	id, ns, scenario, customer string
	channel, kind, state       string
}

// errErased is of messages to customers who were erased: what comes back about them is nobody's any more.
var errErased = fmt.Errorf("the customer was erased: %w", store.ErrNotFound)

const messageColumns = `SELECT CAST(id AS TEXT), ns, scenario, customer_id, channel, kind, state FROM messages `

// findMessage reads a message of a namespace; store.IsNotFound where there is none.
func findMessage(ctx context.Context, q store.Querier, ns string, id uuid.UUID) (message, error) {
	return scanMessage(ctx, q, `WHERE id = $1 AND ns = $2`, id.String(), ns)
}

func scanMessage(ctx context.Context, q store.Querier, where string, args ...any) (message, error) {
	var m message
	err := q.QueryRow(ctx, messageColumns+where, args...).Scan(&m.id, &m.ns, &m.scenario, &m.customer, &m.channel, &m.kind, &m.state)
	if err == nil && store.IsErased(m.customer) {
		err = errErased
	}
	if err != nil {
		return message{}, fmt.Errorf("read a message: %w", err)
	}
	return m, nil
}

// insert writes a receipt about a message. It is false for one that is there already.
func (r receipt) insert(ctx context.Context, tx *store.Tx, m message, now time.Time) (bool, error) {
	detail, err := json.Marshal(r.detail)
	if err != nil {
		return false, fmt.Errorf("write a receipt's detail: %w", err)
	}
	machine := 0
	if r.machine {
		machine = byAgent
	}
	n, err := exec(ctx, tx, `INSERT INTO receipts (ns, id, message_id, kind, detail, machine, occurred_at, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (ns, id) DO NOTHING`,
		m.ns, r.id, m.id, r.kind, string(detail), machine, store.Millis(now))
	if err != nil {
		return false, fmt.Errorf("write a receipt: %w", err)
	}
	return n == 1, nil
}

func exec(ctx context.Context, tx *store.Tx, query string, args ...any) (changed int64, err error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// maxDetail bounds what a stranger can have stored.
const maxDetail = 256

// clean makes foreign text fit for both stores: PostgreSQL refuses NUL and what is not UTF-8.
func clean(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
