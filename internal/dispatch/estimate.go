// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// sampleSize is how many customers' texts are rendered to see how many parts they take.
const sampleSize = 50

// partsOf is how many parts a text message takes, rounded up, on the average of some of a run's recipients.
func (e *Engine) partsOf(ctx context.Context, r *openRun, rev *Revision, t template) (_ int64, err error) {
	rows, err := e.store.Query(ctx, `SELECT e.customer_id, c.attributes, c.email, c.phone, c.line_user_id, `+buyerColumns+`, e.facts FROM enrolments e
JOIN customers c ON c.ns = e.ns AND c.id = e.customer_id
LEFT JOIN metrics u ON u.ns = e.ns AND u.customer_id = e.customer_id
WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.run = $4 AND e.state IN ('active', 'held') LIMIT $5`,
		r.ref.Namespace, r.ref.Name, r.epoch, r.run, sampleSize)
	if err != nil {
		return 0, fmt.Errorf("reading some of the recipients: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var parts, n int64
	for rows.Next() {
		var id string
		var attributes, facts []byte
		var email, phone, line sql.NullString
		var bought buyer
		if err := rows.Scan(append(append([]any{&id, &attributes, &email, &phone, &line}, bought.scans()...), &facts)...); err != nil {
			return 0, fmt.Errorf("reading some of the recipients: %w", err)
		}
		entry, err := journey.ReadEntry(facts)
		if err != nil {
			return 0, err
		}
		data := &content.Data{
			Customer: customerFacts(id, attributes, email, phone, line, &bought), Entry: entry, Shop: maps.Clone(rev.shop), Location: rev.loc, Currency: rev.Bundle.Shop.Currency,
			Coupon: map[string]any{"code": "XXXX-XXXX-XX", "pool": "", "expires_at": e.clock.Now()},
		}
		key := journey.Key(r.ref.Namespace, r.ref.Name, r.epoch, id, "", "")
		text, err := t.sms.Render(ctx, data, content.Links{Signer: e.signer, Namespace: r.ref.Namespace, Message: key, Clicks: true})
		if err != nil {
			continue // whose message would be skipped
		}
		parts, n = parts+int64(text.Count.Parts), n+1
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("reading some of the recipients: %w", err)
	}
	if n == 0 {
		return 1, nil
	}
	return (parts + n - 1) / n, nil
}
