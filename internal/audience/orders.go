// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func (s *statement) orders(c *v1alpha1.OrdersCondition, path string) (predicate, error) {
	set, err := s.ordersIn(c, path)
	if err != nil {
		return predicate{}, err
	}
	atLeast, most := c.Range()
	switch {
	case set.query != "":
		return s.member(set), nil
	case set.everybody:
		return always, nil
	case c.Within == "":
		return s.countedOrders(int64(atLeast), most), nil
	}
	return s.latestOrders(c.Within, atLeast, most, path)
}

// ordersIn is the condition as a subquery of orders, where it needs one.
func (s *statement) ordersIn(c *v1alpha1.OrdersCondition, path string) (membershipIn, error) {
	atLeast, most := c.Range()
	s.kinds |= store.TouchedOrders
	if c.Within != "" {
		d, err := duration(c.Within, path+".within")
		if err != nil {
			return membershipIn{}, err
		}
		s.moves(slice{facts: factOrders, age: d})
	}
	switch {
	case most != nil && *most < atLeast:
		return membershipIn{}, &Invalid{path, "atLeast must not be above atMost"}
	case atLeast == 0 && most == nil:
		return membershipIn{everybody: true}, nil
	case c.Where == nil && c.Within == "",
		c.Where == nil && atLeast <= 2 && (most == nil || *most <= 1):
		return membershipIn{}, nil
	}
	which, err := s.matchingOrders(c.Within, c.Where, path)
	if err != nil {
		return membershipIn{}, err
	}
	set := s.counted(which, s.groups(recent(c.Within)), atLeast, most)
	// Orders that are found by all that were bought would be gone through for each customer.
	set.covered = c.Within != "" || len(c.Where.Category)+len(c.Where.Product) == 0
	return set, nil
}

// lately is a length of time of which a shop has few orders among all it ever had.
const lately = 90 * 24 * time.Hour

// recent tells whether a window is no longer than lately.
func recent(within v1alpha1.Duration) bool {
	d, err := duration(within, "")
	return err == nil && d <= lately
}

// groups is the clause that puts the rows o of a customer together; few says that an index finds them among
// all. SQLite would rather read all there are in the order of their customers than sort those few, unless
// that order is hidden from it.
func (s *statement) groups(few bool) string {
	if few && !s.each && s.env.Dialect == store.SQLite {
		return " GROUP BY +o.customer_id"
	}
	return " GROUP BY o.customer_id"
}

// placedWithin holds for orders o of a window. SQLite does not know that of a long one it takes less time to
// read all orders side by side, by customer, than to find them by their time, each being elsewhere.
func (s *statement) placedWithin(within v1alpha1.Duration, d time.Duration) string {
	column := "o.placed_at"
	if !recent(within) && !s.each && s.env.Dialect == store.SQLite {
		column = "+" + column
	}
	return column + " > " + s.before(d)
}

// counted is the customers who have so many of the rows o that which, a FROM and WHERE, chooses. There
// is a least or a most.
func (s *statement) counted(which, groups string, atLeast int32, most *int32) membershipIn {
	query := "SELECT o.customer_id FROM " + which
	switch {
	case atLeast == 0:
		// None is enough, so those who do not match are the ones to find.
		return membershipIn{query: query + havingMore(s, groups, *most), repeats: *most == 0, groups: groups, outside: true}
	case most == nil:
		return membershipIn{query: query + havingMore(s, groups, atLeast-1), repeats: atLeast == 1, groups: groups}
	}
	return membershipIn{query: fmt.Sprintf("%s%s HAVING COUNT(*) BETWEEN %s AND %s",
		query, groups, s.number(int64(atLeast)), s.number(int64(*most)))}
}

// havingMore keeps those who have more than n rows.
func havingMore(s *statement, groups string, n int32) string {
	if n == 0 {
		return "" // a semi-join needs no groups
	}
	return groups + " HAVING COUNT(*) > " + s.number(int64(n))
}

// countedOrders compares the number of all orders; without a most there is no limit.
func (s *statement) countedOrders(atLeast int64, most *int32) predicate {
	switch {
	case most == nil:
		return when(s.metric("orders") + " >= " + s.number(atLeast))
	case atLeast == 0 && *most == 0 && !s.buyersOnly && !s.each:
		who := "EXISTS (SELECT 1 FROM metrics z WHERE z.ns = $1 AND z.customer_id = " + s.id() + " AND z.orders > 0)"
		return predicate{"NOT " + who, who}
	case atLeast == 0:
		return when(s.metricOrZero("orders") + " <= " + s.number(int64(*most)))
	case atLeast == int64(*most):
		return when(s.metric("orders") + " = " + s.number(atLeast))
	}
	return when(s.metric("orders") + " BETWEEN " + s.number(atLeast) + " AND " + s.number(int64(*most)))
}

// latestOrders compares a number of orders in a window where the last two orders tell it: at least
// one is a last order in the window, at least two is the one before it.
func (s *statement) latestOrders(within v1alpha1.Duration, atLeast int32, most *int32, path string) (predicate, error) {
	d, err := duration(within, path+".within")
	if err != nil {
		return predicate{}, err
	}
	moreThan := func(n int32) predicate {
		return when(s.metric([]string{"last_order_at", "previous_order_at"}[n]) + " > " + s.before(d))
	}
	var parts []predicate
	if atLeast > 0 {
		parts = append(parts, moreThan(atLeast-1))
	}
	if most != nil {
		parts = append(parts, moreThan(*most).not())
	}
	return allOf(parts), nil
}

// matchingOrders is the FROM and WHERE of the orders o that are in the window and fit the filter.
func (s *statement) matchingOrders(within v1alpha1.Duration, filter *v1alpha1.OrderFilter, path string) (string, error) {
	s.read(factOrders, "", within)
	where := []string{s.rows("orders")}
	if within != "" {
		d, err := duration(within, path+".within")
		if err != nil {
			return "", err
		}
		where = append(where, s.placedWithin(within, d))
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
		s.readItems(filter, within)
		items, ofShop := s.rowsOf("order_items", "i")
		item := []string{"SELECT i.order_id FROM " + items + " WHERE " + ofShop}
		correlated := (within != "" || s.each) && !s.theirs
		if correlated {
			// The window is likely the smaller set, so that each of its orders is looked up.
			item[0] += " AND i.order_id = o.id"
		}
		if len(filter.Category) > 0 {
			item = append(item, s.among("i.category", filter.Category))
		}
		if len(filter.Product) > 0 {
			item = append(item, s.among("i.product_id", filter.Product))
		}
		operator := "o.id IN ("
		if correlated {
			operator = "EXISTS ("
		}
		where = append(where, operator+strings.Join(item, " AND ")+")")
	}
	return strings.Join(where, " AND "), nil
}

// fewItems is up to how many products or categories are looked up one by one in candidates' orders.
const fewItems = 8

// readItems notes the items that a filter asks for: of each product, or else of each category.
func (s *statement) readItems(filter *v1alpha1.OrderFilter, within v1alpha1.Duration) {
	facts, values := factItemsOfProduct, filter.Product
	if len(values) == 0 {
		facts, values = factItemsOfCategory, filter.Category
	}
	if len(values) > fewItems {
		facts, values = factItems, []string{""}
	}
	for _, value := range values {
		s.read(facts, value, within)
	}
}
