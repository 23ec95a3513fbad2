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

// Suppression is an address of a kind of channel that is not used, whoever it belongs to.
type Suppression struct {
	Channel string    `json:"channel"`
	Address string    `json:"address"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// Check normalises a suppression, and tells what it cannot be.
func (s *Suppression) Check() error {
	if !slices.Contains(Channels, s.Channel) {
		return &FieldError{"channel", fmt.Sprintf("%q is no kind of channel: there are email, line and sms", shorten(s.Channel))}
	}
	normal, err := NormalizeAddress(s.Channel, strings.TrimSpace(s.Address))
	if err != nil {
		return &FieldError{"address", err.Error()}
	}
	s.Address = normal
	if s.Reason = strings.TrimSpace(s.Reason); s.Reason == "" {
		s.Reason = "Imported"
	}
	if err := checkID(s.Reason); err != nil {
		return &FieldError{"reason", err.Error()}
	}
	return nil
}

// Suppressions hands each suppressed address to f, of one kind of channel or, where none is named, of all.
func (s *Store) Suppressions(ctx context.Context, ns, channel string, f func(Suppression) error) error {
	err := Each(ctx, s, func(rows *sql.Rows) error {
		var x Suppression
		var at int64
		if err := rows.Scan(&x.Channel, &x.Address, &x.Reason, &at); err != nil {
			return err
		}
		x.At = Time(at).UTC()
		return f(x)
	}, `SELECT channel, address, reason, created_at FROM suppressions WHERE ns = $1 AND ($2 = '' OR channel = $2) ORDER BY channel, address`, ns, channel)
	if err != nil {
		return fmt.Errorf("list suppressions: %w", err)
	}
	return nil
}

// UpsertSuppressions adds addresses that were checked. The first reason of each stays.
func (t *Tx) UpsertSuppressions(ctx context.Context, ns string, list []Suppression, now time.Time) (counts Counts, err error) {
	byChannel := map[string][]string{}
	for _, x := range list {
		res, err := t.Exec(ctx, `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (ns, channel, address) DO NOTHING`, ns, x.Channel, x.Address, x.Reason, Millis(now))
		if err != nil {
			return Counts{}, fmt.Errorf("add suppressions: %w", err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return Counts{}, fmt.Errorf("add suppressions: %w", err)
		}
		counts.New, counts.Unchanged = counts.New+n, counts.Unchanged+1-n
		if n > 0 {
			byChannel[x.Channel] = append(byChannel[x.Channel], x.Address)
		}
	}
	for _, channel := range Channels {
		if addresses := byChannel[channel]; len(addresses) > 0 {
			if err := t.updateReach(ctx, ns, addressColumns[channel]+" "+t.dialect.AnyText(2), List(t.dialect, addresses)); err != nil {
				return Counts{}, err
			}
		}
	}
	return counts, nil
}

// Lift lets an address be used again, for whatever reason it was suppressed. It is false for one that was not.
func (s *Store) Lift(ctx context.Context, ns, channel, address string) (lifted bool, err error) {
	x := Suppression{Channel: channel, Address: address}
	if err := x.Check(); err != nil {
		return false, err
	}
	err = s.Tx(ctx, func(tx *Tx) error {
		var reason string
		err := tx.QueryRow(ctx, `SELECT reason FROM suppressions WHERE ns = $1 AND channel = $2 AND address = $3`+tx.dialect.ForUpdate(), ns, channel, x.Address).Scan(&reason)
		if lifted = err == nil; !lifted {
			if IsNotFound(err) {
				err = nil
			}
			return err
		}
		return tx.Unsuppress(ctx, ns, channel, x.Address, reason)
	})
	return lifted, err
}
