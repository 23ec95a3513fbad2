// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Export is all that is held about a customer, by any of their ids: the rows of each table, with the names of
// the columns, those left out that say nothing the others do not. It is IsNotFound for one of whom nothing is
// known.
func (s *Store) Export(ctx context.Context, ns, id string) (map[string][]map[string]any, error) {
	out := map[string][]map[string]any{}
	err := s.ReadTx(ctx, func(tx *Tx) (err error) {
		if id, err = tx.survivor(ctx, ns, id); err != nil {
			return err
		}
		for i := range personalTables {
			p := &personalTables[i]
			if p.derived {
				continue
			}
			rows, err := tx.exportRows(ctx, `SELECT * FROM `+p.table+` WHERE `+p.rows(), ns, id)
			if err != nil {
				return fmt.Errorf("read %s: %w", p.table, err)
			}
			if len(rows) > 0 {
				out[p.table] = rows
			}
		}
		// By the customer's addresses, not by the customer.
		rows, err := tx.exportRows(ctx, `SELECT s.* FROM suppressions s JOIN customers c ON c.ns = s.ns
  AND s.address = CASE s.channel WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id WHEN 'sms' THEN c.phone END
WHERE c.ns = $1 AND c.id = $2`, ns, id)
		if len(rows) > 0 {
			out["suppressions"] = rows
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("export a customer: %w", err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("export a customer: %w", ErrNotFound)
	}
	return out, nil
}

// exportRows reads rows with whatever columns they have, in an order that is always the same.
func (t *Tx) exportRows(ctx context.Context, query string, args ...any) ([]map[string]any, error) {
	var out []map[string]any
	var texts []string
	var columns []string
	err := Each(ctx, t, func(rows *sql.Rows) (err error) {
		if columns == nil {
			if columns, err = rows.Columns(); err != nil {
				return err
			}
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		row := make(map[string]any, len(columns))
		for i, name := range columns {
			if name != "ns" && values[i] != nil {
				row[name] = exported(name, values[i])
			}
		}
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		out, texts = append(out, row), append(texts, string(text))
		return nil
	}, query, args...)
	order := make([]int, len(out))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(texts[a], texts[b]) })
	sorted := make([]map[string]any, len(out))
	for i, from := range order {
		sorted[i] = out[from]
	}
	return sorted, err
}

// documents are the columns that hold JSON.
var documents = []string{"attributes", "properties", "facts", "detail"}

// exported is a value as people read it: times instead of milliseconds, and documents as such.
func exported(column string, value any) any {
	if raw, ok := value.([]byte); ok {
		value = string(raw)
	}
	switch v := value.(type) {
	case int64:
		if strings.HasSuffix(column, "_at") || column == "valid_until" || column == "not_before" {
			return Time(v).UTC()
		}
	case string:
		if slices.Contains(documents, column) && json.Valid([]byte(v)) {
			return json.RawMessage(v)
		}
	}
	return value
}
