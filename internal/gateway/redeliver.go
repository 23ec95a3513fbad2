// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// passing are the codes of messages that carriers could not deliver for a cause that passes, with whether it is
// the recipient's: a telephone that is switched off, a queue that was too long.
var passing = map[string]bool{"30001": false, "30003": true, "30008": true, "30036": false}

// redeliverAfter are the waits before a message goes out again. After the last try it has bounced.
var redeliverAfter = []time.Duration{time.Hour, 4 * time.Hour}

// redeliver sends a message again later that Twilio took and could not deliver, where the cause passes and the
// message is still of use then. A recipient who could not be reached by any try is left alone for a while. It
// also keeps what is told late of an earlier try from being taken for news of a later one.
func (g *Gateway) redeliver(ctx context.Context, tx *store.Tx, c callback, m message) (done bool, err error) {
	recipients, passes := passing[c.errorCode]
	if c.kind() != receiptUndelivered {
		return stale(ctx, tx, c, m)
	}
	if old, err := stale(ctx, tx, c, m); err != nil || old || !passes {
		return old, err
	}
	failed, err := failures(ctx, tx, m)
	if err != nil {
		return false, err
	}
	if failed <= len(redeliverAfter) {
		again, err := dispatch.Requeue(ctx, tx, g.Clock, m.id, redeliverAfter[max(failed, 1)-1])
		if err != nil || again {
			return again, err
		}
	}
	if recipients && failed > len(redeliverAfter) {
		if _, err := store.NormalizeAddress(store.ChannelSMS, c.to); err == nil {
			return false, tx.Suppress(ctx, m.ns, store.ChannelSMS, c.to, channel.ReasonRecipientUnreachable, g.Clock.Now())
		}
	}
	return false, nil
}

// failures counts the tries of a message that were not delivered, this one among them. Twilio may tell of one
// try as undelivered and as failed.
func failures(ctx context.Context, tx *store.Tx, m message) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(DISTINCT REPLACE(REPLACE(REPLACE(id, '/undelivered', ''), '/failed', ''), '/canceled', ''))
FROM receipts WHERE message_id = $1 AND kind = 'undelivered'`, m.id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the tries of a message: %w", err)
	}
	return n, nil
}

// stale says that a callback is about a try that failed already, of a message that has been planned again since.
func stale(ctx context.Context, tx *store.Tx, c callback, m message) (old bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE id = $1 AND COALESCE(provider_id, '') <> $2)
  AND EXISTS (SELECT 1 FROM receipts WHERE message_id = $1 AND kind = 'undelivered' AND id IN ($3, $4, $5) AND id <> $6)`,
		m.id, c.sid, "twilio/"+c.sid+"/undelivered", "twilio/"+c.sid+"/failed", "twilio/"+c.sid+"/canceled", "twilio/"+c.sid+"/"+c.status).Scan(&old)
	if err != nil {
		return false, fmt.Errorf("look which try a callback is about: %w", err)
	}
	return old, nil
}
