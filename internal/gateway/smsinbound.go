// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// EventSMSReceived is the event of a customer who sends a text message to the shop.
const EventSMSReceived = "SMS Received"

// receiptReceived is the receipt of a message that a customer sent.
const receiptReceived = "received"

// maxInbound is how many characters of a text message are kept: Twilio's own limit.
const maxInbound = 1600

// inbound is a text message that came in.
type inbound struct {
	sid, from, text string
	asks            keyword
}

// noReply is TwiML that sends nothing back.
const noReply = `<?xml version="1.0" encoding="UTF-8"?><Response></Response>`

// parseInbound reads a message that Twilio passes on. It is not ok for what is a status callback, or neither:
// a callback has MessageStatus, a message has the text and SmsStatus received.
func parseInbound(body []byte) (inbound, bool) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Has("MessageStatus") || !form.Has("Body") || form.Get("SmsStatus") != "received" {
		return inbound{}, false
	}
	m := inbound{sid: clean(form.Get("MessageSid")), text: cleanText(form.Get("Body"))}
	if m.sid == "" {
		return inbound{}, false
	}
	// What is no number (a sender's name, WhatsApp's prefix) is nobody's whom we know.
	if from, err := store.NormalizeAddress(store.ChannelSMS, strings.TrimSpace(clean(form.Get("From")))); err == nil {
		m.from = from
	}
	switch asks := keyword(form.Get("OptOutType")); asks {
	case keywordStop, keywordStart, keywordHelp:
		m.asks = asks // a messaging service with Advanced Opt-Out knows its own words
	default:
		m.asks = readKeyword(m.text)
	}
	return m, true
}

// cleanText makes a customer's text fit for both stores.
func cleanText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
	if runes := []rune(s); len(runes) > maxInbound {
		s = string(runes[:maxInbound])
	}
	return s
}

// receive records a message that came in and answers it with nothing: the answer to STOP is Twilio's.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request, ns, name string, m inbound) {
	if err := g.writer.write(r.Context(), g.applyInbound(ns, name, m)); err != nil {
		unavailable(w)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, _ = io.WriteString(w, noReply)
}

// applyInbound does what a message asks for, once.
func (g *Gateway) applyInbound(ns, name string, m inbound) change {
	now := g.Clock.Now()
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		if m.from == "" {
			return ref{}, nil
		}
		about, err := lastText(ctx, tx, ns, name, m.from)
		if err != nil {
			return ref{}, err
		}
		rec := receipt{id: "twilio/" + m.sid + "/" + receiptReceived, kind: receiptReceived, detail: map[string]string{"asks": string(m.asks)}}
		if fresh, err := rec.insert(ctx, tx, about, now); err != nil || !fresh {
			return ref{}, err
		}
		switch m.asks {
		case keywordStop:
			if err := tx.OptOut(ctx, ns, store.ChannelSMS, m.from, channel.ReasonRecipientOptedOut, store.SourceSMS, now); err != nil {
				return ref{}, err
			}
			return g.unsubscribed(ctx, tx, about)
		case keywordStart:
			return ref{}, tx.OptIn(ctx, ns, store.ChannelSMS, m.from, store.SourceSMS, now, channel.ReasonRecipientOptedOut, channel.ReasonRecipientUnreachable)
		case keywordHelp:
			return ref{}, nil // Twilio answers it
		}
		// Who writes can be reached, whatever carriers said before.
		if err := tx.Unsuppress(ctx, ns, store.ChannelSMS, m.from, channel.ReasonRecipientUnreachable); err != nil {
			return ref{}, err
		}
		return ref{}, g.heard(ctx, tx, ns, name, m)
	}
}

// unsubscribed counts a STOP as an unsubscription from what the customer got last.
func (g *Gateway) unsubscribed(ctx context.Context, tx *store.Tx, about message) (ref, error) {
	if about.id == uuid.Nil.String() {
		return ref{}, nil
	}
	rec := receipt{id: receiptUnsubscribed + "/" + about.id, kind: receiptUnsubscribed, detail: map[string]string{"agent": "STOP"}}
	if _, err := rec.insert(ctx, tx, about, g.Clock.Now()); err != nil {
		return ref{}, err
	}
	return ref{about.ns, about.scenario}, nil
}

// heard makes an event of a message, for each customer who has the number.
func (g *Gateway) heard(ctx context.Context, tx *store.Tx, ns, name string, m inbound) error {
	customers, err := tx.CustomersAt(ctx, ns, store.ChannelSMS, m.from)
	if err != nil || len(customers) == 0 {
		return err
	}
	properties, err := json.Marshal(map[string]string{"text": m.text, "channel": name})
	if err != nil {
		return fmt.Errorf("write an event's properties: %w", err)
	}
	now := g.Clock.Now()
	events := make([]store.Event, len(customers))
	for i, id := range customers {
		events[i] = store.Event{ID: "twilio/" + m.sid + "/" + id, CustomerID: id, Name: EventSMSReceived, OccurredAt: now, Properties: properties}
	}
	_, err = tx.UpsertEvents(ctx, ns, events, now)
	return err
}

// lastText is the message that a number got last through a channel; one without an id where it got none.
func lastText(ctx context.Context, tx *store.Tx, ns, name, from string) (message, error) {
	none := message{id: uuid.Nil.String(), ns: ns}
	customers, err := tx.CustomersAt(ctx, ns, store.ChannelSMS, from)
	if err != nil || len(customers) == 0 {
		return none, err
	}
	m, err := scanMessage(ctx, tx, `WHERE ns = $1 AND customer_id `+tx.Dialect().AnyText(2)+` AND kind = 'sms' AND channel = $3 AND state IN ('sent', 'sending', 'unknown')
ORDER BY planned_at DESC, id DESC LIMIT 1`, ns, store.List(tx.Dialect(), customers), name)
	if store.IsNotFound(err) {
		return none, nil
	}
	return m, err
}
