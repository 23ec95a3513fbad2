// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package store is the database: its schema, the transactions over it, and the facts a shop sends.
//
// There are two stores, PostgreSQL and SQLite, and one set of SQL for both. Statements are written
// with placeholders $1, $2, …; what the two do not share comes from Dialect. Times are BIGINT
// milliseconds (Millis, Time), money is BIGINT (money.Amount), identifiers and UUIDs are strings.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Querier runs statements: a Store each by itself, a Tx within its transaction.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	Exec(ctx context.Context, query string, args ...any) (sql.Result, error)
	Dialect() Dialect
}

// Store is an open database. It is safe for use by several goroutines.
type Store struct {
	dialect Dialect
	address *address
	// SQLite has one writer at a time. Writes queue here, for one connection, instead of at the file's
	// lock, where waiting is polling and nobody has a turn. On PostgreSQL both are the same pool.
	writer, reader *sql.DB
}

var (
	_ Querier = (*Store)(nil)
	_ Querier = (*Tx)(nil)
)

// Option changes how a store is opened.
type Option func(*options)

type options struct {
	connections int
}

// MaxConnections limits the connections to PostgreSQL, or those that read from SQLite. The default
// is 16, the least is 4.
func MaxConnections(n int) Option {
	return func(o *options) { o.connections = max(n, 4) }
}

// Open connects to the database that dsn names: sqlite:///absolute/path.db, sqlite:relative.db, or
// postgres://user:password@host/database. It does not touch the schema: see Migrate.
func Open(ctx context.Context, dsn string, opts ...Option) (*Store, error) {
	o := options{connections: 16}
	for _, opt := range opts {
		opt(&o)
	}
	a, err := parseAddress(dsn)
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: a.dialect, address: a}
	if a.dialect == SQLite {
		err = s.openSQLite(o)
	} else {
		s.openPostgres(o)
	}
	if err == nil {
		err = s.Ping(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	for _, db := range []*sql.DB{s.writer, s.reader} {
		if err := db.PingContext(ctx); err != nil {
			return fmt.Errorf("connect to %s: %w", s.address.shown, err)
		}
	}
	return nil
}

// Close ends all connections.
func (s *Store) Close() error {
	var err error
	if s.reader != nil {
		err = s.reader.Close()
	}
	// The writer last: whoever closes SQLite last tidies up its log, which a reader may not.
	if s.writer != nil && s.writer != s.reader {
		err = errors.Join(err, s.writer.Close())
	}
	return err
}

// Dialect says which of the two stores this is.
func (s *Store) Dialect() Dialect { return s.dialect }

// String names the database without its password.
func (s *Store) String() string { return s.address.shown }

// Query reads. The rows see one state of the database; two queries may see two (ReadTx).
func (s *Store) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.reader.QueryContext(ctx, s.dialect.rewrite(query), args...)
}

// QueryRow reads one row.
func (s *Store) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return s.reader.QueryRowContext(ctx, s.dialect.rewrite(query), args...)
}

// Exec writes, in a transaction of its own. On SQLite it waits for an open Tx of this process, so
// calling it from inside one never returns.
func (s *Store) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.writer.ExecContext(ctx, s.dialect.rewrite(query), args...)
}

// connectionLifetime lets a pool follow a PostgreSQL that moved to another address.
const connectionLifetime = 30 * time.Minute
