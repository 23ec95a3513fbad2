// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/bounce"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Kinds of receipts that mails have.
const (
	receiptBounced    = "bounced"
	receiptRefused    = "refused" // for reasons of policy: it says nothing of the address
	receiptDelayed    = "delayed"
	receiptComplained = "complained"
)

// Reasons of suppressions.
const (
	reasonComplained  = "Complained"
	reasonSoftBounces = "SoftBounces"
)

// softLimit is how many mails in a row may fail softly before their address is suppressed.
const softLimit = 5

// mailReport is what came back about one mail, from wherever.
type mailReport struct {
	message uuid.UUID
	// ns is empty where the message's own is not yet known, channel where it may be any.
	ns, channel string
	// source says who told: mail, ses, sendgrid, mailgun.
	source string
	to     bounce.Recipient
	// address is whom the mail went to, or empty where that is not certain.
	address string
	// sentTo is asked whether the customer's address of today is that one, where address is empty; it
	// may be nil.
	sentTo  func(address string) bool
	byCause bool // a complaint of the reader's own
}

// receiptKind is what is recorded; empty for nothing.
func (c *mailReport) receiptKind() string {
	switch c.to.Kind {
	case bounce.Failed:
		if c.to.Class == bounce.Policy {
			return receiptRefused
		}
		return receiptBounced
	case bounce.Complained:
		if !c.byCause {
			return receiptRefused // a report that authentication failed
		}
		return receiptComplained
	case bounce.Delivered:
		return receiptDelivered
	case bounce.Delayed:
		return receiptDelayed
	}
	return ""
}

// reported is what a report came to.
type reported struct {
	found   bool
	ns      string
	channel string
	refused bool
}

// report writes what came back about mails, each once, and tells whose numbers changed.
func (g *Gateway) report(ctx context.Context, reports []mailReport) (found int, err error) {
	for i := range reports {
		c := &reports[i]
		if c.receiptKind() == "" {
			continue
		}
		var r reported
		if err := g.writer.write(ctx, g.applyReport(c, &r)); err != nil {
			return found, err
		}
		if r.found {
			found++
		}
		if r.refused {
			g.NotifyChannel(r.ns, r.channel)
		}
	}
	return found, nil
}

// applyReport records a report. They come late, in any order, more than once and from several places.
func (g *Gateway) applyReport(c *mailReport, out *reported) change {
	now := g.Clock.Now()
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		*out = reported{}
		m, err := c.find(ctx, tx)
		if store.IsNotFound(err) || err == nil && (m.kind != store.ChannelEmail || c.channel != "" && m.channel != c.channel) {
			return ref{}, nil // not a mail of Kaeru's, or one whose rows have been deleted
		}
		if err != nil {
			return ref{}, err
		}
		out.found, out.ns, out.channel = true, m.ns, m.channel
		address, err := c.suppressible(ctx, tx, m)
		if err != nil {
			return ref{}, err
		}
		fresh, err := c.receipt(g.Links.AddressTag, address).insert(ctx, tx, m, now)
		if err != nil || !fresh {
			return ref{}, err
		}
		out.refused = c.receiptKind() == receiptRefused
		if err := c.react(ctx, tx, m, g.Links.AddressTag, address, now); err != nil {
			return ref{}, err
		}
		if err := c.mark(ctx, tx, m, now); err != nil {
			return ref{}, err
		}
		return ref{m.ns, m.scenario}, nil
	}
}

func (c *mailReport) find(ctx context.Context, tx *store.Tx) (message, error) {
	if c.ns == "" {
		return scanMessage(ctx, tx, `WHERE id = $1`, c.message.String())
	}
	return findMessage(ctx, tx, c.ns, c.message)
}

// suppressible is the address the mail went to, as a customer's is written, or empty. It need not be
// the customer's any more.
func (c *mailReport) suppressible(ctx context.Context, tx *store.Tx, m message) (string, error) {
	if c.address != "" {
		normal, err := store.NormalizeAddress(store.ChannelEmail, c.address)
		if err != nil {
			return "", nil //nolint:nilerr // no address, so no customer's, and nothing to suppress
		}
		return normal, nil
	}
	var address string
	err := tx.QueryRow(ctx, `SELECT COALESCE(email, '') FROM customers WHERE ns = $1 AND id = $2`, m.ns, m.customer).Scan(&address)
	if store.IsNotFound(err) || err == nil && (address == "" || c.sentTo == nil || !c.sentTo(address)) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read a customer's address: %w", err)
	}
	return address, nil
}

func (c *mailReport) receipt(tag func(string) string, address string) receipt {
	detail := map[string]string{
		"class": string(c.to.Class), "status": clean(c.to.Status), "diagnostic": clean(bounce.WithoutAddresses(c.to.Diagnostic)), "source": c.source,
	}
	if address != "" {
		detail["to"] = tag(address)
	}
	// Whoever tells it, and however often: a mail has failed in a way once.
	id := strings.Join([]string{"email", c.message.String(), c.receiptKind(), string(c.to.Class)}, "/")
	return receipt{id: id, kind: c.receiptKind(), detail: detail}
}

// react suppresses whom no more must be sent.
func (c *mailReport) react(ctx context.Context, tx *store.Tx, m message, tag func(string) string, address string, now time.Time) error {
	switch {
	case c.receiptKind() == receiptComplained:
		said := []store.Said{{Channel: store.ChannelEmail, State: store.ConsentWithdrawn}}
		if _, err := tx.SetConsents(ctx, m.ns, m.customer, said, "complaint", now); err != nil || address == "" {
			return err
		}
		return suppressFor(ctx, tx, m.ns, address, reasonComplained, now)
	case address == "" || c.to.Kind != bounce.Failed:
	case c.to.Class == bounce.Hard:
		return tx.Suppress(ctx, m.ns, store.ChannelEmail, address, channel.ReasonRecipientInvalid, now)
	case c.to.Class == bounce.Soft:
		n, err := softBounces(ctx, tx, m, tag(address))
		if err != nil || n < softLimit {
			return err
		}
		return tx.Suppress(ctx, m.ns, store.ChannelEmail, address, reasonSoftBounces, now)
	}
	return nil
}

// suppressFor suppresses for a reason that outweighs those an operator might lift.
func suppressFor(ctx context.Context, tx *store.Tx, ns, address, reason string, now time.Time) error {
	if err := tx.Suppress(ctx, ns, store.ChannelEmail, address, reason, now); err != nil {
		return err
	}
	_, err := exec(ctx, tx, `UPDATE suppressions SET reason = $4 WHERE ns = $1 AND channel = $2 AND address = $3 AND reason IN ('SoftBounces', 'RecipientInvalid')`,
		ns, store.ChannelEmail, address, reason)
	if err != nil {
		return fmt.Errorf("suppress an address: %w", err)
	}
	return nil
}

// softBounces counts the mails to an address that failed softly since anything showed that the
// customer gets mail.
func softBounces(ctx context.Context, tx *store.Tx, m message, tag string) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(DISTINCT r.message_id) FROM messages m JOIN receipts r ON r.message_id = m.id
WHERE m.ns = $1 AND m.customer_id = $2 AND m.kind = 'email' AND r.kind = 'bounced' AND r.detail LIKE '%"class":"soft"%' AND r.detail LIKE $3
  AND r.occurred_at > COALESCE((SELECT MAX(x.occurred_at) FROM messages s JOIN receipts x ON x.message_id = s.id
    WHERE s.ns = $1 AND s.customer_id = $2 AND s.kind = 'email' AND x.machine = 0
      AND (x.kind IN ('opened', 'clicked') OR x.kind = 'delivered' AND s.bounced_at IS NULL)), 0)`,
		m.ns, m.customer, `%"to":"`+tag+`"%`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count soft bounces: %w", err)
	}
	return n, nil
}

// mark writes into the message's row what became of it. A server may take a mail and send it back
// later, so a bounce takes delivered back, and nothing that was said before the bounce and arrives
// after it does the opposite. A mail that came back was sent, whatever became of the answer.
func (c *mailReport) mark(ctx context.Context, tx *store.Tx, m message, now time.Time) error {
	at := store.Millis(now)
	if c.to.Kind != bounce.Complained || c.byCause {
		_, err := exec(ctx, tx, `UPDATE messages SET state = 'sent', reason = '', ended_at = COALESCE(ended_at, $2) WHERE id = $1 AND state IN ('sending', 'unknown')`, m.id, at)
		if err != nil {
			return fmt.Errorf("heal a message: %w", err)
		}
	}
	var err error
	switch c.to.Kind {
	case bounce.Failed:
		_, err = exec(ctx, tx, `UPDATE messages SET bounced_at = $2, delivered_at = NULL WHERE id = $1 AND bounced_at IS NULL`, m.id, at)
	case bounce.Delivered:
		_, err = exec(ctx, tx, `UPDATE messages SET delivered_at = $2 WHERE id = $1 AND delivered_at IS NULL AND bounced_at IS NULL`, m.id, at)
	}
	if err != nil {
		return fmt.Errorf("mark a message as %s: %w", c.to.Kind, err)
	}
	return tx.SyncEngagements(ctx, m.ns, store.EngagementDelivered, []string{m.id})
}

// keyOf is the message that a Message-ID of ours names.
func keyOf(messageID string) (uuid.UUID, bool) {
	local, _, ok := strings.Cut(messageID, "@")
	if !ok {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(local)
	return id, err == nil && len(local) == 36
}
