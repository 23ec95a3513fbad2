// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// apiServer is the name of the API server's process.
const apiServer = "kube-apiserver"

// StopAPIServer kills the API server, as a crash would. What it knows is in etcd, which goes on.
func (c *Cluster) StopAPIServer() error { return c.group.end(apiServer, syscall.SIGKILL) }

// StartAPIServer starts it again where it was, and waits until it answers.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p, err := c.group.again(apiServer)
	if err != nil {
		return err
	}
	return p.await(ctx, func(ctx context.Context) error { return readyz(ctx, c.Config) })
}

// Crash ends the server at once, with whoever is connected, as pg_ctl stop -m immediate does. Start brings it back.
func (s *PostgresServer) Crash() error { return s.group.end("postgres", syscall.SIGQUIT) }

// Start starts a server that crashed, where it was, and waits until it answers.
func (s *PostgresServer) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	p, err := s.group.again("postgres")
	if err != nil {
		return err
	}
	return s.await(ctx, p)
}

func (s *PostgresServer) await(ctx context.Context, p *process) error {
	db, err := sql.Open("pgx", s.URL.String())
	if err != nil {
		return fmt.Errorf("open the server: %w", err)
	}
	defer func() { _ = db.Close() }()
	return p.await(ctx, db.PingContext)
}

// Follow makes the server commit only what the standby has, too: after Promote nothing is missing that anybody
// was told of.
func (s *PostgresServer) Follow(ctx context.Context) error {
	if err := s.exec(ctx, `ALTER SYSTEM SET synchronous_standby_names = '*'`); err != nil {
		return err
	}
	return s.exec(ctx, `SELECT pg_reload_conf()`)
}

// Promote makes a standby a server of its own. The one that it followed must have ended.
func (s *PostgresServer) Promote(ctx context.Context) error {
	return s.exec(ctx, `SELECT pg_promote()`)
}

func (s *PostgresServer) exec(ctx context.Context, statement string) error {
	db, err := sql.Open("pgx", s.URL.String())
	if err != nil {
		return fmt.Errorf("open the server: %w", err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// CreateDatabase makes an empty database and returns its address.
func (s *PostgresServer) CreateDatabase(ctx context.Context) (dsn string, err error) {
	dsn, _, err = createDatabase(ctx, s.URL)
	return dsn, err
}

// copyPostgres makes the files of a standby that follows primary.
func copyPostgres(ctx context.Context, bin string, g *group, credential *syscall.Credential, primary *PostgresServer) (string, error) {
	if credential != nil {
		if err := os.Chown(g.dir, int(credential.Uid), int(credential.Gid)); err != nil {
			return "", fmt.Errorf("give %s to the user that PostgreSQL runs as: %w", g.dir, err)
		}
	}
	password, _ := primary.URL.User.Password()
	// The server's programs may be linked from elsewhere, and this one not.
	server, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL's programs: %w", err)
	}
	backup := exec.CommandContext(ctx, filepath.Join(filepath.Dir(server), "pg_basebackup"), "--pgdata", g.path("data"), "--write-recovery-conf",
		"--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
		"--host", primary.URL.Hostname(), "--port", primary.URL.Port(), "--username", "kaeru")
	backup.Dir = g.dir
	backup.Env = append(os.Environ(), "PGPASSWORD="+password)
	backup.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := backup.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	return password, nil
}

// end ends one server of the group.
func (g *group) end(name string, signal syscall.Signal) error {
	p := g.find(name)
	if p == nil {
		return fmt.Errorf("%s is not one of these servers", name)
	}
	return p.stop(signal)
}

// again starts a server that ended, as it was started before.
func (g *group) again(name string) (*process, error) {
	old := g.find(name)
	if old == nil {
		return nil, fmt.Errorf("%s is not one of these servers", name)
	}
	select {
	case <-old.done:
	default:
		return nil, errors.New(name + " is still running")
	}
	if _, err := g.start(name, old.cmd.SysProcAttr.Credential, old.cmd.Path, old.cmd.Args[1:]...); err != nil {
		return nil, err
	}
	last := len(g.processes) - 1
	for i, p := range g.processes[:last] {
		if p == old {
			g.processes[i] = g.processes[last]
			g.processes = g.processes[:last]
			break
		}
	}
	return g.find(name), nil
}

func (g *group) find(name string) *process {
	for _, p := range g.processes {
		if p.name == name {
			return p
		}
	}
	return nil
}

// DropDatabase drops a database of the server, with whoever is connected.
func (s *PostgresServer) DropDatabase(ctx context.Context, name string) error {
	return s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
}
