// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// askEvery is how often it is looked for messages to ask about, on machine time, askAtOnce how many are
	// asked about then, and asksPerSecond how fast.
	askEvery      = time.Minute
	askAtOnce     = 100
	asksPerSecond = 5
	// askWithin is how long a message is asked about: what is older was sent before anybody asked.
	askWithin = 7 * 24 * time.Hour
	// restSoft is how long a number is left alone that could not be reached.
	restSoft = 30 * 24 * time.Hour
	// liftAtOnce bounds a transaction that lifts suppressions.
	liftAtOnce = 200
)

// askAfter is how long after it was sent a text message is asked about of which Twilio told nothing: callbacks
// get lost. The migration's index knows how many times there are.
var askAfter = []time.Duration{3 * time.Hour, 24 * time.Hour}

// Askers gives the sender of a channel, where its provider can be asked.
type Askers func(ns, name string) (channel.Asker, bool)

// Unheard asks providers, until ctx ends, what became of messages of which they told nothing, and lets numbers
// be used again that could not be reached for a while. One process of several does it.
func (g *Gateway) Unheard(ctx context.Context, askers Askers) error {
	limit := rate.NewLimiter(asksPerSecond, 1)
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		if err := g.askAll(ctx, askers, limit); err != nil && ctx.Err() == nil {
			g.Log.Error(err, "Asking what became of messages will be tried again")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// askAll is one round.
func (g *Gateway) askAll(ctx context.Context, askers Askers, limit *rate.Limiter) error {
	for asked := range askAfter {
		if err := g.askAbout(ctx, askers, limit, asked); err != nil {
			return err
		}
	}
	for {
		n, err := g.Store.LiftOld(ctx, store.ChannelSMS, channel.ReasonRecipientUnreachable, g.Clock.Now().Add(-restSoft), liftAtOnce)
		if err != nil || n < liftAtOnce {
			return err
		}
	}
}

// unheard is a message of which nothing was told.
type unheard struct{ id, ns, channel, sid string }

// askAbout asks about messages that were asked about so many times.
func (g *Gateway) askAbout(ctx context.Context, askers Askers, limit *rate.Limiter, asked int) error {
	list, err := g.unheard(ctx, asked)
	if err != nil || len(list) == 0 {
		return err
	}
	away := map[[2]string]bool{} // providers that do not answer, or channels that are not there
	var done []string
	for _, u := range list {
		at := [2]string{u.ns, u.channel}
		asker, ok := askers(u.ns, u.channel)
		if !ok || away[at] {
			continue // it is still unheard when the channel is back
		}
		if err := limit.Wait(ctx); err != nil {
			break
		}
		d, err := asker.Ask(ctx, u.sid)
		switch {
		case errors.Is(err, channel.ErrNoMessage):
		case err != nil:
			g.Log.Info("A provider does not say what became of messages", "namespace", u.ns, "channel", u.channel, "why", err.Error())
			away[at] = true
			continue
		default:
			if err := g.tell(ctx, u, d); err != nil {
				return err
			}
		}
		done = append(done, u.id)
	}
	if len(done) == 0 {
		return nil
	}
	_, err = g.Store.Exec(context.WithoutCancel(ctx), `UPDATE messages SET asked = $2 WHERE asked = $1 AND id `+g.Store.Dialect().AnyUUID(3), asked, asked+1, store.List(g.Store.Dialect(), done))
	if err != nil {
		return fmt.Errorf("recording which messages were asked about: %w", err)
	}
	return nil
}

// tell applies an answer as the callback that did not come.
func (g *Gateway) tell(ctx context.Context, u unheard, d channel.Delivery) error {
	id, err := uuid.Parse(u.id)
	if err != nil {
		return fmt.Errorf("reading a message's key: %w", err)
	}
	c := callback{message: id, sid: u.sid, status: clean(d.Status), to: d.To}
	if d.Code != 0 {
		c.errorCode = strconv.Itoa(d.Code)
	}
	return g.writer.write(ctx, g.applyCallback(u.ns, u.channel, c))
}

func (g *Gateway) unheard(ctx context.Context, asked int) (_ []unheard, err error) {
	now := g.Clock.Now()
	rows, err := g.Store.Query(ctx, `SELECT CAST(id AS TEXT), ns, channel, provider_id FROM messages
WHERE kind = 'sms' AND state = 'sent' AND delivered_at IS NULL AND bounced_at IS NULL AND provider_id IS NOT NULL AND asked < 2 -- as the index has it
  AND asked = $1 AND ended_at < $2 AND ended_at > $3 ORDER BY ended_at LIMIT $4`,
		asked, store.Millis(now.Add(-askAfter[asked])), store.Millis(now.Add(-askWithin)), askAtOnce)
	if err != nil {
		return nil, fmt.Errorf("finding messages that nothing was told of: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []unheard
	for rows.Next() {
		var u unheard
		if err := rows.Scan(&u.id, &u.ns, &u.channel, &u.sid); err != nil {
			return nil, fmt.Errorf("reading messages that nothing was told of: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}
