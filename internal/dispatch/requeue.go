// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	kclock "github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Requeue lets a message go out again that its provider took and then said it could not deliver. Nothing but
// the provider's own word may lead here: it must be certain that the customer has not got it. It is false
// where the message has another end, or would be too late. The message is sent as any other then: consent,
// suppressions, caps and quiet hours are looked at again.
func Requeue(ctx context.Context, tx *store.Tx, clk clock.PassiveClock, id string, after time.Duration) (bool, error) {
	now, d := clk.Now(), tx.Dialect()
	// Its fences go on from the one under which it was sent: what the worker that sent it still has to say is about
	// that try alone.
	var fence int64
	if err := tx.QueryRow(ctx, `SELECT fence FROM messages WHERE id = $1`+d.ForUpdate(), id).Scan(&fence); err != nil {
		if store.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("reading a message's fence: %w", err)
	}
	shard := uuid.NewString() // the one it was in is done
	// Parts are known when the sender has recorded its end: until then it is about to.
	result, err := tx.Exec(ctx, `UPDATE messages SET state = 'planned', reason = '', provider_id = NULL, ended_at = NULL, begun_at = NULL,
  fence = 0, asked = 0, shard = $3, not_before = $2
WHERE id = $1 AND state = 'sent' AND parts > 0 AND delivered_at IS NULL AND bounced_at IS NULL AND expires_at > $2`,
		id, store.Millis(now.Add(after)), shard)
	if err != nil {
		return false, fmt.Errorf("planning a message again: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
SELECT shard, ns, scenario, CAST($2 AS TEXT), 0, 1, 'open', '', `+d.NowMillis()+` + CAST($3 AS BIGINT), CAST($5 AS BIGINT), CAST($4 AS BIGINT) FROM messages WHERE id = $1`,
		id, shard, kclock.RealDuration(clk, after).Milliseconds(), store.Millis(now), fence)
	if err != nil {
		return false, fmt.Errorf("adding a shard: %w", err)
	}
	return true, nil
}
