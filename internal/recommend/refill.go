// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// refillAhead is how long before a product is used up it is recommended.
	refillAhead = 7 * 24 * time.Hour
	// leastRepeated is the share of a product's buyers who bought it again, one in so many, from which on it is
	// something that is used up: who bought a kettle once needs no second one.
	leastRepeated = 10
)

// due is when a customer is expected to buy a product again.
type due struct {
	product string
	at      int64
}

// refills recommends what the customer has bought and will have used up soon, the most urgent first.
func refills(ctx context.Context, s *session) error {
	if err := s.describeBought(ctx, math.MaxInt); err != nil {
		return err
	}
	priors, err := s.readPriors(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.customers {
		var all []due
		for product, p := range c.bought {
			if d := s.products[product]; d.inStock && usedUp(d, p.history) {
				if at, ok := s.dueAt(p.history, priors.of(d)); ok {
					all = append(all, due{product, at})
				}
			}
		}
		slices.SortFunc(all, func(x, y due) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.product, y.product)) })
		for _, d := range all[:min(len(all), s.limit)] {
			c.picks = append(c.picks, pick{d.product, s.words.refill})
		}
	}
	return nil
}

// usedUp tells whether a product is bought again: by the customer, or by enough others.
func usedUp(d *described, h replenish.History) bool {
	return h.Purchases > 1 || d.moments.repeaters*leastRepeated >= d.buyers
}

// dueAt is when the next purchase is due, if that is soon, or so long ago only that they may still come back to it.
func (s *session) dueAt(h replenish.History, prior replenish.Prior) (int64, bool) {
	prediction, ok := prior.After(h, 0)
	if !ok {
		return 0, false
	}
	now := store.Millis(s.now)
	soon := prediction.DueAt <= now+refillAhead.Milliseconds()
	late := now-prediction.DueAt > prediction.DueAt-h.LastAt
	return prediction.DueAt, soon && !late
}

// priors are what the intervals of categories, and of the whole shop, say.
type priors struct {
	categories map[string]moments
	shop       moments
}

// of is the prior of a product: its own, or where too few intervals are known its category's, or the shop's.
func (p *priors) of(d *described) replenish.Prior {
	if prior, ok := d.moments.prior(); ok {
		return prior
	}
	if d.category != "" {
		if prior, ok := p.categories[d.category].prior(); ok {
			return prior
		}
	}
	prior, ok := p.shop.prior()
	if !ok {
		return replenish.Prior{} // predicts nothing
	}
	return prior
}

func (s *session) readPriors(ctx context.Context) (*priors, error) {
	p := &priors{categories: map[string]moments{}}
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var category sql.NullString
		var m moments
		err := rows.Scan(&category, &m.repeaters, &m.intervals, &m.logSum, &m.logSquares, &m.ownSquares, &m.countsSquared)
		if category.Valid {
			p.categories[category.String] = m
		}
		p.shop.add(m)
		return err
	}, `SELECT p.category, CAST(SUM(s.repeaters) AS BIGINT), CAST(SUM(s.intervals) AS BIGINT), CAST(SUM(s.log_sum) AS BIGINT),
			CAST(SUM(s.log_squares) AS BIGINT), CAST(SUM(s.own_squares) AS BIGINT), CAST(SUM(s.counts_squared) AS BIGINT)
		FROM product_sales s LEFT JOIN products p ON p.ns = s.ns AND p.id = s.product_id
		WHERE s.ns = $1 AND s.intervals > 0 GROUP BY p.category`, s.ns)
	if err != nil {
		return nil, fmt.Errorf("read how often products are bought: %w", err)
	}
	return p, nil
}
