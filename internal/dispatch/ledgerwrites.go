// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// commit writes a batch in one transaction, and says which beginnings were granted.
func (l *ledger) commit(ctx context.Context, batch []*ledgerEntry) (begun map[begin]bool, err error) {
	err = l.store.Tx(ctx, func(tx *store.Tx) error {
		begun = map[begin]bool{}
		if err := l.ends(ctx, tx, batch); err != nil {
			return err
		}
		if err := keepLinks(ctx, tx, batch); err != nil {
			return err
		}
		if err := l.restrict(ctx, tx, batch); err != nil {
			return err
		}
		if err := l.claimReplies(ctx, tx, batch); err != nil {
			return err
		}
		byLease := map[lease][2][]string{}
		for _, e := range batch {
			if e.begin && e.refusal == nil {
				ids := byLease[e.lease]
				if e.resolve {
					ids[1] = append(ids[1], e.id)
				} else {
					ids[0] = append(ids[0], e.id)
				}
				byLease[e.lease] = ids
			}
		}
		for of, ids := range byLease {
			if err := l.begins(ctx, tx, of, ids[0], beginSQL, begun); err != nil {
				return err
			}
			if err := l.begins(ctx, tx, of, ids[1], resolveSQL, begun); err != nil {
				return err
			}
		}
		return nil
	})
	return begun, err
}

var linkTypes = []string{"TEXT", "TEXT", "UUID", "TEXT", "TEXT"}

// keepLinks stores the short links of messages before anybody can follow them.
func keepLinks(ctx context.Context, tx *store.Tx, batch []*ledgerEntry) error {
	var rows [][]any
	for _, e := range batch {
		for _, s := range e.links {
			rows = append(rows, []any{s.Code, e.ns, e.id, string(rune(s.Kind)), s.URL})
		}
	}
	per := rowsPerStatement(tx.Dialect())
	for at := 0; at < len(rows); at += per {
		values, args := valuesOf(tx.Dialect(), nil, linkTypes, rows[at:min(at+per, len(rows))])
		_, err := tx.Exec(ctx, `INSERT INTO links (code, ns, message_id, kind, url) VALUES `+values+` ON CONFLICT (code) DO NOTHING`, args...)
		if err != nil {
			return fmt.Errorf("keeping short links: %w", err)
		}
	}
	return nil
}

// The lease must still be this worker's, consent must still be given (or, for an answer to what the customer asked
// in LINE, not be withdrawn), and the address must not have been suppressed since the page was read: all are decided
// here, in the transaction that lets the message go.
const (
	beginSQL = `UPDATE messages SET state = 'sending', fence = $2, attempts = attempts + 1, begun_at = $3
WHERE state = 'planned'
  AND EXISTS (SELECT 1 FROM shards h WHERE h.id = $1 AND h.fence = $2 AND h.state = 'open')
  AND (messages.kind = 'webhook'
    OR EXISTS (SELECT 1 FROM consents c WHERE c.ns = messages.ns AND c.customer_id = messages.customer_id
              AND c.channel = messages.kind AND c.state = 'granted')
      AND NOT EXISTS (SELECT 1 FROM purpose_consents w WHERE w.ns = messages.ns AND w.customer_id = messages.customer_id
              AND w.channel = messages.kind AND w.purpose = messages.purpose AND w.state = 'withdrawn')
    OR messages.kind = 'line' AND EXISTS (SELECT 1 FROM line_replies y WHERE y.message_id = messages.id)
      AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.ns = messages.ns AND c.customer_id = messages.customer_id AND c.channel = messages.kind))
  AND NOT EXISTS (SELECT 1 FROM customers r JOIN suppressions s ON s.ns = r.ns AND s.channel = messages.kind
                  AND s.address = CASE messages.kind WHEN 'email' THEN r.email WHEN 'line' THEN r.line_user_id ELSE r.phone END
                  WHERE r.ns = messages.ns AND r.id = messages.customer_id)
  AND shard = $1 AND id `
	resolveSQL = `UPDATE messages SET fence = $2, attempts = attempts + 1, begun_at = COALESCE(begun_at, $3)
WHERE state = 'sending'
  AND EXISTS (SELECT 1 FROM shards h WHERE h.id = $1 AND h.fence = $2 AND h.state = 'open')
  AND shard = $1 AND id `
)

func (l *ledger) begins(ctx context.Context, tx *store.Tx, of lease, ids []string, query string, begun map[begin]bool) error {
	if len(ids) == 0 {
		return nil
	}
	d := tx.Dialect()
	rows, err := tx.Query(ctx, query+d.AnyUUID(4)+` RETURNING id`,
		of.shard, of.fence, time.Now().UnixMilli(), store.List(d, ids))
	if err != nil {
		return fmt.Errorf("marking messages as being sent: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("reading which messages were marked: %w", err)
		}
		begun[begin{of, id}] = true
	}
	return rows.Err()
}

// endsSQL records ends. A callback may have told of the message before the provider's answer came:
// what it said stays, and only what the answer alone knows is added.
func endsSQL(values string) string {
	return `WITH v (id, fence, state, reason, provider_id, parts, cost, ended_at, not_before, channel, kind, fell_back) AS (VALUES ` + values + `)
UPDATE messages SET
  state = CASE WHEN messages.state = 'sent' THEN messages.state ELSE v.state END,
  reason = CASE WHEN messages.state = 'sent' THEN messages.reason ELSE v.reason END,
  ended_at = CASE WHEN messages.state = 'sent' THEN messages.ended_at ELSE v.ended_at END,
  begun_at = CASE WHEN v.state = 'planned' THEN NULL ELSE messages.begun_at END,
  not_before = v.not_before,
  expires_at = CASE WHEN v.not_before + 3600000 > messages.expires_at THEN v.not_before + 3600000 ELSE messages.expires_at END,
  provider_id = COALESCE(v.provider_id, messages.provider_id), parts = v.parts, cost = messages.cost + v.cost,
  channel = COALESCE(v.channel, messages.channel), kind = COALESCE(v.kind, messages.kind), fell_back = COALESCE(v.fell_back, messages.fell_back)
FROM v
WHERE messages.id = v.id AND (
  messages.state IN ('planned', 'sending') AND (messages.fence = v.fence OR messages.state = 'planned' AND EXISTS (
    SELECT 1 FROM shards h WHERE h.id = messages.shard AND h.fence = v.fence))
  OR messages.state = 'sent' AND messages.fence = v.fence AND messages.parts = 0 AND v.state IN ('sent', 'unknown'))`
}

var endTypes = []string{"UUID", "BIGINT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "TEXT", "TEXT", "TEXT"}

func (l *ledger) ends(ctx context.Context, tx *store.Tx, batch []*ledgerEntry) error {
	var rows [][]any
	var answered []string
	for _, e := range batch {
		if e.begin {
			continue
		}
		if e.end.forgetReply {
			answered = append(answered, e.id)
		}
		var instead journey.Way
		if e.end.instead != nil {
			instead = *e.end.instead
		}
		rows = append(rows, []any{
			e.id, e.lease.fence, e.end.state, storable(e.end.why()), nullable(storable(e.end.providerID)),
			e.end.parts, int64(e.end.cost), store.NullMillis(e.end.at), store.NullMillis(e.end.notBefore),
			nullable(instead.Channel), nullable(string(instead.Kind)), nullable(e.end.fellBack),
		})
		// An address that is none cannot be kept from being used, nor is it in need of that.
		if s := e.end.suppress; s != nil && isAddress(s) {
			if err := tx.Suppress(ctx, s.ns, s.channel, s.address, s.reason, l.clock.Now()); err != nil {
				return err
			}
		}
	}
	per := rowsPerStatement(tx.Dialect())
	for at := 0; at < len(rows); at += per {
		values, args := valuesOf(tx.Dialect(), nil, endTypes, rows[at:min(at+per, len(rows))])
		if _, err := tx.Exec(ctx, endsSQL(values), args...); err != nil {
			return fmt.Errorf("recording what became of messages: %w", err)
		}
	}
	return forgetReplies(ctx, tx, answered)
}

// storable leaves out what no text in PostgreSQL may hold. A provider's words can be anything.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func isAddress(s *suppression) bool {
	_, err := store.NormalizeAddress(s.channel, s.address)
	return err == nil
}
