// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Query is a compiled match.
type Query struct {
	// SQL is a SELECT of one column, id, with placeholders $1 and up, of which $1 is the namespace. It
	// may stand alone, or within another statement as a subquery.
	SQL string
	// BaseSQL counts the customers that SQL looks at. Its only argument is the namespace.
	BaseSQL string
	// Cuts are the thresholds of percentages that Args must be given.
	Cuts []Cut
	// Tracked are the predictions that the store must keep for it.
	Tracked []Tracked

	args []argument
	// each is the match as a condition on the table candidates; its $1 is the namespace as well. It is
	// enough that the refresh reads what it names of them.
	each     string
	eachArgs []argument
	// metricsOnly says that each names nothing of them but metrics.
	metricsOnly bool
	reads       []reading
	// cuts are those that each must be given as well, and rankings what they are of.
	cuts     []Cut
	rankings []*ranking
	// What can change the truth about a customer: things learnt of these kinds, and these moments
	// passing. whole says that there is more to it than that.
	kinds  store.Touched
	slices []slice
	whole  bool
	// days are the lengths of time for which it matters on which days of the shop they end.
	days []time.Duration
	zone *time.Location
}

// Tracked is a prediction of the next purchase: of a product, of a category, or of anything.
type Tracked struct{ Scope, ID string }

// argument is a value of a placeholder, which may depend on the time of the evaluation and on
// thresholds.
type argument func(now time.Time, cuts Thresholds) any

// Args are the values of the placeholders of SQL for an evaluation at now.
func (q *Query) Args(now time.Time, cuts Thresholds) []any { return valuesOf(q.args, now, cuts) }

func valuesOf(args []argument, now time.Time, cuts Thresholds) []any {
	values := make([]any, len(args))
	for i, arg := range args {
		values[i] = arg(now, cuts)
	}
	return values
}

// statement is the query under construction.
type statement struct {
	env  Env
	args []argument
	// bound has the placeholders of values that are used again.
	bound map[any]int
	with  []string

	// each says that the customers are the rows b, one by one, rather than all.
	each bool
	// theirs says that what is known of them is in the tables of a refresh, and of nobody else.
	theirs bool
	// buyersOnly says that everybody looked at has a row of metrics. Otherwise it may be NULL.
	buyersOnly bool
	// set, where there is one, is the subquery of a condition that must hold: nobody else need be
	// looked at. Its column is customer_id, each once.
	set                        string
	usesMetrics, usesCustomers bool

	cuts     []Cut
	rankings []*ranking
	tracked  []Tracked
	kinds    store.Touched
	slices   []slice
	whole    bool
	days     []time.Duration
	reads    []reading
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

func constant(value any) argument { return func(time.Time, Thresholds) any { return value } }

func (s *statement) placeholder(kind string, value any) string {
	return fmt.Sprintf("$%d", s.bind(named{kind, value}, constant(value)))
}

func (s *statement) text(value string) string  { return s.placeholder("text", value) }
func (s *statement) number(value int64) string { return s.placeholder("bigint", value) }

// before is the moment this long before now.
func (s *statement) before(d time.Duration) string {
	return fmt.Sprintf("$%d", s.bind(named{"before", d}, func(now time.Time, _ Thresholds) any { return store.Millis(now.Add(-d)) }))
}

// fewValues is up to how many values SQLite is given one by one: it compares with them, and would otherwise
// make a table of them first, at times for each of two places of the plan.
const fewValues = 8

// among holds where the text expression is one of the values.
func (s *statement) among(expression string, values []string) string {
	if s.env.Dialect == store.SQLite && len(values) > 0 && len(values) <= fewValues {
		places := make([]string, len(values))
		for i, value := range values {
			places[i] = s.text(value)
		}
		return expression + " IN (" + strings.Join(places, ", ") + ")"
	}
	list := store.List(s.env.Dialect, values)
	return expression + " " + s.env.Dialect.AnyText(s.bind(new(byte), constant(list)))
}

// word is a top-level member of the JSON document in a column as text, to be compared with these. SQLite
// reads the document once more to know what is written there, true or 1, 1.10 or 1.1; that makes no difference
// where none of them is JSON.
func (s *statement) word(column, name string, values []string) string {
	key := s.env.Dialect.JSONKey(name)
	n := s.bind(named{"text", key}, constant(key))
	isJSON := func(value string) bool { return json.Valid([]byte(value)) }
	if s.env.Dialect == store.SQLite && !slices.ContainsFunc(values, isJSON) {
		return fmt.Sprintf("(%s ->> $%d)", column, n)
	}
	return s.env.Dialect.JSONText(column, n)
}

// metric is a column of the customer's row of metrics, NULL where there is none.
func (s *statement) metric(column string) string {
	if s.each {
		return "b." + column
	}
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
	if s.each {
		return "b." + map[bool]string{true: "customer_id", false: column}[column == "id"]
	}
	return "c." + column
}

// id is the customer's.
func (s *statement) id() string {
	switch {
	case s.each, s.set != "":
		return "b.customer_id"
	case s.buyersOnly:
		return s.metric("customer_id")
	}
	return s.customer("id")
}

// rows is a table o whose rows belong to customers, as the begin of a FROM and WHERE.
func (s *statement) rows(table string) string {
	switch {
	case s.theirs:
		return "their_" + table + " o WHERE TRUE"
	case s.each:
		return table + " o WHERE o.ns = $1 AND o.customer_id = " + s.id()
	}
	return table + " o WHERE o.ns = $1"
}

// rowsOf is a table, called alias, of which the rows with the namespace are meant, and a condition for that.
func (s *statement) rowsOf(table, alias string) (from, where string) {
	if s.theirs {
		return "their_" + table + " " + alias, "TRUE"
	}
	return table + " " + alias, alias + ".ns = $1"
}

// read notes facts that a refresh must know of its candidates: those not older than a window, or all.
func (s *statement) read(of facts, name string, window v1alpha1.Duration) {
	r := reading{facts: of, name: name, window: -1}
	if window != "" {
		r.window, _ = duration(window, "")
	}
	s.reads = append(s.reads, r)
}

// table names a subquery that is evaluated once.
func (s *statement) table(query string) string {
	name := fmt.Sprintf("t%d", len(s.with)+1)
	s.with = append(s.with, name+" AS MATERIALIZED (\n  "+query+"\n)")
	return name
}

// moves notes facts whose age makes a difference.
func (s *statement) moves(slices ...slice) { s.slices = append(s.slices, slices...) }

// sql is the statement that selects the customers of whom where holds, and one that counts those looked at.
func (s *statement) sql(where []string) (query, base string) {
	id := s.id()
	var out strings.Builder
	if len(s.with) > 0 {
		out.WriteString("WITH " + strings.Join(s.with, ", ") + "\n")
	}
	out.WriteString("SELECT " + id + " AS id\n")
	join, customers := "LEFT JOIN", "JOIN"
	if s.buyersOnly {
		join = "JOIN"
	}
	if s.env.Dialect == store.SQLite {
		// It would at times go through all customers to find these.
		customers = "CROSS JOIN"
	}
	switch {
	case s.set != "":
		out.WriteString("FROM (" + s.set + ") b")
		if s.usesMetrics {
			out.WriteString(" " + join + " metrics m ON m.ns = $1 AND m.customer_id = b.customer_id")
		}
		if s.usesCustomers {
			out.WriteString(" " + customers + " customers c ON c.ns = $1 AND c.id = b.customer_id")
		}
		where = append([]string{"TRUE"}, where...)
	case s.buyersOnly:
		out.WriteString("FROM metrics m")
		if s.usesCustomers {
			out.WriteString(" " + customers + " customers c ON c.ns = $1 AND c.id = m.customer_id")
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

// compact is the distinct values, in the order of their first appearance.
func compact[T comparable](values []T) []T {
	var out []T
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
