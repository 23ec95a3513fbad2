// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// limits are the smallest and the largest amount that match; nil is none.
type limits struct{ atLeast, atMost *int64 }

func spendLimits(c *v1alpha1.SpendCondition, path string) (limits, error) {
	var l limits
	for _, side := range []struct {
		name  string
		value *intstr.IntOrString
		limit **int64
	}{{"atLeast", c.AtLeast, &l.atLeast}, {"atMost", c.AtMost, &l.atMost}} {
		if side.value == nil {
			continue
		}
		amount, err := money.FromIntOrString(side.value)
		if err != nil {
			return limits{}, &Invalid{path + "." + side.name, err.Error()}
		}
		v := int64(amount)
		*side.limit = &v
	}
	if l.atLeast == nil && l.atMost == nil {
		return limits{}, &Invalid{path, "set exactly one of atLeast/atMost, topPercent, bottomPercent"}
	}
	return l, nil
}

func (l limits) contain(v int64) bool {
	return (l.atLeast == nil || v >= *l.atLeast) && (l.atMost == nil || v <= *l.atMost)
}

// inside and outside compare an amount with the limits.
func (l limits) inside(s *statement, amount string) string {
	return l.compare(s, amount, " >= ", " <= ", " AND ")
}

func (l limits) outside(s *statement, amount string) string {
	return l.compare(s, amount, " < ", " > ", " OR ")
}

func (l limits) compare(s *statement, amount, least, most, operator string) string {
	var parts []string
	if l.atLeast != nil {
		parts = append(parts, amount+least+s.number(*l.atLeast))
	}
	if l.atMost != nil {
		parts = append(parts, amount+most+s.number(*l.atMost))
	}
	return strings.Join(parts, operator)
}

func (s *statement) spend(c *v1alpha1.SpendCondition, path string) (predicate, error) {
	set, err := s.spendIn(c, path)
	if err != nil {
		return predicate{}, err
	}
	if set.query != "" {
		return s.member(set), nil
	}
	rank, err := spendRankOf(c, path)
	if err != nil {
		return predicate{}, err
	}
	if rank != nil {
		measure := measureSpend
		if c.OfOrDefault() == v1alpha1.SpendAverage {
			measure = measureAverage
		}
		return s.within(Cut{measure, rank.low, rank.share}), nil
	}
	l, err := spendLimits(c, path)
	if err != nil {
		return predicate{}, err
	}
	amount := s.spendOf(c)
	if l.contain(0) && (!s.buyersOnly || c.OfOrDefault() == v1alpha1.SpendAverage) {
		amount = "COALESCE(" + amount + ", 0)"
	}
	return when(l.inside(s, amount)), nil
}

// spendIn is the condition as a subquery of orders, where it needs one.
func (s *statement) spendIn(c *v1alpha1.SpendCondition, path string) (membershipIn, error) {
	s.kinds |= store.TouchedOrders
	if c.Within == "" && c.Where == nil {
		return membershipIn{}, nil
	}
	var window []slice
	if c.Within != "" {
		d, err := duration(c.Within, path+".within")
		if err != nil {
			return membershipIn{}, err
		}
		window = []slice{{facts: factOrders, age: d}}
		s.moves(window...)
	}
	rank, err := spendRankOf(c, path)
	if err != nil {
		return membershipIn{}, err
	}
	if rank != nil && s.theirs {
		return s.rankedIn(c, rank, window, path)
	}
	which, err := s.matchingOrders(c.Within, c.Where, path)
	if err != nil {
		return membershipIn{}, err
	}
	if rank != nil {
		table := s.table("SELECT o.customer_id, " + orderSum(c) + " AS amount FROM " + which + s.groups(recent(c.Within)))
		return membershipIn{query: fmt.Sprintf("SELECT o.customer_id FROM %s o WHERE o.amount %s %s", table, rank.compare(), s.cut(rank, "o.amount", table+" o"))}, nil
	}
	l, err := spendLimits(c, path)
	if err != nil {
		return membershipIn{}, err
	}
	query := "SELECT o.customer_id FROM " + which + s.groups(recent(c.Within)) + " HAVING "
	if l.contain(0) {
		// Who has no such order spent nothing, so those who do not match are the ones to find.
		return membershipIn{query: query + l.outside(s, orderSum(c)), outside: true}, nil
	}
	return membershipIn{query: query + l.inside(s, orderSum(c))}, nil
}

// spendOf is what a customer spent, of all orders, NULL where there is none to divide by.
func (s *statement) spendOf(c *v1alpha1.SpendCondition) string {
	return spendColumn(c, s.metric("spend"), s.metric("orders"))
}

func spendColumn(c *v1alpha1.SpendCondition, spend, orders string) string {
	if c.OfOrDefault() == v1alpha1.SpendAverage {
		return spend + " / NULLIF(" + orders + ", 0)"
	}
	return spend
}

// orderSum is what a customer spent, of a group of orders o.
func orderSum(c *v1alpha1.SpendCondition) string {
	// PostgreSQL sums into a numeric, and would then divide with a fraction.
	const sum = "CAST(SUM(o.total) AS BIGINT)"
	if c.OfOrDefault() == v1alpha1.SpendAverage {
		return sum + " / COUNT(*)"
	}
	return sum
}

// rank is the place up to which customers belong to a percentage.
type rank struct {
	share int64 // in millionths
	low   bool
}

func (r *rank) order() string {
	if r.low {
		return "ASC"
	}
	return "DESC"
}

func (r *rank) compare() string {
	if r.low {
		return "<="
	}
	return ">="
}

// spendRankOf is nil where a condition asks for no percentage.
func spendRankOf(c *v1alpha1.SpendCondition, path string) (*rank, error) {
	percent, name, low := c.TopPercent, "topPercent", false
	if percent == nil {
		percent, name, low = c.BottomPercent, "bottomPercent", true
	}
	if percent == nil {
		return nil, nil
	}
	share, err := money.FromIntOrString(percent)
	if err != nil {
		return nil, &Invalid{path + "." + name, err.Error()}
	}
	if share <= 0 || share > 100*money.Unit {
		return nil, &Invalid{path + "." + name, "lies above 0 and at most at 100"}
	}
	return &rank{share: int64(share), low: low}, nil
}

// cut is the amount of the last one whose rank is within the percentage, which the statement looks up
// once. Who spent the same has the same rank, and is within it too.
func (s *statement) cut(r *rank, amount, from string) string {
	// The place is rounded up, and the offset is one less. Without anybody it is 0, and the cut NULL.
	return fmt.Sprintf("(SELECT %[1]s FROM %[2]s ORDER BY %[1]s %[3]s LIMIT 1 OFFSET (SELECT (%[4]s * COUNT(*) - 1) / 1000000 FROM %[2]s))",
		amount, from, r.order(), s.number(r.share))
}
