// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SourceImport is the source of a consent that came with a file of customers.
const SourceImport = "import"

type consentRow struct {
	customer, channel, state, source string
	changedAt                        int64
}

var consentColumns = []string{"ns", "customer_id", "channel", "state", "source", "changed_at"}

// mergeConsents is the consents that an import changes. What customers withdrew themselves stays
// withdrawn: a file that was written before must not bring their consent back.
func (t *Tx) mergeConsents(ctx context.Context, ns string, ids []string, customers []Customer, now time.Time) (merged[consentRow], error) {
	var said []consentRow
	for i := range customers {
		for channel, state := range customers[i].Consents {
			said = append(said, consentRow{customers[i].ID, channel, state, SourceImport, Millis(now)})
		}
	}
	if len(said) == 0 {
		return merged[consentRow]{}, nil
	}
	stored := make(map[string]consentRow, len(said))
	err := collect(ctx, t, func(rows *sql.Rows) error {
		var r consentRow
		err := rows.Scan(&r.customer, &r.channel, &r.state, &r.source, &r.changedAt)
		stored[r.key()] = r
		return err
	}, `SELECT customer_id, channel, state, source, changed_at FROM consents
		WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2)+` ORDER BY customer_id, channel`+t.dialect.ForUpdate(), ns, List(t.dialect, ids))
	if err != nil {
		return merged[consentRow]{}, fmt.Errorf("read consents: %w", err)
	}
	return merge(said, (*consentRow).key, stored, func(old consentRow, c *consentRow) consentRow {
		if old.state == c.state || old.state == ConsentWithdrawn && old.source != SourceImport {
			return old
		}
		return *c
	}, func(a, b consentRow) bool { return a == b }), nil
}

func (r *consentRow) key() string { return r.customer + "\x00" + r.channel }

func (t *Tx) writeConsents(ctx context.Context, ns string, m merged[consentRow]) error {
	return write(ctx, t, "consents", consentColumns, 3, m, func(r consentRow, row []any) []any {
		return append(row, ns, r.customer, r.channel, r.state, r.source, r.changedAt)
	})
}

// SetConsent records what a customer said about a kind of channel, and where (source: unsubscribe,
// preferences, …). It overrides what was known, and makes the customer's row where there is none.
func (s *Store) SetConsent(ctx context.Context, ns, customer, channel, state, source string, at time.Time) error {
	if !slices.Contains(Channels, channel) || state != ConsentGranted && state != ConsentWithdrawn {
		return fmt.Errorf("set a consent: %q for %q is none", state, channel)
	}
	err := s.Tx(ctx, func(tx *Tx) error {
		if err := tx.ensureCustomers(ctx, ns, []string{customer}, tx.dialect.ForUpdate(), at); err != nil {
			return err
		}
		// A repeated or late call must not make an old statement new.
		_, err := tx.Exec(ctx, `INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (ns, customer_id, channel) DO UPDATE SET state = excluded.state, source = excluded.source, changed_at = excluded.changed_at
			WHERE consents.changed_at <= excluded.changed_at AND (consents.state <> excluded.state OR consents.source <> excluded.source)`,
			ns, customer, channel, state, source, Millis(at))
		if err != nil {
			return err
		}
		if state == ConsentWithdrawn {
			if err := tx.Wake(ctx, ns, "", []string{customer}, at); err != nil {
				return err
			}
		}
		return tx.updateReachOf(ctx, ns, []string{customer})
	})
	if err != nil {
		return fmt.Errorf("set a consent: %w", err)
	}
	return nil
}

// Suppress is Tx.Suppress in a transaction of its own.
func (s *Store) Suppress(ctx context.Context, ns, channel, address, reason string, at time.Time) error {
	return s.Tx(ctx, func(tx *Tx) error { return tx.Suppress(ctx, ns, channel, address, reason, at) })
}

// Suppress keeps an address of a kind of channel from being used, whoever it belongs to. The first
// reason stays.
func (t *Tx) Suppress(ctx context.Context, ns, channel, address, reason string, at time.Time) error {
	normal, err := NormalizeAddress(channel, strings.TrimSpace(address))
	if err != nil {
		return fmt.Errorf("suppress an address: %w", err)
	}
	_, err = t.Exec(ctx, `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (ns, channel, address) DO NOTHING`, ns, channel, normal, reason, Millis(at))
	if err != nil {
		return fmt.Errorf("suppress an address: %w", err)
	}
	return t.updateReach(ctx, ns, addressColumns[channel]+" = $2", normal)
}
