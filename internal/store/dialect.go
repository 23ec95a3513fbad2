// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Dialect is the SQL of one of the two stores. Its methods return what they do not share, as pieces
// of a statement; param is the number of a placeholder.
type Dialect string

// The dialects.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// JSONText is a top-level member of the JSON document in col, as text: a string's content, a number
// as written, true, false, or another document; NULL where it is absent or null. The argument is
// JSONKey.
func (d Dialect) JSONText(col string, param int) string {
	if d == Postgres {
		return fmt.Sprintf("(%s ->> $%d::text)", col, param)
	}
	// ->> alone would make true into 1 and 1.10 into 1.1.
	return fmt.Sprintf("(CASE json_type(%[1]s, $%[2]d) WHEN 'text' THEN %[1]s ->> $%[2]d WHEN 'null' THEN NULL ELSE %[1]s -> $%[2]d END)", col, param)
}

// ProductOf is the product that an event is about, as the index of events by product has it.
func (d Dialect) ProductOf() string {
	if d == Postgres {
		return "(properties ->> 'product_id')"
	}
	return "(json_extract(properties, '$.product_id'))"
}

// JSONNumber is the same member as a number, be it written 5 or "5", and NULL where it is none. Compare it with a
// float64 argument.
func (d Dialect) JSONNumber(col string, param int) string {
	text := d.JSONText(col, param)
	if d == Postgres {
		// The bounds keep the cast from failing, which would fail the whole query.
		return fmt.Sprintf(`(CASE WHEN %[1]s ~ '^-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,2})?$' THEN %[1]s::numeric END)`, text)
	}
	// JSON's own grammar tells a number from other text.
	return fmt.Sprintf("(CASE WHEN json_valid(%[1]s) THEN CASE WHEN json_type(%[1]s) IN ('integer', 'real') THEN CAST(%[1]s AS REAL) END END)", text)
}

// JSONKey is the argument that names a member to JSONText and JSONNumber.
func (d Dialect) JSONKey(name string) string {
	if d == Postgres {
		return name
	}
	return `$."` + name + `"`
}

// JSONObject aggregates rows into one object, of names and values that are no text. Of no rows it is NULL or empty.
func (d Dialect) JSONObject(name, value string) string {
	if d == Postgres {
		return "jsonb_object_agg(" + name + ", " + value + ")"
	}
	return "json_group_object(" + name + ", " + value + ")"
}

// AnyText holds, after a text column, where its value is in a list: "id " + d.AnyText(2). The
// argument is List.
func (d Dialect) AnyText(param int) string { return d.anyOf(param, "text") }

// AnyUUID is AnyText for a UUID column.
func (d Dialect) AnyUUID(param int) string { return d.anyOf(param, "uuid") }

// AnyInt is AnyText for an integer column. The argument is List of int64.
func (d Dialect) AnyInt(param int) string { return d.anyOf(param, "bigint") }

func (d Dialect) anyOf(param int, kind string) string {
	if d == Postgres {
		return fmt.Sprintf("= ANY($%d::%s[])", param, kind)
	}
	return fmt.Sprintf("IN (SELECT value FROM json_each($%d))", param)
}

// Unnest is a table of one column, value, with the rows of a list of texts: "FROM " + d.Unnest(1) + " u".
func (d Dialect) Unnest(param int) string {
	if d == Postgres {
		return fmt.Sprintf("(SELECT unnest($%d::text[]) AS value)", param)
	}
	return fmt.Sprintf("(SELECT value FROM json_each($%d))", param)
}

// List is the argument for AnyText, AnyUUID, AnyInt and Unnest: one, however long the list.
func List[T string | int64](d Dialect, values []T) any {
	if values == nil {
		values = []T{}
	}
	if d == Postgres {
		return values
	}
	out, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return string(out)
}

// ForUpdate locks the rows that a SELECT finds until the transaction ends. SQLite has one writer anyway.
func (d Dialect) ForUpdate() string {
	if d == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// ForUpdateOf is ForUpdate for the rows of one of the tables that a SELECT joins.
func (d Dialect) ForUpdateOf(table string) string {
	if d == Postgres {
		return " FOR UPDATE OF " + table
	}
	return ""
}

// ForShare keeps others from changing the rows that a SELECT finds until the transaction ends.
func (d Dialect) ForShare() string {
	if d == Postgres {
		return " FOR SHARE"
	}
	return ""
}

// ForKeyShare keeps others from deleting the rows that a SELECT finds until the transaction ends.
func (d Dialect) ForKeyShare() string {
	if d == Postgres {
		return " FOR KEY SHARE"
	}
	return ""
}

// ForUpdateSkipLocked locks the rows that a SELECT finds, leaving out those another transaction holds.
func (d Dialect) ForUpdateSkipLocked() string {
	if d == Postgres {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// Greatest is the largest of the expressions, none of which may be NULL.
func (d Dialect) Greatest(exprs ...string) string {
	if d == Postgres {
		return "GREATEST(" + strings.Join(exprs, ", ") + ")"
	}
	return "MAX(" + strings.Join(exprs, ", ") + ")"
}

// Least is the smallest of the expressions, none of which may be NULL.
func (d Dialect) Least(exprs ...string) string {
	if d == Postgres {
		return "LEAST(" + strings.Join(exprs, ", ") + ")"
	}
	return "MIN(" + strings.Join(exprs, ", ") + ")"
}

// JSONParam is a placeholder whose argument, a string, is stored as a JSON document.
func (d Dialect) JSONParam(param int) string {
	if d == Postgres {
		return fmt.Sprintf("$%d::jsonb", param)
	}
	return fmt.Sprintf("$%d", param)
}
