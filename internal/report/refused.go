// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Refused counts a channel's mails that servers have refused for reasons of policy since a time, and
// tells the status code of the last one, where there was one.
func Refused(ctx context.Context, q store.Querier, ns, channel string, since time.Time) (mails int64, status string, err error) {
	const of = ` FROM receipts r JOIN messages m ON m.id = r.message_id
WHERE r.ns = $1 AND r.kind = 'refused' AND r.occurred_at > $2 AND m.ns = $1 AND m.channel = $3`
	args := []any{ns, store.Millis(since), channel}
	if err := q.QueryRow(ctx, `SELECT COUNT(DISTINCT r.message_id)`+of, args...).Scan(&mails); err != nil || mails == 0 {
		if err != nil {
			err = fmt.Errorf("count the refused mails of channel %s/%s: %w", ns, channel, err)
		}
		return 0, "", err
	}
	var detail string
	if err := q.QueryRow(ctx, `SELECT r.detail`+of+` ORDER BY r.occurred_at DESC, r.id LIMIT 1`, args...).Scan(&detail); err != nil {
		return 0, "", fmt.Errorf("read the last refused mail of channel %s/%s: %w", ns, channel, err)
	}
	var last struct {
		Status string `json:"status"`
	}
	_ = json.Unmarshal([]byte(detail), &last) // without one, the number alone is told
	return mails, last.Status, nil
}
