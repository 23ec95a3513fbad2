// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// Kaeru promises that nobody gets a message twice, so what it has committed must be there after a
// power cut too. That takes synchronous=FULL; under NORMAL the last commits may be lost.
var sqlitePragmas = []string{
	"busy_timeout(15000)",
	"journal_mode(WAL)",
	"synchronous(FULL)",
	"foreign_keys(1)",
	"temp_store(MEMORY)",
	"cache_size(-65536)", // 64 MiB
	"journal_size_limit(67108864)",
}

func (s *Store) openSQLite(o options) error {
	if err := touchPrivate(s.address.path); err != nil {
		return err
	}
	var err error
	if s.writer, err = connectSQLite(s.address.path, "immediate", sqlitePragmas...); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = connectSQLite(s.address.path, "deferred", append(sqlitePragmas[:len(sqlitePragmas):len(sqlitePragmas)], "query_only(1)")...); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(o.connections)
	s.reader.SetMaxIdleConns(o.connections)
	return nil
}

func connectSQLite(path, txLock string, pragmas ...string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: url.Values{
		"_txlock": {txLock}, "_pragma": pragmas,
	}.Encode()}
	connector, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return sql.OpenDB(connector), nil
}

// touchPrivate makes the file before SQLite does, which would let everyone on the machine read the customers.
func touchPrivate(path string) error {
	if dir := filepath.Dir(path); !isDir(dir) {
		return fmt.Errorf("the store's directory %s does not exist: make it first", dir)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the store's file: %w", err)
	}
	return f.Close()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (s *Store) openPostgres(o options) {
	db := stdlib.OpenDB(*s.address.postgres, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		// What a refresh of segments knows of its candidates stays in memory. A pooler may have used the
		// session before, so that it is too late; then it goes to files, and takes a little longer.
		_, err := c.Exec(ctx, "SET temp_buffers = '64MB'")
		var refused *pgconn.PgError
		if errors.As(err, &refused) {
			return nil
		}
		return err
	}))
	db.SetMaxOpenConns(o.connections)
	db.SetMaxIdleConns(o.connections)
	db.SetConnMaxLifetime(connectionLifetime)
	s.writer, s.reader = db, db
}

// rewrite turns $1 into SQLite's ?1, except in quoted text and in comments.
func (d Dialect) rewrite(query string) string {
	if d != SQLite || !strings.Contains(query, "$") {
		return query
	}
	var out strings.Builder
	out.Grow(len(query))
	for rest := query; rest != ""; {
		at := strings.IndexAny(rest, `$'"-`)
		if at < 0 {
			out.WriteString(rest)
			break
		}
		out.WriteString(rest[:at])
		rest = rest[at:]
		n := 1
		switch {
		case rest[0] == '$' && len(rest) > 1 && rest[1] >= '1' && rest[1] <= '9':
			out.WriteByte('?')
			rest = rest[1:]
			continue
		case rest[0] == '\'', rest[0] == '"':
			// A doubled quote inside ends one quoted text and begins the next.
			n = 1 + upTo(rest[1:], rest[:1])
		case strings.HasPrefix(rest, "--"):
			n = upTo(rest, "\n")
		}
		out.WriteString(rest[:n])
		rest = rest[n:]
	}
	return out.String()
}

// upTo is the length of s up to and with end, or of all of s.
func upTo(s, end string) int {
	if at := strings.Index(s, end); at >= 0 {
		return at + len(end)
	}
	return len(s)
}
