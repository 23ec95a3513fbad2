// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"slices"
)

// recentlyViewed recommends what the customer looked at and has not bought since, the latest first.
func recentlyViewed(ctx context.Context, s *session) error {
	views, err := s.readViews(ctx, s.customers)
	if err != nil {
		return err
	}
	var ids []string
	for _, viewed := range views {
		for _, v := range viewed {
			ids = append(ids, v.product)
		}
	}
	if err := s.describe(ctx, ids); err != nil {
		return err
	}
	for _, c := range s.customers {
		viewed := views[c.id]
		slices.SortStableFunc(viewed, func(x, y view) int { return cmp.Compare(y.lastAt, x.lastAt) })
		for _, v := range viewed {
			p := c.bought[v.product]
			since := p != nil && p.history.LastAt >= v.lastAt
			if len(c.picks) < s.limit && s.products[v.product].inStock && !since {
				c.picks = append(c.picks, pick{v.product, s.words.viewed})
			}
		}
	}
	return nil
}
