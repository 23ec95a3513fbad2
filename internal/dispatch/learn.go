// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// learn fills in what the decisions about these customers rest on beside their own rows: what became
// of their messages, the dates that waits end by, and the events that are waited for.
func learn(ctx context.Context, tx *store.Tx, p planning, travellers []traveller) error {
	j := p.rev.Journey
	ids := make([]string, len(travellers))
	for i := range travellers {
		ids[i] = travellers[i].customer
	}
	if j.NeedsSteps() {
		if err := stepResults(ctx, tx, p, travellers, ids); err != nil {
			return err
		}
	}
	if err := learnDates(ctx, tx, p, travellers, ids); err != nil {
		return err
	}
	if err := learnCoupons(ctx, tx, p, travellers, ids); err != nil {
		return err
	}
	if j.NeedsProduct() {
		if err := learnProducts(ctx, tx, p.ref.Namespace, travellers); err != nil {
			return err
		}
	}
	// Of all waits for events only those that this batch has come to.
	waiting := map[string][]*traveller{}
	for i := range travellers {
		t := &travellers[i]
		s := t.state()
		step, known := j.Step(s.Step)
		if !s.Listening || !known {
			continue
		}
		if event, _ := step.Listens(); event != "" {
			waiting[event] = append(waiting[event], t)
		}
	}
	for event, who := range waiting {
		if err := learnHappened(ctx, tx, p.ref.Namespace, event, who); err != nil {
			return err
		}
	}
	return nil
}

// learnDates fills in the dates that the journey's waits end by.
func learnDates(ctx context.Context, tx *store.Tx, p planning, travellers []traveller, ids []string) error {
	keys := p.rev.Journey.Dates()
	if len(keys) == 0 {
		return nil
	}
	for i := range travellers {
		travellers[i].facts.Dates = map[journey.DateKey]time.Time{}
	}
	for _, key := range keys {
		if key.Of == crm.DateCouponExpiry { // of the coupon of this entry, see learnCoupons
			continue
		}
		o := audience.Occasion{Of: key.Of, Attribute: key.Attribute, Zone: p.rev.loc}
		dates, err := o.Dates(ctx, tx, p.ref.Namespace, ids)
		if err != nil {
			return err
		}
		for i := range travellers {
			if at, known := dates[travellers[i].customer]; known {
				travellers[i].facts.Dates[key] = at
			}
		}
	}
	return nil
}

// learnCoupons fills in the coupons that these entries have, and when they end to hold.
func learnCoupons(ctx context.Context, tx *store.Tx, p planning, travellers []traveller, ids []string) error {
	expiry := journey.DateKey{Of: crm.DateCouponExpiry}
	dated := slices.Contains(p.rev.Journey.Dates(), expiry)
	if p.rev.Bundle.Spec.Coupon == nil || !dated && !p.rev.Journey.NeedsCoupon() {
		return nil
	}
	have, err := couponsOf(ctx, tx, p, ids)
	if err != nil {
		return err
	}
	for i := range travellers {
		t := &travellers[i]
		c, has := have[entryKey{t.customer, t.entry}]
		if !has {
			continue
		}
		t.facts.Coupon = c.facts()
		if dated && !c.until.IsZero() {
			t.facts.Dates[expiry] = c.until
		}
	}
	return nil
}

// learnProducts fills in the products that let these customers in, as they are now.
func learnProducts(ctx context.Context, tx *store.Tx, ns string, travellers []traveller) error {
	entries := make([]map[string]any, len(travellers))
	for i := range travellers {
		entries[i] = travellers[i].facts.Entry
	}
	return addProducts(ctx, tx, ns, entries)
}

// addProducts adds to entries that name a product what it is now.
func addProducts(ctx context.Context, q store.Querier, ns string, entries []map[string]any) error {
	naming := map[string][]map[string]any{}
	for _, entry := range entries {
		if id := journey.ProductOf(entry); id != "" {
			naming[id] = append(naming[id], entry)
		}
	}
	if len(naming) == 0 {
		return nil
	}
	products, err := recommend.Products(ctx, q, ns, slices.Sorted(maps.Keys(naming)))
	if err != nil {
		return fmt.Errorf("reading the products that let in: %w", err)
	}
	for id, p := range products {
		for _, entry := range naming[id] {
			entry[journey.EntryProductNow] = p.Data()
		}
	}
	return nil
}

// learnHappened fills in when, since they wait for it, an event of these customers first happened.
func learnHappened(ctx context.Context, tx *store.Tx, ns, event string, who []*traveller) (err error) {
	ids, earliest := make([]string, len(who)), time.Time{}
	for i, t := range who {
		ids[i] = t.customer
		if earliest.IsZero() || t.since.Before(earliest) {
			earliest = t.since
		}
	}
	d := tx.Dialect()
	args := []any{ns, store.List(d, ids), store.Millis(earliest), event}
	query := `SELECT customer_id, occurred_at FROM events WHERE ns = $1 AND customer_id ` + d.AnyText(2) + ` AND occurred_at >= $3 AND name = $4`
	if event == crm.EventOrderCompleted {
		query += ` UNION ALL SELECT customer_id, placed_at FROM orders WHERE ns = $1 AND customer_id ` + d.AnyText(2) + ` AND placed_at >= $3 AND counted = 1`
	}
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading whether %s happened: %w", event, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	happened := map[string][]time.Time{}
	for rows.Next() {
		var customer string
		var at int64
		if err := rows.Scan(&customer, &at); err != nil {
			return fmt.Errorf("reading whether %s happened: %w", event, err)
		}
		happened[customer] = append(happened[customer], store.Time(at))
	}
	for _, t := range who {
		for _, at := range happened[t.customer] {
			if !at.Before(t.since) && (t.facts.Happened.IsZero() || at.Before(t.facts.Happened)) {
				t.facts.Happened = at
			}
		}
	}
	return rows.Err()
}
