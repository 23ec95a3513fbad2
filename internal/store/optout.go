// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// SourceSMS is the source of a consent that a customer gave or withdrew by a text message.
const SourceSMS = "sms"

// mostSharing is how many customers of one address are acted on: families share a telephone, and no more.
const mostSharing = 100

// CustomersAt lists the customers who have an address, in the normal form of its kind of channel.
func (t *Tx) CustomersAt(ctx context.Context, ns, channel, address string) ([]string, error) {
	column := addressColumns[channel]
	ids, err := Texts(ctx, t, `SELECT id FROM customers WHERE ns = $1 AND `+column+` = $2 AND `+column+` IS NOT NULL ORDER BY id LIMIT $3`, ns, address, mostSharing)
	if err != nil {
		return nil, fmt.Errorf("find who has an address: %w", err)
	}
	return ids, nil
}

// OptOut withdraws the consent of all who have an address, and suppresses the address, for a reason.
func (t *Tx) OptOut(ctx context.Context, ns, channel, address, reason, source string, at time.Time) error {
	ids, err := t.CustomersAt(ctx, ns, channel, address)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := t.SetConsents(ctx, ns, id, []Said{{Channel: channel, State: ConsentWithdrawn}}, source, at); err != nil {
			return err
		}
	}
	return t.Suppress(ctx, ns, channel, address, reason, at)
}

// OptIn lifts the suppressions of an address for these reasons, and gives back the consents that were
// withdrawn through the same source. What a customer withdrew elsewhere stays withdrawn.
func (t *Tx) OptIn(ctx context.Context, ns, channel, address, source string, at time.Time, reasons ...string) error {
	ids, err := t.CustomersAt(ctx, ns, channel, address)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var state, from string
		err := t.QueryRow(ctx, `SELECT state, source FROM consents WHERE ns = $1 AND customer_id = $2 AND channel = $3`, ns, id, channel).Scan(&state, &from)
		if IsNotFound(err) || err == nil && (state != ConsentWithdrawn || from != source) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read a consent: %w", err)
		}
		if _, err := t.SetConsents(ctx, ns, id, []Said{{Channel: channel, State: ConsentGranted}}, source, at); err != nil {
			return err
		}
	}
	return t.Unsuppress(ctx, ns, channel, address, reasons...)
}

// LiftOld lifts suppressions of a kind of channel for a reason that are older than a moment, some at a time,
// and says how many it lifted.
func (s *Store) LiftOld(ctx context.Context, channel, reason string, before time.Time, limit int) (n int, err error) {
	type suppressed struct{ ns, address string }
	err = s.Tx(ctx, func(tx *Tx) error {
		var old []suppressed
		err := Each(ctx, tx, func(rows *sql.Rows) error {
			var o suppressed
			err := rows.Scan(&o.ns, &o.address)
			old = append(old, o)
			return err
		}, `SELECT ns, address FROM suppressions WHERE channel = $1 AND reason = $2 AND created_at < $3 LIMIT $4`, channel, reason, Millis(before), limit)
		if err != nil {
			return err
		}
		n = len(old)
		for _, o := range old {
			if err := tx.Unsuppress(ctx, o.ns, channel, o.address, reason); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("lift old suppressions: %w", err)
	}
	return n, nil
}
