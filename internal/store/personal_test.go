// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestEveryTableIsKnown keeps a new table from being forgotten when a customer is erased or exported.
func TestEveryTableIsKnown(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s, err := Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		tables, columns := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`, `SELECT m.name || '.' || p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'`
		if s.Dialect() == Postgres {
			tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
			columns = `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()`
		}
		found, err := Texts(t.Context(), s, tables)
		if err != nil || len(found) < 20 {
			t.Fatal(found, err)
		}
		known := map[string]bool{}
		for _, p := range personalTables {
			known[p.table] = true
			if p.fate != fateRemoved && p.fate != fatePseudonymised {
				t.Errorf("%s: fate %q", p.table, p.fate)
			}
			if !slices.Contains(found, p.table) {
				t.Errorf("%s is not in the schema", p.table)
			}
		}
		for _, table := range found {
			if known[table] == slices.Contains(impersonalTables, table) {
				t.Errorf("the table %s must be in one of personalTables, where it has rows about customers, and impersonalTables", table)
			}
		}
		all, err := Texts(t.Context(), s, columns)
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range all {
			table, name, _ := strings.Cut(column, ".")
			if (name == "customer_id" || name == "line_user_id" || name == "message_id") && !known[table] && table != "fanouts" {
				t.Errorf("%s names customers, or what is about them, and the table is not in personalTables", column)
			}
		}
	})
}
