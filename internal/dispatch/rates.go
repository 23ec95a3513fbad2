// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// leaser gives a process its shares of a channel's rate, from the channel's row in the store.
type leaser struct {
	store  *store.Store
	ref    Ref
	holder string
}

// leaser of a channel. SQLite has one process, which keeps the rate in memory.
func (c *Channels) leaser(ref Ref) channel.Leaser {
	if c.store == nil || c.store.Dialect() == store.SQLite {
		return &metered{Leaser: &channel.Alone{}, ref: ref, cut: func() { c.Alert(ref, ReasonSlowedDown) }}
	}
	// What others heard is heard of in the same way: see follow.
	return &metered{Leaser: &leaser{store: c.store, ref: ref, holder: uuid.NewString()}, ref: ref, cut: func() {}}
}

// Lease asks for a share.
func (l *leaser) Lease(ctx context.Context, limit, wants float64) (g channel.Grant, err error) {
	err = l.change(ctx, func(r *channel.Rate, now int64) { g = r.Lease(now, l.holder, limit, wants) })
	if err != nil {
		return channel.Grant{}, fmt.Errorf("taking a share of the rate of channel %s/%s: %w", l.ref.Namespace, l.ref.Name, err)
	}
	return g, nil
}

// Cut slows all processes down.
func (l *leaser) Cut(ctx context.Context, hold time.Duration) error {
	if err := l.change(ctx, func(r *channel.Rate, now int64) { r.Cut(now, hold) }); err != nil {
		return fmt.Errorf("cutting the rate of channel %s/%s: %w", l.ref.Namespace, l.ref.Name, err)
	}
	return nil
}

// change changes a rate while nobody else does. The clock may have been read before another had the row: it is
// then a moment behind, which makes shares of others last longer and one's own end earlier.
func (l *leaser) change(ctx context.Context, change func(r *channel.Rate, now int64)) error {
	return l.store.Tx(ctx, func(tx *store.Tx) error {
		query := `SELECT state, ` + tx.Dialect().NowMicros() + ` FROM channel_rates WHERE ns = $1 AND channel = $2` + tx.Dialect().ForUpdate()
		var text string
		var now int64
		err := tx.QueryRow(ctx, query, l.ref.Namespace, l.ref.Name).Scan(&text, &now)
		if store.IsNotFound(err) {
			_, err = tx.Exec(ctx, `INSERT INTO channel_rates (ns, channel, state) VALUES ($1, $2, '{}') ON CONFLICT DO NOTHING`, l.ref.Namespace, l.ref.Name)
			if err == nil {
				err = tx.QueryRow(ctx, query, l.ref.Namespace, l.ref.Name).Scan(&text, &now)
			}
		}
		if err != nil {
			return err
		}
		var r channel.Rate
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return err
		}
		change(&r, now)
		after, err := json.Marshal(&r)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE channel_rates SET state = $3 WHERE ns = $1 AND channel = $2`, l.ref.Namespace, l.ref.Name, string(after))
		return err
	})
}

// metered tells the metrics of a channel's rate.
type metered struct {
	channel.Leaser
	ref Ref
	cut func()
}

// Lease asks for a share.
func (m *metered) Lease(ctx context.Context, limit, wants float64) (channel.Grant, error) {
	g, err := m.Leaser.Lease(ctx, limit, wants)
	if err == nil {
		shared.rate.WithLabelValues(m.ref.Namespace, m.ref.Name).Set(g.Whole)
		shared.share.WithLabelValues(m.ref.Namespace, m.ref.Name).Set(g.PerSecond)
	}
	return g, err
}

// Cut slows all processes down.
func (m *metered) Cut(ctx context.Context, hold time.Duration) error {
	err := m.Leaser.Cut(ctx, hold)
	if err == nil {
		shared.slowdowns.WithLabelValues(m.ref.Namespace, m.ref.Name).Inc()
		m.cut()
	}
	return err
}
