// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// sampleSize is how many customers' texts are rendered to see how many parts they take.
const sampleSize = 50

// partsOf is how many parts a text message takes, rounded up, on the average of some of a run's recipients.
func (e *Engine) partsOf(ctx context.Context, r *openRun, rev *Revision, t template) (int64, error) {
	letters, err := e.sample(ctx, r, rev, t)
	if err != nil {
		return 0, err
	}
	if err := e.fillRecommendations(ctx, letters); err != nil && !errors.Is(err, recommend.ErrNotReady) {
		return 0, err
	}
	likely, err := e.likelyCoupon(ctx, r.ref.Namespace, rev)
	if err != nil {
		return 0, err
	}
	var parts, n int64
	for i := range letters {
		l := &letters[i]
		facts, err := l.who.facts(l.customer)
		if err != nil {
			continue // whose message will fail
		}
		data := rev.data(facts, l.let, likely.facts())
		data.Recommendations = l.recommended
		text, err := t.sms.Render(ctx, data, content.Links{Signer: e.signer, Namespace: r.ref.Namespace, Message: l.key, Clicks: true})
		if err != nil {
			continue // whose message will be skipped
		}
		parts, n = parts+int64(text.Count.Parts), n+1
	}
	if n == 0 {
		return 1, nil
	}
	return (parts + n - 1) / n, nil
}

// likelyCoupon takes the place of the recipients' own, which nobody has yet: some code of the pool.
func (e *Engine) likelyCoupon(ctx context.Context, ns string, rev *Revision) (coupon, error) {
	likely := coupon{until: e.clock.Now()}
	c := rev.Bundle.Spec.Coupon
	if c == nil {
		return likely, nil
	}
	err := e.store.QueryRow(ctx, `SELECT code FROM coupons WHERE ns = $1 AND pool = $2 LIMIT 1`, ns, c.Pool).Scan(&likely.code)
	if err != nil && !store.IsNotFound(err) {
		return likely, fmt.Errorf("reading a code of coupon pool %s: %w", c.Pool, err)
	}
	return likely, nil
}

// sample is letters to some of a run's recipients.
func (e *Engine) sample(ctx context.Context, r *openRun, rev *Revision, t template) (letters []letter, err error) {
	rows, err := e.store.Query(ctx, `SELECT e.customer_id, `+customerColumns+`, e.facts FROM enrolments e`+customerJoins(`e`)+`
WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.run = $4 AND e.state IN ('active', 'held') LIMIT $5`,
		r.ref.Namespace, r.ref.Name, r.epoch, r.run, sampleSize)
	if err != nil {
		return nil, fmt.Errorf("reading some of the recipients: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		l := letter{ref: r.ref, rev: rev, template: t}
		if err := rows.Scan(append(append([]any{&l.customer}, l.who.scans()...), &l.entry)...); err != nil {
			return nil, fmt.Errorf("reading some of the recipients: %w", err)
		}
		if l.let, err = journey.ReadEntry(l.entry); err != nil {
			return nil, err
		}
		l.key = journey.Key(r.ref.Namespace, r.ref.Name, r.epoch, l.customer, "", "")
		letters = append(letters, l)
	}
	return letters, rows.Err()
}
