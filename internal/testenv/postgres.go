// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// PostgresServer is a PostgreSQL server of this process's own.
type PostgresServer struct {
	// URL is its database postgres, as a superuser.
	URL *url.URL

	group *group
}

// StartPostgres makes a new, empty PostgreSQL server on a free loopback port and waits until it
// answers. It ends with Stop, or with this process, and leaves nothing. A crash of the machine would
// lose its data: nothing is synced.
func StartPostgres(ctx context.Context) (*PostgresServer, error) {
	return StartPostgresWith(ctx, PostgresOptions{})
}

// PostgresOptions are for a server that is more than a test's.
type PostgresOptions struct {
	// Dir keeps the server's files when it ends; a server that was there before is started again. It
	// must be where the user that PostgreSQL runs as can go. Empty, they are nobody's and are removed.
	Dir string
	// Settings, such as shared_buffers=2GB, hold instead of those for tests.
	Settings []string
	// StandbyOf makes the server a copy of that one, which it follows until Promote.
	StandbyOf *PostgresServer
}

// StartPostgresWith is StartPostgres with options.
func StartPostgresWith(ctx context.Context, o PostgresOptions) (*PostgresServer, error) {
	bin, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	var s *PostgresServer
	err = retryPorts(func() (err error) {
		s, err = startPostgres(ctx, bin, o)
		return err
	})
	return s, err
}

// Stop ends the server at once, with whoever is connected.
func (s *PostgresServer) Stop() error { return s.group.stop(syscall.SIGQUIT) }

func startPostgres(ctx context.Context, bin string, o PostgresOptions) (_ *PostgresServer, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	credential, err := postgresCredential()
	if err != nil {
		return nil, err
	}
	g, err := newGroup(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.stop(syscall.SIGQUIT))
		}
	}()
	var password string
	if o.StandbyOf != nil {
		password, err = copyPostgres(ctx, bin, g, credential, o.StandbyOf)
	} else {
		password, err = initPostgres(ctx, bin, g, credential)
	}
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", g.path("data")}
	for _, setting := range slices.Concat([]string{
		"listen_addresses=127.0.0.1", "port=" + ports[0], "unix_socket_directories=",
		"max_connections=200", "shared_buffers=128MB", "max_wal_size=4GB",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
		"timezone=UTC",
	}, o.Settings) { // of a setting given twice, the later one holds
		args = append(args, "-c", setting)
	}
	server, err := g.start("postgres", credential, filepath.Join(bin, "postgres"), args...)
	if err != nil {
		return nil, err
	}
	address := &url.URL{
		Scheme: "postgres", User: url.UserPassword("kaeru", password),
		Host: "127.0.0.1:" + ports[0], Path: "/postgres", RawQuery: "sslmode=disable",
	}
	s := &PostgresServer{URL: address, group: g}
	if err := s.await(ctx, server); err != nil {
		return nil, err
	}
	return s, nil
}

// initPostgres makes the server's files, unless they are there, and gives its password.
func initPostgres(ctx context.Context, bin string, g *group, credential *syscall.Credential) (string, error) {
	passwordFile := g.path("password")
	if exists(filepath.Join(g.path("data"), "PG_VERSION")) {
		password, err := os.ReadFile(passwordFile)
		if err != nil {
			return "", fmt.Errorf("read the password of the server that was there: %w", err)
		}
		return string(password), nil
	}
	password := rand.Text()
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("write the password file: %w", err)
	}
	if credential != nil {
		for _, file := range []string{g.dir, passwordFile} {
			if err := os.Chown(file, int(credential.Uid), int(credential.Gid)); err != nil {
				return "", fmt.Errorf("give %s to the user that PostgreSQL runs as: %w", file, err)
			}
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"),
		"--pgdata", g.path("data"), "--username", "kaeru", "--auth", "scram-sha-256", "--pwfile", passwordFile,
		"--encoding", "UTF8", "--locale", "C", "--no-sync")
	initdb.Dir = g.dir
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	return password, nil
}

// postgresBinaries is the directory with initdb and postgres. Debian keeps them out of PATH, a directory a version.
func postgresBinaries() (string, error) {
	var dirs []string
	if initdb, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(initdb))
	}
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0, so last, where the name is none
		return n
	}
	sort.Slice(debian, func(i, j int) bool { return version(debian[i]) > version(debian[j]) })
	for _, dir := range append(dirs, debian...) {
		if exists(filepath.Join(dir, "initdb")) && exists(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", errors.New("no PostgreSQL server programs (initdb, postgres) on PATH or in /usr/lib/postgresql: " +
		"`make deps` installs them, or set KAERU_TEST_POSTGRES to the postgres:// URL of a server where databases may be made")
}

// postgresCredential is who PostgreSQL runs as: it refuses to be root.
func postgresCredential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}, nil
	}
	return nil, errors.New("this is root, PostgreSQL refuses to run as root, and there is no user postgres or nobody: run the tests as another user")
}

// createDatabase makes an empty database beside the one that server names, and says how to reach and how to drop it.
func createDatabase(ctx context.Context, server *url.URL) (dsn string, drop func(context.Context) error, err error) {
	name := "kaeru_test_" + strings.ToLower(rand.Text()[:12])
	exec := func(ctx context.Context, statement string) error {
		db, err := sql.Open("pgx", server.String())
		if err != nil {
			return fmt.Errorf("open %s: %w", server.Redacted(), err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s on %s: %w", statement, server.Redacted(), err)
		}
		return nil
	}
	if err := exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	database := *server
	database.Path = "/" + name
	return database.String(), func(ctx context.Context) error {
		return exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	}, nil
}
