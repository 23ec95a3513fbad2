// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Mail filters follow the links of a mail to see where they lead, many of them as a browser that
// cannot be told from a person's. But they follow all of them at once, and soon.
const (
	// byAgent and byHaste are why a receipt is a machine's: it said so, or nobody is that quick.
	byAgent = 1
	byHaste = 2

	// scannedLinks are so many links of one mail that nobody follows within scannedWithin.
	scannedLinks  = 3
	scannedWithin = 3 * time.Second
	// scannedAfter is how long after a mail was sent a filter still looks at it.
	scannedAfter = 10 * time.Minute
)

// scanned tells whether a click that was just recorded is one of a filter's, and if so takes back
// what the filter's other clicks have said. It is on business time, as receipts are.
func scanned(ctx context.Context, tx *store.Tx, m message, now time.Time) (bool, error) {
	if m.kind != store.ChannelEmail {
		return false, nil
	}
	from := store.Millis(now.Add(-scannedWithin))
	links := map[string]bool{}
	err := store.Each(ctx, tx, func(rows *sql.Rows) error {
		var text string
		var detail struct{ Link string }
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &detail); err != nil {
			return fmt.Errorf("read a receipt's detail: %w", err)
		}
		links[detail.Link] = true
		return nil
	}, `SELECT r.detail FROM receipts r JOIN messages m ON m.id = r.message_id
WHERE r.message_id = $1 AND r.kind = 'clicked' AND r.machine <> $4 AND r.occurred_at >= $2 AND m.ended_at >= $3 LIMIT 100`,
		m.id, from, store.Millis(now.Add(-scannedAfter)), byAgent)
	if err != nil {
		return false, fmt.Errorf("look for a filter's clicks: %w", err)
	}
	if len(links) < scannedLinks {
		return false, nil
	}
	if _, err := exec(ctx, tx, `UPDATE receipts SET machine = $3
WHERE message_id = $1 AND kind IN ('clicked', 'opened') AND occurred_at >= $2 AND machine = 0`, m.id, from, byHaste); err != nil {
		return false, fmt.Errorf("mark a filter's clicks: %w", err)
	}
	// What somebody had opened or clicked before the filter came stays.
	changed, err := exec(ctx, tx, `UPDATE messages SET
  clicked_at = (SELECT MIN(r.occurred_at) FROM receipts r WHERE r.message_id = messages.id AND r.kind = 'clicked' AND r.machine = 0),
  opened_at = (SELECT MIN(r.occurred_at) FROM receipts r WHERE r.message_id = messages.id AND r.kind IN ('clicked', 'opened') AND r.machine = 0)
WHERE id = $1 AND (clicked_at >= $2 OR opened_at >= $2)`, m.id, from)
	if err != nil {
		return false, fmt.Errorf("take a filter's clicks back: %w", err)
	}
	if changed == 0 {
		return true, nil
	}
	return true, syncEngagements(ctx, tx, m)
}

// syncEngagements brings what segments know of a message's opens and clicks up to date.
func syncEngagements(ctx context.Context, tx *store.Tx, m message) error {
	for _, engagement := range []string{store.EngagementOpened, store.EngagementClicked} {
		if err := tx.SyncEngagements(ctx, m.ns, engagement, []string{m.id}); err != nil {
			return err
		}
	}
	return nil
}
