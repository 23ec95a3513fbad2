// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// durable is what a PostgreSQL in production has; that of tests does without.
var durable = []string{
	"shared_buffers=1GB", "max_wal_size=8GB", "random_page_cost=1.1",
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "wal_level=replica",
	"shared_preload_libraries=pg_stat_statements",
}

// database is where messages are.
type database struct {
	name, dsn, dir string
	server         *testenv.PostgresServer
}

func startDatabase(ctx context.Context, name string) (*database, error) {
	dir, err := os.MkdirTemp("", "dispatchbench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	d := &database{name: name, dir: dir}
	if name == "sqlite" {
		d.dsn = "sqlite://" + filepath.Join(dir, "kaeru.db")
		return d, nil
	}
	if d.server, err = testenv.StartPostgresWith(ctx, testenv.PostgresOptions{Dir: dir, Settings: durable}); err != nil {
		return nil, err
	}
	d.dsn = d.server.URL.String()
	st, err := store.Open(ctx, d.dsn)
	if err != nil {
		return nil, err
	}
	// Without it, statements are not counted.
	_, _ = st.Exec(ctx, `CREATE EXTENSION pg_stat_statements`)
	return d, st.Close()
}

func (d *database) stop() error {
	var err error
	if d.server != nil {
		err = d.server.Stop()
	}
	if removed := os.RemoveAll(d.dir); err == nil {
		err = removed
	}
	return err
}

// dbUsed is what PostgreSQL has used so far.
type dbUsed struct {
	cpu                 time.Duration
	statements, commits int64
}

func (d *database) used(ctx context.Context, st *store.Store) (u dbUsed) {
	if d.server == nil {
		return u
	}
	_ = st.QueryRow(ctx, `SELECT CAST(SUM(calls) AS BIGINT) FROM pg_stat_statements`).Scan(&u.statements)
	_ = st.QueryRow(ctx, `SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()`).Scan(&u.commits)
	text, err := os.ReadFile(filepath.Join(d.dir, "data", "postmaster.pid"))
	if err != nil {
		return u
	}
	first, _, _ := strings.Cut(string(text), "\n")
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return u
	}
	for _, dir := range dirs {
		parent, own, ended := readStat(filepath.Base(dir))
		switch filepath.Base(dir) {
		case first:
			u.cpu += own + ended
		default:
			if parent == first {
				u.cpu += own
			}
		}
	}
	return u
}

// print says which statements took longest, all runs together.
func (d *database) print(ctx context.Context, w io.Writer, n int) (err error) {
	if d.server == nil || n == 0 {
		return nil
	}
	st, err := store.Open(ctx, d.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	rows, err := st.Query(ctx, `SELECT calls, rows, total_exec_time, mean_exec_time, left(regexp_replace(query, '\s+', ' ', 'g'), 160) FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT $1`, n)
	if err != nil {
		return fmt.Errorf("read what took long: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var calls, found int64
		var total, mean float64
		var query string
		if err := rows.Scan(&calls, &found, &total, &mean, &query); err != nil {
			return fmt.Errorf("read what took long: %w", err)
		}
		fmt.Fprintf(w, "%8.0f ms %7d times %8.3f ms each %9d rows  %s\n", total, calls, mean, found, query)
	}
	return rows.Err()
}

// tick is the unit of /proc.
const tick = 10 * time.Millisecond

func readStat(pid string) (parent string, own, ended time.Duration) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "", 0, 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return "", 0, 0
	}
	for i, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return "", 0, 0
		}
		if i < 2 {
			own += time.Duration(n) * tick
		} else {
			ended += time.Duration(n) * tick
		}
	}
	return fields[1], own, ended
}
