// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Query is a compiled match.
type Query struct {
	// SQL is a SELECT of one column, id, with placeholders $1 and up, of which $1 is the namespace. It
	// may stand alone, or within another statement as a subquery.
	SQL string
	// BaseSQL counts the customers that SQL looks at. Its only argument is the namespace.
	BaseSQL string

	args []argument
}

// argument is a value of a placeholder, which may depend on the time of the evaluation.
type argument func(now time.Time) any

// Args are the values of the placeholders of an evaluation at now.
func (q *Query) Args(now time.Time) []any {
	args := make([]any, len(q.args))
	for i, arg := range q.args {
		args[i] = arg(now)
	}
	return args
}

// statement is the query under construction.
type statement struct {
	env  Env
	args []argument
	// bound has the placeholders of values that are used again.
	bound map[any]int
	with  []string

	// buyersOnly says that everybody looked at has a row of metrics. Otherwise it may be NULL.
	buyersOnly bool
	// set, where there is one, is the subquery of a condition that must hold: nobody else need be
	// looked at. Its column is customer_id, each once.
	set                        string
	usesMetrics, usesCustomers bool
}

// named is the key of a placeholder. PostgreSQL gives each one type, so that the same value used as
// another type needs a placeholder of its own.
type named struct {
	kind  string
	value any
}

func (s *statement) bind(key any, arg argument) int {
	if n, ok := s.bound[key]; ok {
		return n
	}
	s.args = append(s.args, arg)
	s.bound[key] = len(s.args)
	return len(s.args)
}

func constant(value any) argument { return func(time.Time) any { return value } }

func (s *statement) placeholder(kind string, value any) string {
	return fmt.Sprintf("$%d", s.bind(named{kind, value}, constant(value)))
}

func (s *statement) text(value string) string  { return s.placeholder("text", value) }
func (s *statement) number(value int64) string { return s.placeholder("bigint", value) }

// before is the moment this long before now.
func (s *statement) before(d time.Duration) string {
	return fmt.Sprintf("$%d", s.bind(named{"before", d}, func(now time.Time) any { return store.Millis(now.Add(-d)) }))
}

// among holds where the text expression is one of the values.
func (s *statement) among(expression string, values []string) string {
	list := store.List(s.env.Dialect, values)
	return expression + " " + s.env.Dialect.AnyText(s.bind(new(byte), constant(list)))
}

// metric is a column of the customer's row of metrics, NULL where there is none.
func (s *statement) metric(column string) string {
	s.usesMetrics = true
	return "m." + column
}

// metricOrZero is metric for a column that is never NULL in a row.
func (s *statement) metricOrZero(column string) string {
	if s.buyersOnly {
		return s.metric(column)
	}
	return "COALESCE(" + s.metric(column) + ", 0)"
}

func (s *statement) customer(column string) string {
	s.usesCustomers = true
	return "c." + column
}

// id is the customer's.
func (s *statement) id() string {
	switch {
	case s.set != "":
		return "b.customer_id"
	case s.buyersOnly:
		return s.metric("customer_id")
	}
	return s.customer("id")
}

// table names a subquery that is evaluated once.
func (s *statement) table(query string) string {
	name := fmt.Sprintf("t%d", len(s.with)+1)
	s.with = append(s.with, name+" AS MATERIALIZED (\n  "+query+"\n)")
	return name
}

// sql is the statement that selects the customers of whom where holds, and one that counts those looked at.
func (s *statement) sql(where []string) (query, base string) {
	id := s.id()
	var out strings.Builder
	if len(s.with) > 0 {
		out.WriteString("WITH " + strings.Join(s.with, ", ") + "\n")
	}
	out.WriteString("SELECT " + id + " AS id\n")
	join := "LEFT JOIN"
	if s.buyersOnly {
		join = "JOIN"
	}
	switch {
	case s.set != "":
		out.WriteString("FROM (" + s.set + ") b")
		if s.usesMetrics {
			out.WriteString(" " + join + " metrics m ON m.ns = $1 AND m.customer_id = b.customer_id")
		}
		if s.usesCustomers {
			out.WriteString(" JOIN customers c ON c.ns = $1 AND c.id = b.customer_id")
		}
		where = append([]string{"TRUE"}, where...)
	case s.buyersOnly:
		out.WriteString("FROM metrics m")
		if s.usesCustomers {
			out.WriteString(" JOIN customers c ON c.ns = $1 AND c.id = m.customer_id")
		}
		where = append([]string{"m.ns = $1"}, where...)
	default:
		out.WriteString("FROM customers c")
		if s.usesMetrics {
			out.WriteString(" LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = c.id")
		}
		where = append([]string{"c.ns = $1"}, where...)
	}
	out.WriteString("\nWHERE " + strings.Join(where, "\n  AND "))
	base = "SELECT COUNT(*) FROM customers WHERE ns = $1"
	if s.buyersOnly {
		base = "SELECT COUNT(*) FROM metrics WHERE ns = $1"
	}
	return out.String(), base
}
