// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Tx is an open transaction. It is not safe for use by several goroutines.
type Tx struct {
	dialect Dialect
	conn    *sql.Conn
	tx      *sql.Tx
	touched touches
}

// txAttempts bounds the repetition of a transaction that lost against another one.
const txAttempts = 12

// ErrRetry makes Tx begin again, wrapped in the error of its function: what it read has changed
// since.
var ErrRetry = errors.New("changed meanwhile by another transaction")

// Tx runs f in a transaction that writes, and commits when f returns nil. Where the database ends it
// in favour of another (serialization failure, deadlock, lock timeout), it runs f again, so f must
// not have effects elsewhere. On PostgreSQL it is READ COMMITTED; on SQLite it is the only writer
// from its start. Inside f use only its tx: the Store would wait for the transaction to end.
func (s *Store) Tx(ctx context.Context, f func(tx *Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.inTx(ctx, s.writer, nil, f)
		if err == nil || attempt == txAttempts || !retryable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(backoff(attempt)):
		}
	}
}

// ReadTx runs f in a transaction that only reads; all its queries see one state of the database.
func (s *Store) ReadTx(ctx context.Context, f func(tx *Tx) error) error {
	var opts *sql.TxOptions
	if s.dialect == Postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return s.inTx(ctx, s.reader, opts, f)
}

func (s *Store) inTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(*Tx) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect to the store: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tx, err := conn.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	// After a commit this does nothing; after an error or a panic in f it leaves nothing locked.
	defer func() { _ = tx.Rollback() }()
	t := &Tx{dialect: s.dialect, conn: conn, tx: tx}
	if err := f(t); err != nil {
		return err
	}
	if err := t.writeTouches(ctx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// backoff doubles from 2 ms to half a second, with jitter so that the same two do not meet again.
func backoff(attempt int) time.Duration {
	limit := min(2*time.Millisecond<<attempt, 500*time.Millisecond)
	return limit/2 + rand.N(limit/2)
}

// Dialect says which of the two stores this is.
func (t *Tx) Dialect() Dialect { return t.dialect }

// Query reads within the transaction. Its rows must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, t.dialect.rewrite(query), args...)
}

// QueryRow reads one row within the transaction.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, t.dialect.rewrite(query), args...)
}

// Exec writes within the transaction.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.tx.ExecContext(ctx, t.dialect.rewrite(query), args...)
}

// Prepare readies a statement that runs many times in this transaction. Close it.
func (t *Tx) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.tx.PrepareContext(ctx, t.dialect.rewrite(query))
}

// Savepoint runs f, and undoes what f did when it returns an error; the transaction goes on. On an
// error that is about the transaction, such as a deadlock, it does not.
func (t *Tx) Savepoint(ctx context.Context, f func() error) error {
	if _, err := t.tx.ExecContext(ctx, "SAVEPOINT part"); err != nil {
		return fmt.Errorf("begin a part of a transaction: %w", err)
	}
	err := f()
	end := "RELEASE SAVEPOINT part"
	if err != nil {
		end = "ROLLBACK TO SAVEPOINT part"
	}
	// Not with ctx: it may be what ended f.
	if _, endErr := t.tx.ExecContext(context.WithoutCancel(ctx), end); endErr != nil {
		return errors.Join(err, fmt.Errorf("end a part of a transaction: %w", endErr))
	}
	return err
}
