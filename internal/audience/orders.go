// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
)

func (s *statement) orders(c *v1alpha1.OrdersCondition, path string) (predicate, error) {
	least, limit := c.Range()
	atLeast, most := int64(least), int64(-1)
	if limit != nil {
		most = int64(*limit)
	}
	switch {
	case limit != nil && most < atLeast:
		return predicate{}, &Invalid{path, "atLeast must not be above atMost"}
	case atLeast == 0 && limit == nil:
		return always, nil
	case c.Where == nil && c.Within == "":
		return s.countedOrders(atLeast, most), nil
	case c.Where == nil && atLeast <= 2 && most <= 1:
		return s.latestOrders(c.Within, atLeast, most, path)
	}
	which, err := s.matchingOrders(c.Within, c.Where, path)
	if err != nil {
		return predicate{}, err
	}
	query := "SELECT o.customer_id FROM " + which
	switch {
	case atLeast == 0:
		// None is enough, so the others are those who do not match.
		return s.member(query + havingMore(s, most)).not(), nil
	case limit == nil:
		return s.member(query + havingMore(s, atLeast-1)), nil
	}
	return s.member(fmt.Sprintf("%s GROUP BY o.customer_id HAVING COUNT(*) BETWEEN %s AND %s", query, s.number(atLeast), s.number(most))), nil
}

// havingMore keeps those who have more than n orders.
func havingMore(s *statement, n int64) string {
	if n == 0 {
		return "" // a semi-join needs no groups
	}
	return " GROUP BY o.customer_id HAVING COUNT(*) > " + s.number(n)
}

// countedOrders compares the number of all orders; most is -1 where there is no limit.
func (s *statement) countedOrders(atLeast, most int64) predicate {
	switch {
	case most < 0:
		return when(s.metric("orders") + " >= " + s.number(atLeast))
	case atLeast == most && most > 0:
		return when(s.metric("orders") + " = " + s.number(most))
	case atLeast == 0:
		return when(s.metricOrZero("orders") + " <= " + s.number(most))
	}
	return when(s.metric("orders") + " BETWEEN " + s.number(atLeast) + " AND " + s.number(most))
}

// latestOrders compares a number of orders in a window where the last two orders tell it: at least
// one is a last order in the window, at least two is the one before it.
func (s *statement) latestOrders(within v1alpha1.Duration, atLeast, most int64, path string) (predicate, error) {
	d, err := duration(within, path+".within")
	if err != nil {
		return predicate{}, err
	}
	moreThan := []predicate{
		when(s.metric("last_order_at") + " > " + s.before(d)),
		when(s.metric("previous_order_at") + " > " + s.before(d)),
	}
	var parts []predicate
	if atLeast > 0 {
		parts = append(parts, moreThan[atLeast-1])
	}
	if most >= 0 {
		parts = append(parts, moreThan[most].not())
	}
	return allOf(parts), nil
}

// matchingOrders is the FROM and WHERE of the orders o that are in the window and fit the filter.
func (s *statement) matchingOrders(within v1alpha1.Duration, filter *v1alpha1.OrderFilter, path string) (string, error) {
	where := []string{"orders o WHERE o.ns = $1"}
	if within != "" {
		d, err := duration(within, path+".within")
		if err != nil {
			return "", err
		}
		where = append(where, "o.placed_at > "+s.before(d))
	}
	if filter == nil {
		return strings.Join(append(where, "o.counted = 1"), " AND "), nil
	}
	if len(filter.Status) > 0 {
		where = append(where, s.among("o.status", filter.Status))
	} else {
		where = append(where, "o.counted = 1")
	}
	if len(filter.Source) > 0 {
		where = append(where, s.among("o.source", filter.Source))
	}
	if filter.TotalAtLeast != nil {
		amount, err := money.FromIntOrString(filter.TotalAtLeast)
		if err != nil {
			return "", &Invalid{path + ".where.totalAtLeast", err.Error()}
		}
		where = append(where, "o.total >= "+s.number(int64(amount)))
	}
	if len(filter.Category)+len(filter.Product) > 0 {
		item := []string{"SELECT i.order_id FROM order_items i WHERE i.ns = $1"}
		if len(filter.Category) > 0 {
			item = append(item, s.among("i.category", filter.Category))
		}
		if len(filter.Product) > 0 {
			item = append(item, s.among("i.product_id", filter.Product))
		}
		where = append(where, "o.id IN ("+strings.Join(item, " AND ")+")")
	}
	return strings.Join(where, " AND "), nil
}
