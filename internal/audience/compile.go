// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Compile makes a statement of a match. The error is an Invalid.
func Compile(match v1alpha1.Match, env Env) (*Query, error) {
	if len(match.All)+len(match.Any)+len(match.None) == 0 {
		return nil, &Invalid{"spec.match", "give at least one of all, any, none"}
	}
	s := &statement{env: env, bound: make(map[any]int), buyersOnly: needsOrder(match)}
	s.text(env.Namespace) // $1
	first, err := s.startFrom(match)
	if err != nil {
		return nil, err
	}
	where, err := s.match(match, first)
	if err != nil {
		return nil, err
	}
	query, base := s.sql(where)
	q := &Query{
		SQL: query, BaseSQL: base, args: s.args, Cuts: compact(s.cuts), Tracked: compact(s.tracked),
		kinds: s.kinds | store.TouchedReach, slices: compact(s.slices), whole: s.whole, days: compact(s.days), zone: env.Shop.zone(),
	}
	if !s.buyersOnly {
		q.kinds |= store.TouchedNew
	}
	q.cuts = q.Cuts
	if q.whole {
		return q, nil
	}
	each := &statement{env: env, bound: make(map[any]int), each: true, theirs: true}
	each.text(env.Namespace)
	if where, err = each.match(match, -1); err != nil {
		return nil, err
	}
	q.each, q.eachArgs, q.reads = strings.Join(where, "\n    AND "), each.args, each.reads
	q.metricsOnly = len(each.reads)+len(each.rankings) == 0 && !each.usesCustomers
	q.cuts, q.rankings = compact(append(s.cuts, each.cuts...)), each.rankings
	return q, nil
}

// match is the conditions that hold together, without the one of all that the statement starts from.
func (s *statement) match(match v1alpha1.Match, without int) ([]string, error) {
	const path = "spec.match"
	var where []string
	for i := range match.All {
		if i == without {
			continue
		}
		p, err := s.nested(&match.All[i], fmt.Sprintf("%s.all[%d]", path, i))
		if err != nil {
			return nil, err
		}
		where = append(where, p.holds)
	}
	var alternatives []predicate
	for i := range match.Any {
		p, err := s.nested(&match.Any[i], fmt.Sprintf("%s.any[%d]", path, i))
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, p)
	}
	if len(alternatives) > 0 {
		where = append(where, anyOf(alternatives).holds)
	}
	for i := range match.None {
		p, err := s.nested(&match.None[i], fmt.Sprintf("%s.none[%d]", path, i))
		if err != nil {
			return nil, err
		}
		where = append(where, p.fails)
	}
	return where, nil
}

// startFrom makes the set of the first condition of all that is one, and gives its index; -1 where there is none.
func (s *statement) startFrom(match v1alpha1.Match) (int, error) {
	for i := range match.All {
		// On trial, since a statement must not have a placeholder that it does not use.
		trial := &statement{env: s.env, bound: make(map[any]int)}
		c, path := &match.All[i].Condition, fmt.Sprintf("spec.match.all[%d]", i)
		m, err := trial.membershipIn(c, path)
		if err != nil {
			return 0, err
		}
		if m.query != "" && !m.outside {
			m, err = s.membershipIn(c, path)
			s.set = m.distinct()
			return i, err
		}
	}
	return -1, nil
}

// membershipIn is a condition that is about other tables than the customer's own rows.
func (s *statement) membershipIn(c *v1alpha1.Condition, path string) (membershipIn, error) {
	switch {
	case c.Orders != nil:
		return s.ordersIn(c.Orders, path+".orders")
	case c.Spend != nil:
		return s.spendIn(c.Spend, path+".spend")
	case c.Event != nil:
		return s.eventsIn(c.Event, path+".event")
	case c.Engagement != nil:
		return s.engagementsIn(c.Engagement, path+".engagement")
	case c.Replenishment != nil:
		return s.replenishmentIn(c.Replenishment, path+".replenishment")
	case c.Subscription != nil:
		return s.subscriptionIn(c.Subscription, path+".subscription")
	case c.Favourite != nil:
		return s.favouritesIn(c.Favourite, path+".favourite")
	case c.Segment != nil:
		return s.segmentIn(c.Segment), nil
	}
	return membershipIn{}, nil
}

// predicate is a condition in SQL. Where a condition holds, holds is true, and fails is not; where it
// does not, fails is true, and holds is false or NULL.
type predicate struct{ holds, fails string }

// when is the predicate that an expression makes which may be NULL.
func when(expression string) predicate {
	return predicate{"(" + expression + ")", "(" + expression + ") IS NOT TRUE"}
}

var always = predicate{"TRUE", "FALSE"}

func (p predicate) not() predicate { return predicate{p.fails, p.holds} }

func allOf(parts []predicate) predicate {
	return predicate{join(parts, true, " AND "), join(parts, false, " OR ")}
}
func anyOf(parts []predicate) predicate {
	return predicate{join(parts, true, " OR "), join(parts, false, " AND ")}
}

func join(parts []predicate, holds bool, operator string) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.fails
		if holds {
			texts[i] = p.holds
		}
	}
	if len(texts) == 1 {
		return texts[0]
	}
	return "(" + strings.Join(texts, operator) + ")"
}

func (s *statement) nested(c *v1alpha1.NestedCondition, path string) (predicate, error) {
	switch {
	case len(c.AnyOf) > 0:
		parts, err := s.group(c.AnyOf, path+".anyOf")
		return anyOf(parts), err
	case len(c.AllOf) > 0:
		parts, err := s.group(c.AllOf, path+".allOf")
		return allOf(parts), err
	}
	return s.condition(&c.Condition, path)
}

func (s *statement) group(conditions []v1alpha1.Condition, path string) ([]predicate, error) {
	parts := make([]predicate, len(conditions))
	for i := range conditions {
		p, err := s.condition(&conditions[i], fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		parts[i] = p
	}
	return parts, nil
}

func (s *statement) condition(c *v1alpha1.Condition, path string) (predicate, error) {
	switch {
	case c.Attribute != nil:
		return s.attribute(c.Attribute, path+".attribute")
	case c.Orders != nil:
		return s.orders(c.Orders, path+".orders")
	case c.Spend != nil:
		return s.spend(c.Spend, path+".spend")
	case c.FirstOrder != nil:
		return s.age(c.FirstOrder, "first_order_at", path+".firstOrder")
	case c.LastOrder != nil:
		return s.age(c.LastOrder, "last_order_at", path+".lastOrder")
	case c.Lifecycle != nil:
		return s.lifecycle(c.Lifecycle, path+".lifecycle")
	case c.Reachable != nil:
		return s.reachable(c.Reachable, path+".reachable")
	case c.RFM != nil:
		return s.rfm(c.RFM, path+".rfm")
	case c.Subscription != nil:
		return s.subscription(c.Subscription, path+".subscription")
	case c.Expression != "":
		// What it reads of the customer is not told apart, nor when time would make a difference.
		s.kinds |= store.TouchedOrders | store.TouchedCustomer
		p, usesNow, err := s.expression(c.Expression, path+".expression")
		s.whole = s.whole || usesNow
		return p, err
	}
	m, err := s.membershipIn(c, path)
	if err != nil {
		return predicate{}, err
	}
	if m.query != "" {
		return s.member(m), nil
	}
	if m.everybody {
		return always, nil
	}
	return predicate{}, &Invalid{path, "set one condition"}
}
