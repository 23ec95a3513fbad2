// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// lane plays one round after another, with servers that the rounds share.
type lane struct {
	options
	binary, name string
	cluster      *testenv.Cluster
	// primary is the PostgreSQL that takes writes, standby what follows it, if any.
	primary, standby *testenv.PostgresServer
}

// durable is what a PostgreSQL needs to keep what it committed when it is killed; tests do without.
var durable = []string{"synchronous_commit=on", "full_page_writes=on", "wal_level=replica", "max_wal_senders=4"}

func (l *lane) start(ctx context.Context, store string) (err error) {
	if l.cluster == nil {
		if l.cluster, err = testenv.StartControlPlane(ctx, testenv.Options{CRDs: []string{filepath.Join("config", "crd", "bases")}}); err != nil {
			return err
		}
	}
	if store == "postgres" && l.primary == nil {
		l.primary, err = testenv.StartPostgresWith(ctx, testenv.PostgresOptions{Settings: durable})
	}
	return err
}

// follow makes a standby that has all that was committed.
func (l *lane) follow(ctx context.Context) (err error) {
	if l.standby, err = testenv.StartPostgresWith(ctx, testenv.PostgresOptions{Settings: durable, StandbyOf: l.primary}); err != nil {
		return err
	}
	return l.primary.Follow(ctx)
}

// failOver lets the standby take over from a primary that is dead.
func (l *lane) failOver(ctx context.Context) error {
	dead := l.primary
	if err := dead.Crash(); err != nil {
		return err
	}
	l.primary, l.standby = l.standby, nil
	return errors.Join(l.primary.Promote(ctx), dead.Stop())
}

func (l *lane) close() {
	for _, s := range []*testenv.PostgresServer{l.standby, l.primary} {
		if s != nil {
			l.complain(s.Stop())
		}
	}
	if l.cluster != nil {
		l.complain(l.cluster.Stop())
	}
}

func (l *lane) complain(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %s: %v\n", l.name, err)
	}
}

// database makes an empty store and gives its address.
func (l *lane) database(ctx context.Context, store, dir string, failOver bool) (dsn string, drop func(), err error) {
	if store == "sqlite" {
		return "sqlite://" + filepath.ToSlash(filepath.Join(dir, "kaeru.db")), func() {}, nil
	}
	if dsn, err = l.primary.CreateDatabase(ctx); err != nil {
		return "", nil, err
	}
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	drop = func() { l.complain(l.dropDatabase(strings.SplitN(name, "?", 2)[0])) }
	if failOver {
		if err := l.follow(ctx); err != nil {
			return "", drop, err
		}
		hosts := l.primary.URL.Host + "," + l.standby.URL.Host
		dsn = strings.Replace(dsn, l.primary.URL.Host, hosts, 1) + "&target_session_attrs=read-write&connect_timeout=3"
	}
	return dsn, drop, nil
}

func unique() string { return strings.ToLower(rand.Text()[:8]) }

func (l *lane) dropDatabase(name string) error {
	return l.primary.DropDatabase(context.Background(), name)
}
