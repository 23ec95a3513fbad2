// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package recommend recommends products to customers: what others bought along, what is popular or new, what is
// used up by now, what they looked at. A Keeper counts orders in the database, at the cost of what changed; For
// reads the counts for many customers at once. docs/recommendations.md says what each strategy does, and why.
package recommend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The strategies.
const (
	BoughtTogether    = "BoughtTogether"
	PopularInCategory = "PopularInCategory"
	NewArrivals       = "NewArrivals"
	Replenish         = "Replenish"
	RecentlyViewed    = "RecentlyViewed"
)

// Strategies are all of them.
var Strategies = []string{BoughtTogether, PopularInCategory, NewArrivals, Replenish, RecentlyViewed}

// ErrNotReady is returned while the shop's orders have not all been counted yet: a Keeper has to do that first.
var ErrNotReady = errors.New("the shop's orders are still being counted for recommendations")

// Options say when and in which language something is recommended.
type Options struct {
	// Now is the business time.
	Now time.Time
	// Language is that of the reasons: Japanese where it begins with ja, else English.
	Language string
}

// For recommends at most limit products that are in stock to each of these customers. Who is recommended nothing is
// not in the map. The number of statements does not depend on how many customers there are.
func For(ctx context.Context, q store.Querier, ns, strategy string, limit int, customers []string, o Options) (map[string][]Product, error) {
	recommend, known := map[string]func(context.Context, *session) error{
		BoughtTogether: boughtTogether, PopularInCategory: popularInCategory, NewArrivals: newArrivals,
		Replenish: refills, RecentlyViewed: recentlyViewed,
	}[strategy]
	if !known {
		return nil, fmt.Errorf("recommend products: the strategy %q is none of %s", strategy, strings.Join(Strategies, ", "))
	}
	if err := ready(ctx, q, ns); err != nil {
		return nil, err
	}
	if limit <= 0 || len(customers) == 0 {
		return nil, nil
	}
	s := &session{q: q, ns: ns, limit: limit, now: o.Now, words: wordsOf(o.Language), products: map[string]*described{}}
	err := s.begin(ctx, slices.Compact(slices.Sorted(slices.Values(customers))))
	if err == nil {
		err = recommend(ctx, s)
	}
	if err != nil {
		return nil, fmt.Errorf("recommend products to customers of %s: %w", ns, err)
	}
	return s.dress(ctx)
}

func ready(ctx context.Context, q store.Querier, ns string) error {
	var state string
	err := q.QueryRow(ctx, `SELECT state FROM recommendations WHERE ns = $1`, ns).Scan(&state)
	switch {
	case store.IsNotFound(err):
		return ErrNotReady
	case err != nil:
		return fmt.Errorf("read how far the orders of %s are counted: %w", ns, err)
	case state == stateFirst, state == statePairing, state == stateDropping:
		return ErrNotReady
	}
	return nil
}

// session is one call of For.
type session struct {
	q     store.Querier
	ns    string
	limit int
	now   time.Time
	words words

	customers []*customer
	products  map[string]*described // what is known of those that were asked about
}

// pick is a product that was chosen for a customer, and why.
type pick struct{ product, reason string }

// customer is whom something is recommended to.
type customer struct {
	id     string
	bought map[string]*purchases
	picks  []pick
}

// begin reads what the customers have bought by now: the counts may be some seconds behind.
func (s *session) begin(ctx context.Context, ids []string) error {
	byID := make(map[string]*customer, len(ids))
	for _, id := range ids {
		c := &customer{id: id, bought: map[string]*purchases{}}
		byID[id] = c
		s.customers = append(s.customers, c)
	}
	return s.readPurchases(ctx, ids, byID)
}

// take picks a product, unless the customer has bought it or it is picked already, until there are enough.
func (s *session) take(c *customer, product, reason string) (enough bool) {
	_, bought := c.bought[product]
	if !bought && !slices.ContainsFunc(c.picks, func(p pick) bool { return p.product == product }) {
		c.picks = append(c.picks, pick{product, reason})
	}
	return len(c.picks) >= s.limit
}

// dress makes products of what was picked.
func (s *session) dress(ctx context.Context) (map[string][]Product, error) {
	var ids []string
	for _, c := range s.customers {
		for _, p := range c.picks {
			ids = append(ids, p.product)
		}
	}
	slices.Sort(ids)
	products, err := Products(ctx, s.q, s.ns, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	out := make(map[string][]Product, len(s.customers))
	for _, c := range s.customers {
		for _, p := range c.picks {
			if product, known := products[p.product]; known && product.inStock() { // as it is now
				product.Reason = p.reason
				out[c.id] = append(out[c.id], product)
			}
		}
	}
	return out, nil
}
