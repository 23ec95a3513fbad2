// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// eventsIn is the customers who have so many events.
func (s *statement) eventsIn(c *v1alpha1.EventCondition, path string) (membershipIn, error) {
	atLeast, most := c.Range()
	if most != nil && *most < atLeast {
		return membershipIn{}, &Invalid{path, "atLeast must not be above atMost"}
	}
	switch {
	case c.Name == "":
		return membershipIn{}, &Invalid{path + ".name", "name the event"}
	case atLeast == 0 && most == nil:
		return membershipIn{everybody: true}, nil
	}
	s.learns(c.Name)
	from := s.eventsNamed(c)
	at := from[0].at
	if len(from) > 1 {
		at = "o.at"
	}
	var where []string
	if c.Within != "" {
		d, err := duration(c.Within, path+".within")
		if err != nil {
			return membershipIn{}, err
		}
		s.ages(c.Name, d)
		where = append(where, at+" > "+s.before(d))
	}
	if c.NotFollowedBy != nil {
		d, err := duration(c.NotFollowedBy.Within, path+".notFollowedBy.within")
		if err != nil {
			return membershipIn{}, err
		}
		s.learns(c.NotFollowedBy.Name)
		s.ages(c.Name, d)
		where = append(where, at+" <= "+s.before(d), s.notFollowedBy(at, c.NotFollowedBy.Name, d, c.Within))
	}
	if len(from) == 1 {
		return s.counted(strings.Join(append([]string{from[0].rows}, where...), " AND "), s.groups(true), atLeast, most), nil
	}
	tables := make([]string, len(from))
	for i, table := range from {
		tables[i] = "SELECT o.customer_id, " + table.at + " AS at FROM " + table.rows
	}
	return s.counted("("+strings.Join(tables, " UNION ALL ")+") o WHERE "+strings.Join(append([]string{"TRUE"}, where...), " AND "), s.groups(true), atLeast, most), nil
}

// occurrences are rows, as a FROM and WHERE, and the column that says when.
type occurrences struct{ rows, at string }

// eventsNamed is the rows that are such an event: those of events, and for an order that was completed
// the orders that count. An event about an order that is known is not counted twice.
func (s *statement) eventsNamed(c *v1alpha1.EventCondition) []occurrences {
	s.read(factEvents, c.Name, c.Within)
	where := []string{s.rows("events") + " AND o.name = " + s.text(c.Name)}
	for _, name := range slices.Sorted(maps.Keys(c.Where)) {
		where = append(where, s.among(s.word("o.properties", name, c.Where[name]), c.Where[name]))
	}
	if c.Name != v1alpha1.EventOrderCompleted || len(c.Where) > 0 {
		return []occurrences{{strings.Join(where, " AND "), "o.occurred_at"}}
	}
	s.read(factOrders, "", c.Within)
	where = append(where, "NOT EXISTS (SELECT 1 FROM orders k WHERE k.ns = $1 AND k.id = "+s.property("o", "order_id")+")")
	return []occurrences{
		{strings.Join(where, " AND "), "o.occurred_at"},
		{s.rows("orders") + " AND o.counted = 1", "o.placed_at"},
	}
}

// property is a property of an event as text.
func (s *statement) property(alias, name string) string {
	key := s.env.Dialect.JSONKey(name)
	return s.env.Dialect.JSONText(alias+".properties", s.bind(named{"text", key}, constant(key)))
}

// notFollowedBy holds for an event o, at a time and in a window, after which no event of a name came for so long.
func (s *statement) notFollowedBy(at, name string, d time.Duration, within v1alpha1.Duration) string {
	after := func(table, column, more string) string {
		from, ofShop := s.rowsOf(table, "f")
		return fmt.Sprintf("NOT EXISTS (SELECT 1 FROM %[1]s WHERE %[6]s AND f.customer_id = o.customer_id AND %[2]s AND f.%[3]s > %[4]s AND f.%[3]s <= %[4]s + %[5]s)",
			from, more, column, at, s.number(d.Milliseconds()), ofShop)
	}
	s.read(factEvents, name, within)
	text := after("events", "occurred_at", "f.name = "+s.text(name))
	if name == v1alpha1.EventOrderCompleted {
		s.read(factOrders, "", within)
		text += " AND " + after("orders", "placed_at", "f.counted = 1")
	}
	return text
}

// learns notes that an event of a name makes a difference, and ages that its age does.
func (s *statement) learns(name string) {
	s.kinds |= store.TouchedEvent(name)
	if name == v1alpha1.EventOrderCompleted {
		s.kinds |= store.TouchedOrders
	}
}

func (s *statement) ages(name string, age time.Duration) {
	s.moves(slice{facts: factEvents, name: name, age: age})
	if name == v1alpha1.EventOrderCompleted {
		s.moves(slice{facts: factOrders, age: age})
	}
}
