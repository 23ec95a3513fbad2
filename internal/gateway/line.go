// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// maxWebhook is more than LINE sends at once.
const maxWebhook = 2 << 20

// reasonUnfollowed is that of a suppression which a later follow lifts.
const reasonUnfollowed = "Unfollowed"

// follow is a user who follows the account from a moment on, or no longer does.
type follow struct {
	user      string
	following bool
	at        int64 // LINE's clock, milliseconds
}

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
		http.Error(w, "the signature is not valid", http.StatusForbidden)
		return
	}
	follows, err := parseFollows(body)
	if err != nil {
		http.Error(w, "the body is not a webhook of LINE's", http.StatusBadRequest)
		return
	}
	// LINE checks an address with no events at all, and sends many kinds that say nothing of follows.
	if len(follows) > 0 {
		if err := g.writer.write(r.Context(), g.applyFollows(ns, follows)); err != nil {
			unavailable(w)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// parseFollows finds the follows and unfollows in a webhook. webhook.ParseRequest would refuse all of
// its events for one of a shape that this version of the SDK does not know.
func parseFollows(body []byte) ([]follow, error) {
	var envelope struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, errors.New("parse a webhook of LINE's") // the cause would quote what customers wrote
	}
	var out []follow
	for _, raw := range envelope.Events {
		event, err := webhook.UnmarshalEvent(raw)
		if err != nil {
			continue
		}
		f := follow{}
		var source webhook.SourceInterface
		switch e := event.(type) {
		case webhook.FollowEvent:
			f.following, f.at, source = true, e.Timestamp, e.Source
		case webhook.UnfollowEvent:
			f.at, source = e.Timestamp, e.Source
		default:
			continue
		}
		if user, ok := source.(webhook.UserSource); ok {
			f.user, err = store.NormalizeAddress(store.ChannelLINE, user.UserId)
			if err != nil {
				continue
			}
		}
		if f.user != "" {
			out = append(out, f)
		}
	}
	return out, nil
}

// applyFollows suppresses who has blocked the account, and lifts that for who follows it again. An
// older event that arrives later, or again, changes nothing.
func (g *Gateway) applyFollows(ns string, follows []follow) change {
	now := g.Clock.Now()
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		for _, f := range follows {
			state := "unfollowed"
			if f.following {
				state = "followed"
			}
			latest, err := exec(ctx, tx, `INSERT INTO follows (ns, line_user_id, state, changed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ns, line_user_id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at
WHERE follows.changed_at < excluded.changed_at`, ns, f.user, state, f.at)
			if err != nil {
				return ref{}, fmt.Errorf("record a follow: %w", err)
			}
			if latest == 0 {
				continue
			}
			if !f.following {
				err = tx.Suppress(ctx, ns, store.ChannelLINE, f.user, reasonUnfollowed, now)
			} else {
				// Who can follow exists, whatever a push was told before. An operator's suppression stays.
				err = tx.Unsuppress(ctx, ns, store.ChannelLINE, f.user, reasonUnfollowed, channel.ReasonRecipientInvalid)
			}
			if err != nil {
				return ref{}, fmt.Errorf("apply a follow: %w", err)
			}
		}
		return ref{}, nil
	}
}
