// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	twilio "github.com/twilio/twilio-go/client"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// callbackPolicy is the fragment that asks Twilio to try a callback again, also after a 5xx. It is
// not sent, but whether it is signed is not documented: both are taken.
const callbackPolicy = "#rc=5&rp=all"

// suppressingCodes are the error codes after which a number must not be used again, with the reason
// that is stored. All others are the message's own failure.
var suppressingCodes = map[string]string{
	"21610": channel.ReasonRecipientOptedOut, // told Twilio STOP
	"30005": channel.ReasonRecipientInvalid,  // unknown or no longer in service
	"30006": channel.ReasonRecipientInvalid,  // a landline, or a carrier that cannot be reached
}

// callback is what Twilio says of a message.
type callback struct {
	message   uuid.UUID // from our own query; zero where it is not there
	sid       string
	status    string
	errorCode string
	to        string
}

func (g *Gateway) twilioCallback(w http.ResponseWriter, r *http.Request) {
	ns, name := r.PathValue("ns"), r.PathValue("channel")
	token, ok := g.Credentials.WebhookSecret(ns, name, store.ChannelSMS)
	if !ok || token == "" {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if !g.signedByTwilio(r, token, body) {
		g.refuseSignature(w, ns, name)
		return
	}
	if m, ok := parseInbound(body); ok {
		g.receive(w, r, ns, name, m)
		return
	}
	c, ok := parseCallback(r.URL.Query(), body)
	if !ok {
		http.Error(w, "MessageSid and MessageStatus are missing", http.StatusBadRequest)
		return
	}
	if err := g.writer.write(r.Context(), g.applyCallback(ns, name, c)); err != nil {
		unavailable(w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// signedByTwilio checks the signature over the address that Twilio was given, which a proxy may have
// changed since.
func (g *Gateway) signedByTwilio(r *http.Request, token string, body []byte) bool {
	signature := r.Header.Get("X-Twilio-Signature")
	if signature == "" {
		return false
	}
	address := g.publicURL + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	v := twilio.NewRequestValidator(token)
	return v.ValidateBody(address, body, signature) || v.ValidateBody(address+callbackPolicy, body, signature)
}

func parseCallback(query url.Values, body []byte) (callback, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return callback{}, false
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := clean(form.Get(name)); v != "" {
				return v
			}
		}
		return ""
	}
	c := callback{
		sid: first("MessageSid", "SmsSid"), status: first("MessageStatus", "SmsStatus"),
		errorCode: first("ErrorCode"), to: first("To"),
	}
	if id, err := uuid.Parse(query.Get("m")); err == nil {
		c.message = id
	}
	return c, c.sid != "" && c.status != ""
}

// kind is what a status says as a receipt.
func (c callback) kind() string {
	switch c.status {
	case "delivered", "read":
		return receiptDelivered
	case "undelivered", "failed", "canceled":
		return receiptUndelivered
	}
	return receiptAccepted // queued, sending, sent, …
}

// applyCallback records a callback. Callbacks come late, in any order and more than once, so a time
// once set stays, and nothing takes delivered back.
func (g *Gateway) applyCallback(ns, name string, c callback) change {
	now := g.Clock.Now()
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		m, err := c.find(ctx, tx, ns)
		if store.IsNotFound(err) || err == nil && (m.channel != name || m.kind != store.ChannelSMS) {
			return ref{}, nil // not a message of Kaeru's, or one whose rows have been deleted
		}
		if err != nil {
			return ref{}, err
		}
		rec := receipt{
			id: "twilio/" + c.sid + "/" + c.status, kind: c.kind(),
			detail: map[string]string{"status": c.status, "errorCode": c.errorCode},
		}
		if fresh, err := rec.insert(ctx, tx, m, now); err != nil || !fresh {
			return ref{}, err
		}
		g.alert(m, c)
		if err := c.suppress(ctx, tx, ns, rec.kind, now); err != nil {
			return ref{}, err
		}
		if done, err := g.redeliver(ctx, tx, c, m); err != nil || done {
			return ref{m.ns, m.scenario}, err
		}
		changed, err := c.mark(ctx, tx, m, now)
		if err != nil || !changed {
			return ref{}, err
		}
		return ref{m.ns, m.scenario}, nil
	}
}

func (c callback) find(ctx context.Context, tx *store.Tx, ns string) (message, error) {
	if c.message != uuid.Nil {
		return findMessage(ctx, tx, ns, c.message)
	}
	return scanMessage(ctx, tx, `WHERE ns = $1 AND provider_id = $2`, ns, c.sid)
}

// mark writes what a callback says into the message's row. A message whose sending was begun and
// whose answer was lost is sent after all: Twilio would not tell of one it does not have.
func (c callback) mark(ctx context.Context, tx *store.Tx, m message, now time.Time) (bool, error) {
	at := store.Millis(now)
	healed, err := exec(ctx, tx, `UPDATE messages
   SET state = 'sent', reason = '', provider_id = COALESCE(provider_id, $2), ended_at = COALESCE(ended_at, $3)
 WHERE id = $1 AND state IN ('sending', 'unknown')`, m.id, c.sid, at)
	if err != nil {
		return false, fmt.Errorf("heal a message: %w", err)
	}
	marked := int64(0)
	switch c.kind() {
	case receiptDelivered:
		marked, err = exec(ctx, tx, `UPDATE messages SET delivered_at = $2 WHERE id = $1 AND delivered_at IS NULL`, m.id, at)
	case receiptUndelivered:
		marked, err = exec(ctx, tx, `UPDATE messages SET bounced_at = $2 WHERE id = $1 AND delivered_at IS NULL AND bounced_at IS NULL`, m.id, at)
	}
	if err != nil {
		return false, fmt.Errorf("mark a message as %s: %w", c.kind(), err)
	}
	if marked > 0 {
		if err := tx.SyncEngagements(ctx, m.ns, store.EngagementDelivered, []string{m.id}); err != nil {
			return false, err
		}
	}
	return healed+marked > 0, nil
}

// suppress keeps a number from being used again where the error code says that it is the number's.
func (c callback) suppress(ctx context.Context, tx *store.Tx, ns, kind string, now time.Time) error {
	reason := suppressingCodes[c.errorCode]
	if reason == "" || kind != receiptUndelivered {
		return nil
	}
	if _, err := store.NormalizeAddress(store.ChannelSMS, c.to); err != nil {
		return nil //nolint:nilerr // no number, so no customer's, and nothing to keep from being used
	}
	return tx.Suppress(ctx, ns, store.ChannelSMS, c.to, reason, now)
}
