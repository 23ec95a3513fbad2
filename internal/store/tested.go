// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// TestMessage is a message that somebody sends to see it. It is kept where nothing counts it.
type TestMessage struct {
	Key                                              uuid.UUID
	Scenario, Step, Variant, Revision                string
	Customer, Channel, Kind, State, Reason, Provider string
	Parts                                            int
	Cost                                             money.Amount
}

// TestLink is a short link in a test message.
type TestLink struct{ Code, Kind, URL string }

// BeginTest records a test message before its provider is asked, with the short links that are in it.
func (s *Store) BeginTest(ctx context.Context, ns string, m TestMessage, links []TestLink, now time.Time) error {
	err := s.Tx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO test_messages (id, ns, scenario, step, variant, revision, customer_id, channel, kind, state, reason, parts, cost, begun_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $13)`,
			m.Key.String(), ns, m.Scenario, m.Step, m.Variant, m.Revision, m.Customer, m.Channel, m.Kind, m.State, m.Reason, m.Parts, Millis(now))
		if err != nil {
			return err
		}
		for _, l := range links {
			_, err := tx.Exec(ctx, `INSERT INTO links (code, ns, message_id, kind, url) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO NOTHING`,
				l.Code, ns, m.Key.String(), l.Kind, l.URL)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record a test message: %w", err)
	}
	return nil
}

// EndTest records what became of a test message.
func (s *Store) EndTest(ctx context.Context, m TestMessage, now time.Time) error {
	_, err := s.Exec(ctx, `UPDATE test_messages SET state = $2, reason = $3, provider_id = NULLIF($4, ''), parts = $5, cost = $6, ended_at = $7 WHERE id = $1`,
		m.Key.String(), m.State, m.Reason, m.Provider, m.Parts, int64(m.Cost), Millis(now))
	if err != nil {
		return fmt.Errorf("record what became of a test message: %w", err)
	}
	return nil
}
