// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"math/big"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// sums are over the customers who bought a product. All are whole numbers: what one customer adds can be taken
// away again to the last digit.
type sums struct {
	buyers int64
	weight *big.Int
	moments
}

// moments are those of the logarithms of intervals, in millionths.
type moments struct {
	repeaters, intervals, logSum, logSquares, ownSquares, countsSquared int64
}

func newSums() *sums { return &sums{weight: new(big.Int)} }

// count adds a customer, or takes one away where sign is -1.
func (s *sums) count(b bought, sign int64) {
	s.buyers += sign
	if weight := weightOf(b.day); sign < 0 {
		s.weight.Sub(s.weight, weight)
	} else {
		s.weight.Add(s.weight, weight)
	}
	n := b.purchases - 1
	if n < 1 {
		return
	}
	sum := float64(b.logSum) / million
	s.moments.add(moments{sign, sign * n, sign * b.logSum, sign * b.logSquares, sign * millionths(sum*sum/float64(n)), sign * n * n})
}

func (s *sums) add(other *sums) {
	s.buyers += other.buyers
	s.weight.Add(s.weight, other.weight)
	s.moments.add(other.moments)
}

func (m *moments) add(o moments) {
	m.repeaters += o.repeaters
	m.intervals += o.intervals
	m.logSum += o.logSum
	m.logSquares += o.logSquares
	m.ownSquares += o.ownSquares
	m.countsSquared += o.countsSquared
}

// prior is what the intervals say of a customer who has none.
func (m moments) prior() (replenish.Prior, bool) {
	return replenish.Moments{
		Customers: float64(m.repeaters), Intervals: float64(m.intervals), Sum: float64(m.logSum) / million,
		WithinSquares: float64(m.logSquares-m.ownSquares) / million, MeanSquares: float64(m.ownSquares) / million, CountsSquared: float64(m.countsSquared),
	}.Prior()
}

// pair is two products that one customer bought.
type pair struct{ product, other string }

// difference is what a batch of customers changes.
type difference struct {
	added, changed map[string]basket // purchases are 0 of what goes
	pairs          map[pair]int64
	sales          map[string]*sums
}

// differ compares what customers have bought with what was counted of them.
func differ(customers []string, counted, now map[string]basket) *difference {
	d := &difference{map[string]basket{}, map[string]basket{}, map[pair]int64{}, map[string]*sums{}}
	for _, customer := range customers {
		d.customer(customer, counted[customer], now[customer])
	}
	return d
}

func (d *difference) customer(customer string, counted, now basket) {
	added, changed := basket{}, basket{}
	for product, old := range counted {
		if b, still := now[product]; !still {
			changed[product] = bought{}
		} else if b == old {
			continue
		}
		d.of(product).count(old, -1)
	}
	for product, b := range now {
		old, known := counted[product]
		if known && old == b {
			continue
		}
		d.of(product).count(b, 1)
		if known {
			changed[product] = b
		} else {
			added[product] = b
		}
	}
	d.added[customer], d.changed[customer] = added, changed
}

func (d *difference) of(product string) *sums {
	if d.sales[product] == nil {
		d.sales[product] = newSums()
	}
	return d.sales[product]
}

// pair counts the pairs of products now that were none before, and the other way round.
func (d *difference) pair(customers []string, counted, now map[string]basket) {
	for _, customer := range customers {
		before, after := counted[customer].paired(), now[customer].paired()
		was, is := setOf(before), setOf(after)
		d.count(before, is, -1)
		d.count(after, was, 1)
	}
}

// count counts the pairs of products of which not both are among others.
func (d *difference) count(products []string, others map[string]bool, by int64) {
	for i, a := range products {
		for _, b := range products[:i] {
			if others[a] && others[b] {
				continue
			}
			d.pairs[pair{a, b}] += by
			d.pairs[pair{b, a}] += by
		}
	}
}

func setOf(values []string) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[v] = true
	}
	return set
}
