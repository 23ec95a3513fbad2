// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// The bits of customers.reach: the kinds of channels that reach the customer, for which there is an
// address, consent, and no suppression.
const (
	ReachEmail = 1 << iota
	ReachLINE
	ReachSMS
)

// ReachBit is the bit of a kind of channel, and 0 for what is none.
func ReachBit(channel string) int64 {
	return map[string]int64{ChannelEmail: ReachEmail, ChannelLINE: ReachLINE, ChannelSMS: ReachSMS}[channel]
}

// addressColumns are where customers' addresses of a kind of channel are.
var addressColumns = map[string]string{ChannelEmail: "email", ChannelLINE: "line_user_id", ChannelSMS: "phone"}

// reachOf computes the bits of a row of customers.
func reachOf() string {
	parts := make([]string, len(Channels))
	for i, channel := range Channels {
		parts[i] = fmt.Sprintf(`CASE WHEN customers.%[1]s <> ''
	AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = customers.ns AND k.customer_id = customers.id AND k.channel = '%[2]s' AND k.state = 'granted')
	AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = customers.ns AND x.channel = '%[2]s' AND x.address = customers.%[1]s) THEN %[3]d ELSE 0 END`,
			addressColumns[channel], channel, ReachBit(channel))
	}
	return "(" + strings.Join(parts, " + ") + ")"
}

// updateReach brings the reach of customers up to date with their addresses, consents and
// suppressions. condition chooses customers and may use args from $2 on.
func (t *Tx) updateReach(ctx context.Context, ns, condition string, args ...any) error {
	reach := reachOf()
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		t.Touch(ns, id, TouchedReach)
		return nil
	}, `UPDATE customers SET reach = `+reach+` WHERE ns = $1 AND `+condition+` AND reach <> `+reach+` RETURNING id`, append([]any{ns}, args...)...)
	if err != nil {
		return fmt.Errorf("work out who can be reached: %w", err)
	}
	return nil
}

func (t *Tx) updateReachOf(ctx context.Context, ns string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return t.updateReach(ctx, ns, "id "+t.dialect.AnyText(2), List(t.dialect, ids))
}

// Unsuppress lets an address of a kind of channel be used again where it was suppressed for one of
// these reasons.
func (t *Tx) Unsuppress(ctx context.Context, ns, channel, address string, reasons ...string) error {
	_, err := t.Exec(ctx, `DELETE FROM suppressions WHERE ns = $1 AND channel = $2 AND address = $3 AND reason `+t.dialect.AnyText(4),
		ns, channel, address, List(t.dialect, reasons))
	if err != nil {
		return fmt.Errorf("lift a suppression: %w", err)
	}
	return t.updateReach(ctx, ns, addressColumns[channel]+" = $2", address)
}
