// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

const migrationsTable = "schema_versions"

// Migrate brings the schema up to date. Several processes may call it at once: one migrates, the others wait.
func (s *Store) Migrate(ctx context.Context) error {
	files, err := s.dialect.migrations()
	if err != nil {
		return err
	}
	dialect := goose.DialectPostgres
	if s.dialect == SQLite {
		dialect = goose.DialectSQLite3
	}
	provider, err := goose.NewProvider(dialect, s.writer, files,
		goose.WithTableName(migrationsTable), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	unlock, err := s.lockMigrations(ctx)
	if err != nil {
		return fmt.Errorf("wait for the lock on migrations: %w", err)
	}
	defer unlock()

	current, latest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if current > latest {
		return fmt.Errorf("the schema of %s has version %d and this program knows %d: use the newer release that migrated it", s, current, latest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the schema of %s: %w", s, err)
	}
	return nil
}

// migrations is the embedded files with their ${WORDS} replaced.
func (d Dialect) migrations() (fs.FS, error) {
	words := strings.NewReplacer("${ID}", `TEXT COLLATE "C"`, "${JSON}", "JSONB", "${UUID}", "UUID", "${CLUSTERED}", "",
		"${PRODUCT}", Postgres.ProductOf())
	if d == SQLite {
		words = strings.NewReplacer("${ID}", "TEXT", "${JSON}", "TEXT", "${UUID}", "TEXT", "${CLUSTERED}", " WITHOUT ROWID",
			"${PRODUCT}", SQLite.ProductOf())
	}
	const dir = "migrations"
	entries, err := migrations.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	files := fstest.MapFS{}
	for _, entry := range entries {
		text, err := migrations.ReadFile(dir + "/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
		files[entry.Name()] = &fstest.MapFile{Data: []byte(words.Replace(string(text)))}
	}
	return files, nil
}

// migrationWait is how long a process waits for another that migrates.
const migrationWait = 10 * time.Minute

// lockMigrations waits until no other process migrates. A lock ends with the process that holds it.
func (s *Store) lockMigrations(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, migrationWait)
	defer cancel()
	if s.dialect == SQLite {
		return lockFile(ctx, s.address.path+"-migrate")
	}
	return s.lockRow(ctx)
}

// lockRow holds a row in a transaction of its own. Advisory locks would do on PostgreSQL alone, not
// on the distributed databases that speak its protocol.
func (s *Store) lockRow(ctx context.Context) (func(), error) {
	const prepare = `CREATE TABLE IF NOT EXISTS schema_lock (id INTEGER PRIMARY KEY)`
	// Two that create a table at once: one of them fails, although IF NOT EXISTS.
	if _, err := s.Exec(ctx, prepare); err != nil {
		if _, err := s.Exec(ctx, prepare); err != nil {
			return nil, err
		}
	}
	if _, err := s.Exec(ctx, `INSERT INTO schema_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING`); err != nil {
		return nil, err
	}
	// Not with ctx, whose end would end the transaction and the lock with it.
	tx, err := s.writer.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return nil, err
	}
	unlock := func() { _ = tx.Rollback() }
	if _, err := tx.ExecContext(ctx, `SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE`); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// lockFile holds the lock of an empty database beside the real one, which must stay writable for
// the migration itself. The file stays: were it removed, two could lock two files of that name.
func lockFile(ctx context.Context, path string) (func(), error) {
	if err := touchPrivate(path); err != nil {
		return nil, err
	}
	db, err := connectSQLite(path, "exclusive", "busy_timeout(1000)")
	if err != nil {
		return nil, err
	}
	for {
		tx, err := db.BeginTx(context.WithoutCancel(ctx), nil)
		if err == nil {
			return func() { _, _ = tx.Rollback(), db.Close() }, nil
		}
		if !retryable(err) || ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err(), db.Close())
		}
	}
}
