// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var products = table[store.Product]{
	columns: map[string]func(*store.Product, cell, *Options) error{
		"id":        required(func(p *store.Product) *string { return &p.ID }, text),
		"name":      column(func(p *store.Product) *store.Field[string] { return &p.Name }, text),
		"category":  column(func(p *store.Product) *store.Field[string] { return &p.Category }, text),
		"price":     column(func(p *store.Product) *store.Field[money.Amount] { return &p.Price }, amount),
		"stock":     column(func(p *store.Product) *store.Field[int64] { return &p.Stock }, integer),
		"url":       column(func(p *store.Product) *store.Field[string] { return &p.URL }, text),
		"image_url": column(func(p *store.Product) *store.Field[string] { return &p.ImageURL }, text),
	},
	required: []string{"id"},
	validate: (*store.Product).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Product, now time.Time) (store.Counts, error) {
		return tx.UpsertProducts(ctx, ns, facts, now)
	},
}

var events = table[store.Event]{
	columns: map[string]func(*store.Event, cell, *Options) error{
		"id":          required(func(e *store.Event) *string { return &e.ID }, text),
		"customer_id": required(func(e *store.Event) *string { return &e.CustomerID }, text),
		"name":        required(func(e *store.Event) *string { return &e.Name }, text),
		"occurred_at": requiredAt(func(e *store.Event) *time.Time { return &e.OccurredAt }),
		"properties": func(e *store.Event, value cell, _ *Options) error {
			if !value.absent() {
				e.Properties = value.json()
			}
			return nil
		},
	},
	required: []string{"id", "customer_id", "name", "occurred_at"},
	validate: (*store.Event).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Event, now time.Time) (store.Counts, error) {
		return tx.UpsertEvents(ctx, ns, facts, now)
	},
}

var subscriptions = table[store.Subscription]{
	columns: map[string]func(*store.Subscription, cell, *Options) error{
		"id":               required(func(s *store.Subscription) *string { return &s.ID }, text),
		"customer_id":      required(func(s *store.Subscription) *string { return &s.CustomerID }, text),
		"plan":             column(func(s *store.Subscription) *store.Field[string] { return &s.Plan }, text),
		"status":           required(func(s *store.Subscription) *string { return &s.Status }, text),
		"started_at":       at(func(s *store.Subscription) *store.Field[time.Time] { return &s.StartedAt }),
		"cancelled_at":     at(func(s *store.Subscription) *store.Field[time.Time] { return &s.CancelledAt }),
		"next_delivery_at": at(func(s *store.Subscription) *store.Field[time.Time] { return &s.NextDelivery }),
	},
	required: []string{"id", "customer_id", "status"},
	validate: (*store.Subscription).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Subscription, now time.Time) (store.Counts, error) {
		return tx.UpsertSubscriptions(ctx, ns, facts, now)
	},
}

var coupons = table[store.Coupon]{
	columns: map[string]func(*store.Coupon, cell, *Options) error{
		"pool":       required(func(c *store.Coupon) *string { return &c.Pool }, text),
		"code":       required(func(c *store.Coupon) *string { return &c.Code }, text),
		"expires_at": at(func(c *store.Coupon) *store.Field[time.Time] { return &c.ExpiresAt }),
	},
	required: []string{"pool", "code"},
	validate: (*store.Coupon).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Coupon, _ time.Time) (store.Counts, error) {
		return tx.UpsertCoupons(ctx, ns, facts)
	},
}

var aliases = table[store.Alias]{
	columns: map[string]func(*store.Alias, cell, *Options) error{
		"previous_id": required(func(a *store.Alias) *string { return &a.PreviousID }, text),
		"customer_id": required(func(a *store.Alias) *string { return &a.CustomerID }, text),
	},
	required: []string{"previous_id", "customer_id"},
	validate: (*store.Alias).Validate,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Alias, now time.Time) (store.Counts, error) {
		return tx.MergeAll(ctx, ns, facts, now)
	},
}
