// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// serverSettings are what somebody would give a PostgreSQL that has a small machine to itself. It is
// as durable as one in production: what is tested is without that by default.
var serverSettings = []string{
	"shared_buffers=2GB", "effective_cache_size=8GB", "work_mem=16MB", "maintenance_work_mem=512MB",
	"random_page_cost=1.1", "effective_io_concurrency=200", "max_wal_size=8GB", "checkpoint_timeout=15min",
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "wal_level=replica",
}

// databases are where shops are loaded, and copied from before something changes them.
type databases interface {
	// dsn names a database, by a name of its own or workName.
	dsn(name string) string
	exists(ctx context.Context, name string) (bool, error)
	// create makes an empty one, in the place of one that is there.
	create(ctx context.Context, name string) error
	rename(ctx context.Context, from, to string) error
	copy(ctx context.Context, from, to string) error
	close() error
}

const workName, loadingName = "work", "loading"

// loaded gives a database with the shop that may be changed. One that is kept in a directory is
// loaded once, and copied for each run.
func loaded(ctx context.Context, d databases, s *shop, keep bool, p *progress) (*store.Store, error) {
	if !keep {
		if err := d.create(ctx, workName); err != nil {
			return nil, err
		}
		return open(ctx, d.dsn(workName), s, p)
	}
	kept := fmt.Sprintf("shop_%d_%d", s.customers, s.seed)
	found, err := d.exists(ctx, kept)
	if err != nil {
		return nil, err
	}
	if !found {
		if err := d.create(ctx, loadingName); err != nil {
			return nil, err
		}
		db, err := open(ctx, d.dsn(loadingName), s, p)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(db.Close(), d.rename(ctx, loadingName, kept)); err != nil {
			return nil, err
		}
	}
	p.say("copy the kept shop")
	if err := d.copy(ctx, kept, workName); err != nil {
		return nil, err
	}
	return open(ctx, d.dsn(workName), s, p)
}

// open connects to a database, and loads the shop where there is none.
func open(ctx context.Context, dsn string, s *shop, p *progress) (*store.Store, error) {
	db, err := store.Open(ctx, dsn, store.MaxConnections(4))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	var there bool
	err = db.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM customers WHERE ns = $1)`, namespace).Scan(&there)
	if err == nil && !there {
		err = s.load(ctx, db, p)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// postgresServer is a private server with databases.
type postgresServer struct {
	server *testenv.PostgresServer
	admin  *sql.DB
}

// startServer starts a server that keeps its files in a directory; empty, nowhere.
func startServer(ctx context.Context, dir string) (*postgresServer, error) {
	server, err := testenv.StartPostgresWith(ctx, testenv.PostgresOptions{Dir: dir, Settings: serverSettings})
	if err != nil {
		return nil, err
	}
	admin, err := sql.Open("pgx", server.URL.String())
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return &postgresServer{server, admin}, nil
}

func (p *postgresServer) dsn(name string) string {
	u := *p.server.URL
	u.Path = "/" + name
	return u.String()
}

func (p *postgresServer) exists(ctx context.Context, name string) (found bool, err error) {
	err = p.admin.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)`, name).Scan(&found)
	return found, err
}

func (p *postgresServer) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := p.admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (p *postgresServer) create(ctx context.Context, name string) error {
	return p.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "CREATE DATABASE "+name)
}

func (p *postgresServer) rename(ctx context.Context, from, to string) error {
	return p.exec(ctx, "ALTER DATABASE "+from+" RENAME TO "+to)
}

func (p *postgresServer) copy(ctx context.Context, from, to string) error {
	return p.exec(ctx, "DROP DATABASE IF EXISTS "+to+" WITH (FORCE)", "CREATE DATABASE "+to+" TEMPLATE "+from+" STRATEGY file_copy")
}

func (p *postgresServer) close() error { return errors.Join(p.admin.Close(), p.server.Stop()) }

// sqliteFiles are databases in a directory.
type sqliteFiles struct {
	dir       string
	temporary bool
}

func newSQLiteFiles(keep string) (*sqliteFiles, error) {
	if keep != "" {
		return &sqliteFiles{dir: keep}, nil
	}
	dir, err := os.MkdirTemp("", "kaeru-segmentbench-")
	return &sqliteFiles{dir, true}, err
}

func (f *sqliteFiles) path(name string) string { return filepath.Join(f.dir, name+".db") }

func (f *sqliteFiles) dsn(name string) string {
	path, err := filepath.Abs(f.path(name))
	if err != nil {
		path = f.path(name)
	}
	return (&url.URL{Scheme: "sqlite", Path: filepath.ToSlash(path)}).String()
}

func (f *sqliteFiles) exists(_ context.Context, name string) (bool, error) {
	_, err := os.Stat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (f *sqliteFiles) create(_ context.Context, name string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(f.path(name) + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (f *sqliteFiles) rename(_ context.Context, from, to string) error {
	return os.Rename(f.path(from), f.path(to))
}

func (f *sqliteFiles) copy(ctx context.Context, from, to string) error {
	if err := f.create(ctx, to); err != nil {
		return err
	}
	in, err := os.Open(f.path(from))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(f.path(to), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (f *sqliteFiles) close() error {
	if f.temporary {
		return os.RemoveAll(f.dir)
	}
	return nil
}
