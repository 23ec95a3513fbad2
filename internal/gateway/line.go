// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// maxWebhook is more than LINE sends at once.
const maxWebhook = 2 << 20

// reasonUnfollowed is that of a suppression which a later follow lifts.
const reasonUnfollowed = "Unfollowed"

// linePatience is how long LINE is kept waiting: it wants an answer within two seconds.
const linePatience = 1700 * time.Millisecond

func (g *Gateway) lineWebhook(w http.ResponseWriter, r *http.Request) {
	ns, name := r.PathValue("ns"), r.PathValue("channel")
	secret, ok := g.Credentials.WebhookSecret(ns, name, store.ChannelLINE)
	if !ok || secret == "" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if !webhook.ValidateSignature(secret, r.Header.Get("X-Line-Signature"), body) {
		g.refuseSignature(w, ns, name)
		return
	}
	received, err := parseLINE(body)
	if err != nil {
		http.Error(w, "the body is not a webhook of LINE's", http.StatusBadRequest)
		return
	}
	// LINE checks an address with no events at all, and sends many kinds that say nothing of a user.
	if len(received) > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), linePatience)
		defer cancel()
		if err := g.writer.write(ctx, g.applyLINE(ns, name, received)); err != nil {
			unavailable(w)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// applyLINE writes what users did: that they follow or not, what they said, and whose account is theirs. All of
// it is known by its id, or by LINE's clock, so what is delivered again, or late, changes nothing.
func (g *Gateway) applyLINE(ns, name string, received []lineEvent) change {
	now, machine := g.Clock.Now(), time.Now()
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		ids, users := make([]string, len(received)), make([]string, len(received))
		for i := range received {
			ids[i], users[i] = received[i].id, received[i].user
		}
		known, err := tx.KnownEvents(ctx, ns, ids)
		if err != nil {
			return ref{}, err
		}
		customers, err := tx.LineCustomers(ctx, ns, users, now)
		if err != nil {
			return ref{}, err
		}
		if err := g.applyFollows(ctx, tx, ns, received, customers, now); err != nil {
			return ref{}, err
		}
		facts := lineFacts{ns: ns, channel: name, now: now, machine: machine, customers: customers}
		for i := range received {
			if e := &received[i]; !known[e.id] {
				known[e.id] = true // a webhook may hold it twice
				facts.fresh = append(facts.fresh, e)
			}
		}
		return ref{}, facts.write(ctx, tx)
	}
}

// applyFollows suppresses who has blocked the account, and lifts that for who follows it again, which is a
// consent where nothing else is known. An older event that arrives later, or again, changes nothing.
func (g *Gateway) applyFollows(ctx context.Context, tx *store.Tx, ns string, received []lineEvent, customers map[string]string, now time.Time) error {
	var followers []string
	for i := range received {
		e := &received[i]
		if !e.follows && !e.unfollows {
			continue
		}
		state := "unfollowed"
		if e.follows {
			state = "followed"
		}
		latest, err := exec(ctx, tx, `INSERT INTO follows (ns, line_user_id, state, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ns, line_user_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at
WHERE follows.changed_at < excluded.changed_at`, ns, e.user, state, e.at)
		if err != nil {
			return fmt.Errorf("record a follow: %w", err)
		}
		if latest == 0 {
			continue
		}
		if e.unfollows {
			err = tx.Suppress(ctx, ns, store.ChannelLINE, e.user, reasonUnfollowed, now)
		} else {
			followers = append(followers, customers[e.user])
			// Who can follow exists, whatever a push was told before. An operator's suppression stays.
			err = tx.Unsuppress(ctx, ns, store.ChannelLINE, e.user, reasonUnfollowed, channel.ReasonRecipientInvalid)
		}
		if err != nil {
			return fmt.Errorf("apply a follow: %w", err)
		}
	}
	return tx.GrantByFollow(ctx, ns, followers, now)
}
