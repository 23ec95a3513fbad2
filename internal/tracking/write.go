// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"context"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Write stores facts of a shop as an import of them would. Those that were stored already, and came again,
// change nothing. now is the business time.
func (f *Facts) Write(ctx context.Context, tx *store.Tx, ns string, now time.Time) error {
	if err := f.merge(ctx, tx, ns, now); err != nil {
		return err
	}
	if len(f.Customers) > 0 {
		if _, err := tx.UpsertCustomers(ctx, ns, f.Customers, now); err != nil {
			return err
		}
	}
	if len(f.Events) > 0 {
		added, err := tx.AddEvents(ctx, ns, f.Events, now)
		if err != nil {
			return err
		}
		if err := tx.TrackOrders(ctx, ns, f.orders(added), now); err != nil {
			return err
		}
	}
	if len(f.Products) > 0 {
		if _, err := tx.UpsertProducts(ctx, ns, f.Products, now); err != nil {
			return err
		}
	}
	return nil
}

// orders is what those events tell of orders that had not been told before, in their order.
func (f *Facts) orders(added map[string]bool) []store.OrderNews {
	var news []store.OrderNews
	told := map[string]bool{}
	for i := range f.Events {
		id := f.Events[i].ID
		if order, tells := f.Orders[id]; tells && order.Event == f.Events[i].Name && added[id] && !told[id] {
			told[id] = true
			news = append(news, order)
		}
	}
	return news
}

// merge makes one customer of each two that are the same. Most were so before, which one look tells.
func (f *Facts) merge(ctx context.Context, tx *store.Tx, ns string, now time.Time) error {
	if len(f.Aliases) == 0 {
		return nil
	}
	ids := make([]string, len(f.Aliases))
	for i, alias := range f.Aliases {
		ids[i] = alias.From
	}
	known, err := tx.Survivors(ctx, ns, ids)
	if err != nil {
		return err
	}
	for _, alias := range f.Aliases {
		if _, merged := known[alias.From]; merged && alias.First {
			continue
		}
		if alias.From == alias.To { // who is tracked by what was an anonymous id
			continue
		}
		if alias.First {
			if known == nil {
				known = map[string]string{}
			}
			known[alias.From] = alias.To
		}
		if _, err := tx.Merge(ctx, ns, alias.From, alias.To, now); err != nil {
			return err
		}
	}
	return nil
}
