// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// chunk is how many numbers of rows go into a transaction.
const chunk = 50_000

// load fills an empty database with the shop.
func (s *shop) load(ctx context.Context, db *store.Store, p *progress) error {
	restore, err := dropIndexes(ctx, db, s.tables())
	if err != nil {
		return err
	}
	for _, t := range s.tables() {
		m := s.maker()
		for from := 0; from < t.numbers; from += chunk {
			to := min(from+chunk, t.numbers)
			err := db.Tx(ctx, func(tx *store.Tx) error {
				_, err := store.BulkInsert(ctx, tx, t.name, t.columns, t.between(m, from, to))
				return err
			})
			if err != nil {
				return err
			}
			p.step("load "+t.name, to, t.numbers)
		}
	}
	for i, statement := range restore {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		p.step("index", i+1, len(restore))
	}
	p.say("compute metrics")
	if err := db.RebuildMetrics(ctx, namespace); err != nil {
		return err
	}
	p.say("gather statistics")
	return settle(ctx, db)
}

// between gives the rows of a range of numbers.
func (t *table) between(m *maker, from, to int) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		more := true
		for n := from; n < to && more; n++ {
			t.rows(m, n, func(row ...any) { more = more && yield(row) })
		}
	}
}

// settle leaves the database as a while without much to do would.
func settle(ctx context.Context, db *store.Store) error {
	statements := []string{"VACUUM ANALYZE", "CHECKPOINT"}
	if db.Dialect() == store.SQLite {
		statements = []string{"ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"}
	}
	for _, statement := range statements {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// dropIndexes drops the keys and the indexes of tables that are about to be filled, and gives what
// makes them again: PostgreSQL builds an index in a quarter of the time that keeping it takes. In
// SQLite the key is the table, and rows come in its order.
func dropIndexes(ctx context.Context, db *store.Store, tables []table) (restore []string, err error) {
	if db.Dialect() == store.SQLite {
		return nil, nil
	}
	for _, t := range tables {
		drop, again, err := indexesOf(ctx, db, t.name)
		if err != nil {
			return nil, fmt.Errorf("read the indexes of %s: %w", t.name, err)
		}
		for _, statement := range drop {
			if _, err := db.Exec(ctx, statement); err != nil {
				return nil, fmt.Errorf("%s: %w", statement, err)
			}
		}
		restore = append(restore, again...)
	}
	return restore, nil
}

func indexesOf(ctx context.Context, db *store.Store, table string) (drop, again []string, err error) {
	rows, err := db.Query(ctx, `SELECT i.relname, COALESCE(c.conname, ''), CASE WHEN c.conname IS NULL THEN pg_get_indexdef(i.oid) ELSE pg_get_constraintdef(c.oid) END
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_constraint c ON c.conindid = i.oid
		WHERE x.indrelid = CAST($1 AS TEXT)::regclass ORDER BY c.conname, i.relname`, table)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var index, constraint, definition string
		if err := rows.Scan(&index, &constraint, &definition); err != nil {
			return nil, nil, err
		}
		if constraint != "" {
			drop = append(drop, "ALTER TABLE "+table+" DROP CONSTRAINT "+constraint)
			definition = "ALTER TABLE " + table + " ADD CONSTRAINT " + constraint + " " + definition
		} else {
			drop = append(drop, "DROP INDEX "+index)
		}
		again = append(again, definition)
	}
	return drop, again, rows.Err()
}
