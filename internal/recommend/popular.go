// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// latestCategories is how many of the latest products may tell a customer's category, where the later ones have none.
const latestCategories = 20

// popularInCategory recommends what is popular in the category of the latest purchase.
func popularInCategory(ctx context.Context, s *session) error {
	if err := s.describeBought(ctx, latestCategories); err != nil {
		return err
	}
	return s.fillFromCategories(ctx)
}

// fillFromCategories fills up those who have too little with what is popular in their category, and then in the shop.
// What they bought last has been described.
func (s *session) fillFromCategories(ctx context.Context) error {
	lacking := s.lacking()
	if len(lacking) == 0 {
		return nil
	}
	of, err := s.categories(ctx, lacking)
	if err != nil {
		return err
	}
	wanted := make([]string, 0, len(of))
	for _, category := range of {
		wanted = append(wanted, category)
	}
	slices.Sort(wanted)
	popular, err := s.readPopularIn(ctx, slices.Compact(wanted))
	if err != nil {
		return err
	}
	for _, c := range lacking {
		category := of[c.id]
		for _, product := range popular[category] {
			if s.take(c, product, name(s.words.category, category)) {
				break
			}
		}
	}
	return s.fillFromShop(ctx)
}

// fillFromShop fills up those who have too little with what is popular in the shop.
func (s *session) fillFromShop(ctx context.Context) error {
	lacking := s.lacking()
	if len(lacking) == 0 {
		return nil
	}
	popular, err := store.Texts(ctx, s.q, `SELECT s.product_id FROM product_sales s CROSS JOIN products p
		WHERE s.ns = $1 AND p.ns = $1 AND p.id = s.product_id AND `+inStockSQL+` ORDER BY s.score DESC, s.product_id LIMIT $2`, s.ns, s.length())
	if err != nil {
		return fmt.Errorf("read what is popular: %w", err)
	}
	for _, c := range lacking {
		for _, product := range popular {
			if s.take(c, product, s.words.popular) {
				break
			}
		}
	}
	return nil
}

func (s *session) lacking() (out []*customer) {
	for _, c := range s.customers {
		if len(c.picks) < s.limit {
			out = append(out, c)
		}
	}
	return out
}

// length is how long a list must be so that everybody is left enough: of what they bought nothing is taken, and
// what is picked already comes no second time.
func (s *session) length() int { return 2*s.limit + s.mostBought() }

// categories are those of the customers: of the latest purchase that has one, else of what they looked at most.
func (s *session) categories(ctx context.Context, customers []*customer) (map[string]string, error) {
	of := map[string]string{}
	var unknown []*customer
	for _, c := range customers {
		for _, product := range c.latest(latestCategories) {
			if category := s.categoryOf(c, product); category != "" {
				of[c.id] = category
				break
			}
		}
		if of[c.id] == "" {
			unknown = append(unknown, c)
		}
	}
	views, err := s.readViews(ctx, unknown)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, viewed := range views {
		for _, v := range viewed {
			ids = append(ids, v.product)
		}
	}
	if err := s.describe(ctx, ids); err != nil {
		return nil, err
	}
	for id, viewed := range views {
		if category := s.mostViewed(viewed); category != "" {
			of[id] = category
		}
	}
	return of, nil
}

// mostViewed is the category that was looked at most; of several the first by name.
func (s *session) mostViewed(views []view) (most string) {
	times := map[string]int64{}
	for _, v := range views {
		if category := s.products[v.product].category; category != "" {
			times[category] += v.times
		}
	}
	for category, n := range times {
		if most == "" || cmp.Or(cmp.Compare(n, times[most]), cmp.Compare(most, category)) > 0 {
			most = category
		}
	}
	return most
}

// readPopularIn reads the most popular products of each category, the most popular first.
func (s *session) readPopularIn(ctx context.Context, categories []string) (map[string][]string, error) {
	popular := map[string][]string{}
	if len(categories) == 0 {
		return popular, nil
	}
	d := s.q.Dialect()
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var category, product string
		err := rows.Scan(&category, &product)
		popular[category] = append(popular[category], product)
		return err
	}, `SELECT category, id FROM (
			SELECT p.category, p.id, row_number() OVER (PARTITION BY p.category ORDER BY s.score DESC, p.id) AS nth
			FROM `+d.Unnest(2)+` u CROSS JOIN products p CROSS JOIN product_sales s
			WHERE p.ns = $1 AND p.category = u.value AND `+inStockSQL+` AND s.ns = $1 AND s.product_id = p.id
		) r WHERE nth <= $3 ORDER BY category, nth`, s.ns, store.List(d, categories), s.length())
	if err != nil {
		return nil, fmt.Errorf("read what is popular in categories: %w", err)
	}
	return popular, nil
}
