// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// latestBought is how many of a customer's products are looked at, the latest.
	latestBought = 20
	// leastPaired is how many customers make a pair: one alone may have bought anything.
	leastPaired = 2
	// neighbours is how many others of a product are looked at, those that most customers bought along: the
	// thousands of others are behind few customers each, and would have to be read for each message.
	neighbours = 50
	// places is how exact similarities are compared, so that sums of the same numbers are equal in any order.
	places = 1e9
)

// boughtTogether recommends what customers of the same products bought, by the cosine of the angle between products as
// vectors of their customers (Linden, Smith and York 2003), summed over what the customer bought last.
func boughtTogether(ctx context.Context, s *session) error {
	var ids []string
	for _, c := range s.customers {
		ids = append(ids, c.latest(latestBought)...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	near, err := s.readNeighbours(ctx, ids)
	if err != nil {
		return err
	}
	for _, of := range near {
		ids = slices.AppendSeq(ids, maps.Keys(of))
	}
	if err := s.describe(ctx, ids); err != nil {
		return err
	}
	for _, c := range s.customers {
		s.takeTogether(c, near)
	}
	return s.fillFromCategories(ctx)
}

// candidate is a product with what it is similar to.
type candidate struct {
	product string
	total   float64
	best    float64
	because string // the product that it is most similar to
}

func (s *session) takeTogether(c *customer, near map[string]map[string]int64) {
	found := map[string]*candidate{}
	latest := c.latest(latestBought)
	slices.Sort(latest) // sums are the same, and the first of equals, whatever came last
	for _, product := range latest {
		for id, customers := range near[product] {
			other := s.products[id]
			if !other.inStock || other.buyers == 0 || s.products[product].buyers == 0 { // the counts may have gone on meanwhile
				continue
			}
			of := found[id]
			if of == nil {
				of = &candidate{product: id}
				found[id] = of
			}
			similar := float64(customers) / math.Sqrt(float64(s.products[product].buyers)*float64(other.buyers))
			of.total += similar
			if similar > of.best {
				of.best, of.because = similar, product
			}
		}
	}
	candidates := slices.SortedFunc(maps.Values(found), func(x, y *candidate) int {
		return cmp.Or(cmp.Compare(math.Round(y.total*places), math.Round(x.total*places)), cmp.Compare(x.product, y.product))
	})
	for _, of := range candidates {
		if s.take(c, of.product, s.because(c, of.because)) {
			return
		}
	}
}

// because is the reason that names a product the customer bought.
func (s *session) because(c *customer, product string) string {
	if called := cmp.Or(s.products[product].name, c.bought[product].name); called != "" {
		return name(s.words.together, called)
	}
	return s.words.togetherUnnamed
}

// readNeighbours reads of each product the others that most customers bought along, and how many did. What the
// customer has bought, or nobody can have, is among them.
func (s *session) readNeighbours(ctx context.Context, ids []string) (map[string]map[string]int64, error) {
	near := map[string]map[string]int64{}
	if len(ids) == 0 {
		return near, nil
	}
	// One row a product, and no more is read than is returned: the index has each product's pairs in this order.
	d := s.q.Dialect()
	err := store.Each(ctx, s.q, func(rows *sql.Rows) error {
		var product string
		var others []byte
		if err := rows.Scan(&product, &others); err != nil || len(others) == 0 {
			return err
		}
		var customers map[string]int64
		err := json.Unmarshal(others, &customers)
		near[product] = customers
		return err
	}, `SELECT u.value, (SELECT `+d.JSONObject("n.other_id", "n.customers")+` FROM (
			SELECT p.other_id, p.customers FROM pairs p WHERE p.ns = $1 AND p.product_id = u.value AND p.customers >= $3
			ORDER BY p.customers DESC, p.other_id LIMIT $4
		) n) FROM `+d.Unnest(2)+` u`, s.ns, store.List(d, ids), leastPaired, neighbours)
	if err != nil {
		return nil, fmt.Errorf("read what was bought together: %w", err)
	}
	return near, nil
}
