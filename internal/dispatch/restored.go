// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// doubtSQL treats messages as a crash leaves those that were under way: whoever takes them up finds out what became of
// them, and does not send them as if nobody had. Those who may not get theirs now are left to be skipped.
const doubtSQL = `UPDATE messages SET state = 'sending', begun_at = $2
WHERE ns = $1 AND state = 'planned' AND due_at <= $3 AND shard IS NOT NULL
  AND (kind = 'webhook' OR EXISTS (SELECT 1 FROM consents c WHERE c.ns = messages.ns AND c.customer_id = messages.customer_id
      AND c.channel = messages.kind AND c.state = 'granted')
    AND NOT EXISTS (SELECT 1 FROM purpose_consents w WHERE w.ns = messages.ns AND w.customer_id = messages.customer_id
      AND w.channel = messages.kind AND w.purpose = messages.purpose AND w.state = 'withdrawn'))
  AND NOT EXISTS (SELECT 1 FROM customers r JOIN suppressions s ON s.ns = r.ns AND s.channel = messages.kind
      AND s.address = CASE messages.kind WHEN 'email' THEN r.email WHEN 'line' THEN r.line_user_id ELSE r.phone END
      WHERE r.ns = messages.ns AND r.id = messages.customer_id)
RETURNING kind`

// Doubted says what Doubt did.
type Doubted struct {
	// Marked counts messages by kind of channel.
	Marked map[string]int
	// Unplanned are customers who are due by then, and for whom nothing is planned yet.
	Unplanned int
}

// Doubt marks what was due by a moment, and planned, as possibly sent since backup: the store was restored from a
// backup of that time, and what was sent afterwards is not in it. It may be called again.
func Doubt(ctx context.Context, st *store.Store, ns string, backup, until time.Time) (out Doubted, err error) {
	err = st.Tx(ctx, func(tx *store.Tx) error {
		// Before the marks: who is planned between the two is counted, and not left unmarked unseen.
		out = Doubted{Marked: map[string]int{}}
		err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM enrolments WHERE ns = $1 AND state = 'active' AND due_at <= $2`, ns, store.Millis(until)).Scan(&out.Unplanned)
		if err != nil {
			return fmt.Errorf("counting who is due: %w", err)
		}
		rows, err := tx.Query(ctx, doubtSQL, ns, store.Millis(backup), store.Millis(until))
		if err != nil {
			return fmt.Errorf("marking what may have been sent since the backup: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var kind string
			if err := rows.Scan(&kind); err != nil {
				return fmt.Errorf("counting what may have been sent since the backup: %w", err)
			}
			out.Marked[kind]++
		}
		return rows.Err()
	})
	return out, err
}
