// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// rowBatchParams is the most values in one INSERT. More do not make it faster.
const rowBatchParams = 512

// BulkInsert adds rows as fast as the store can, within tx: by COPY, or by INSERTs of many rows. A
// row has a value for each column; it may be reused for the next one. A row whose key is already
// there fails all of it (IsUniqueViolation).
func BulkInsert(ctx context.Context, tx *Tx, table string, columns []string, rows iter.Seq[[]any]) (int64, error) {
	var n int64
	var err error
	if tx.dialect == Postgres {
		n, err = tx.copyRows(ctx, table, columns, rows)
	} else {
		n, err = tx.insertRows(ctx, table, columns, "", rows)
	}
	if err != nil {
		return 0, fmt.Errorf("insert into %s: %w", table, err)
	}
	return n, nil
}

// BulkUpsert adds rows, or overwrites those with the same key, which the first columns are.
func BulkUpsert(ctx context.Context, tx *Tx, table string, columns []string, keys int, rows iter.Seq[[]any]) (int64, error) {
	n, err := tx.insertRows(ctx, table, columns, onConflict(columns, keys, func(column string) string { return "excluded." + column }), rows)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", table, err)
	}
	return n, nil
}

// BulkAdd adds rows, or adds their numbers to those of the rows with the same key, which the first columns are. No
// key may come twice.
func BulkAdd(ctx context.Context, tx *Tx, table string, columns []string, keys int, rows iter.Seq[[]any]) (int64, error) {
	n, err := tx.insertRows(ctx, table, columns, onConflict(columns, keys, func(column string) string { return table + "." + column + " + excluded." + column }), rows)
	if err != nil {
		return 0, fmt.Errorf("add to %s: %w", table, err)
	}
	return n, nil
}

// onConflict sets the columns after the keys where the key is there.
func onConflict(columns []string, keys int, value func(column string) string) string {
	set := make([]string, 0, len(columns))
	for _, column := range columns[keys:] {
		set = append(set, column+" = "+value(column))
	}
	return " ON CONFLICT (" + strings.Join(columns[:keys], ", ") + ") DO UPDATE SET " + strings.Join(set, ", ")
}

func (t *Tx) copyRows(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (n int64, err error) {
	next, stop := iter.Pull(rows)
	defer stop()
	source := pgx.CopyFromFunc(func() ([]any, error) {
		row, more := next()
		if !more {
			return nil, nil
		}
		return row, nil
	})
	// The driver's error passes through a variable: Raw may give the connection up on errors it gets.
	rawErr := t.conn.Raw(func(driverConn any) error {
		conn, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver's connection is a %T", driverConn)
		}
		n, err = conn.Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, source)
		return nil
	})
	return n, errors.Join(rawErr, err)
}

// insertRows runs one statement, prepared, for each so many rows. end is its last clause.
func (t *Tx) insertRows(ctx context.Context, table string, columns []string, end string, rows iter.Seq[[]any]) (n int64, err error) {
	perBatch := max(rowBatchParams/len(columns), 1)
	statement := func(count int) string {
		return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + t.dialect.tuples(count, len(columns)) + end
	}
	var full *sql.Stmt
	args := make([]any, 0, perBatch*len(columns))
	for row := range rows {
		args = append(args, row...)
		n++
		if len(args) < perBatch*len(columns) {
			continue
		}
		if full == nil {
			if full, err = t.tx.PrepareContext(ctx, statement(perBatch)); err != nil {
				return 0, err
			}
			defer func() { err = errors.Join(err, full.Close()) }() //nolint:revive,gocritic // made once, for all turns
		}
		if _, err = full.ExecContext(ctx, args...); err != nil {
			return 0, err
		}
		args = args[:0]
	}
	if len(args) > 0 {
		if _, err = t.tx.ExecContext(ctx, statement(len(args)/len(columns)), args...); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// tuples is the placeholders of rows: ($1, $2), ($3, $4). SQLite finds those without a number faster.
func (d Dialect) tuples(rows, columns int) string {
	var out strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			out.WriteString("(")
		case i%columns == 0:
			out.WriteString("), (")
		default:
			out.WriteString(", ")
		}
		if d == SQLite {
			out.WriteByte('?')
		} else {
			out.WriteString("$" + strconv.Itoa(i+1))
		}
	}
	out.WriteString(")")
	return out.String()
}
