// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// sqliteBatchParams is the most values in one INSERT. More do not make it faster.
const sqliteBatchParams = 512

// BulkInsert adds rows as fast as the store can, within tx: by COPY, or by INSERTs of many rows. A
// row has a value for each column; it may be reused for the next one. A row whose key is already
// there fails all of it (IsUniqueViolation).
func BulkInsert(ctx context.Context, tx *Tx, table string, columns []string, rows iter.Seq[[]any]) (int64, error) {
	insert := tx.insertRows
	if tx.dialect == Postgres {
		insert = tx.copyRows
	}
	n, err := insert(ctx, table, columns, rows)
	if err != nil {
		return 0, fmt.Errorf("insert into %s: %w", table, err)
	}
	return n, nil
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

func (t *Tx) insertRows(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (n int64, err error) {
	perBatch := max(sqliteBatchParams/len(columns), 1)
	insert := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES "
	values := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
	statement := func(count int) string {
		return insert + values + strings.Repeat(", "+values, count-1)
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
			defer func() { err = errors.Join(err, full.Close()) }()
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
