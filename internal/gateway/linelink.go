// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// linkAddress is LINE's page that asks a user whether to link their account.
	linkAddress = "https://access.line.me/dialog/bot/accountLink"
	// linkLife is how long a customer may take there: as long as LINE's link token holds.
	linkLife = 10 * time.Minute
	// maxLinkBody is more than a request for a link needs.
	maxLinkBody = 8 << 10
)

// linkRequest asks for the address to which a customer who has logged in at the shop is sent.
type linkRequest struct {
	// UserID is the customer, and Channel the ChannelConfig of the LINE account.
	UserID  string `json:"userId"`
	Channel string `json:"channel"`
	// LinkToken is what LINE issued for the user who opened the shop's login page.
	LinkToken string `json:"linkToken"`
}

// linkLINE begins to link the customer who is logged in at the shop with the LINE user who opened its login page.
func (g *Gateway) linkLINE(w http.ResponseWriter, r *http.Request) {
	ns, ok := g.authenticate(w, r)
	if !ok {
		return
	}
	var in linkRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLinkBody)).Decode(&in); err != nil {
		http.Error(w, `the body is not valid: write {"userId": …, "channel": …, "linkToken": …}`, http.StatusBadRequest)
		return
	}
	customer := store.Customer{ID: in.UserID}
	switch {
	case customer.Validate() != nil:
		http.Error(w, "userId is not the id of a customer", http.StatusBadRequest)
		return
	case in.LinkToken == "" || len(in.LinkToken) > 255:
		http.Error(w, "linkToken is missing: write the one that LINE issued for the user", http.StatusBadRequest)
		return
	}
	if _, ok := g.Credentials.WebhookSecret(ns, in.Channel, store.ChannelLINE); !ok {
		http.Error(w, "channel is no ChannelConfig of type line that is ready", http.StatusBadRequest)
		return
	}
	raw := make([]byte, 24)
	_, _ = rand.Read(raw) // does not fail on the systems that Go supports
	nonce := base64.RawURLEncoding.EncodeToString(raw)
	expires := time.Now().Add(linkLife)
	err := g.writer.write(r.Context(), func(ctx context.Context, tx *store.Tx) (ref, error) {
		if _, err := tx.Exec(ctx, `DELETE FROM line_links WHERE expires_at < $1`, time.Now().UnixMilli()); err != nil {
			return ref{}, fmt.Errorf("forget links that were not followed: %w", err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO line_links (nonce_hash, ns, channel, customer_id, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (nonce_hash) DO NOTHING`, hashNonce(nonce), ns, in.Channel, in.UserID, expires.UnixMilli())
		return ref{}, err
	})
	if err != nil {
		unavailable(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"url": linkAddress + "?" + url.Values{"linkToken": {in.LinkToken}, "nonce": {nonce}}.Encode(), "expiresAt": expires.UTC().Format(time.RFC3339),
	})
}

func hashNonce(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(sum[:])
}

// link attaches users to the customers whose accounts they linked. What they did before as somebody unknown
// becomes the customer's. An event with a nonce that is not ours, is old, or was used says nothing.
func (f *lineFacts) link(ctx context.Context, tx *store.Tx) error {
	for _, e := range f.fresh {
		if e.nonce == "" {
			continue
		}
		var customer string
		err := tx.QueryRow(ctx, `DELETE FROM line_links WHERE nonce_hash = $1 AND ns = $2 AND channel = $3 AND expires_at >= $4 RETURNING customer_id`,
			hashNonce(e.nonce), f.ns, f.channel, f.machine.UnixMilli()).Scan(&customer)
		if store.IsNotFound(err) {
			e.name = ""
			e.replyToken = ""
			continue
		}
		if err != nil {
			return fmt.Errorf("look up who links an account: %w", err)
		}
		if err := tx.AttachLINE(ctx, f.ns, e.user, customer, f.now); err != nil {
			return err
		}
		f.customers[e.user] = customer
	}
	return nil
}
