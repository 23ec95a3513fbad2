// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr/funcr"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/gateway"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const (
	namespace = "shop"
	key       = "the-write-key-of-the-bench"
	serveEnv  = "GATEWAYBENCH_SERVE"
	storeEnv  = "KAERU_STORE"
)

// durable is what a PostgreSQL in production has; that of tests does without.
var durable = []string{
	"shared_buffers=1GB", "max_wal_size=8GB", "random_page_cost=1.1",
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "wal_level=replica",
}

type database struct {
	dir, dsn  string
	server    *testenv.PostgresServer
	restarted bool
}

func startDatabase(ctx context.Context) (*database, error) {
	dir, err := os.MkdirTemp("", "gatewaybench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	server, err := testenv.StartPostgresWith(ctx, testenv.PostgresOptions{Dir: dir, Settings: durable})
	if err != nil {
		return nil, err
	}
	return &database{dir: dir, dsn: server.URL.String(), server: server}, nil
}

// restart ends PostgreSQL as a crash would, and starts it again.
func (d *database) restart(ctx context.Context) error {
	d.restarted = true
	return d.control(ctx, "restart", "-m", "immediate", "-w", "-l", filepath.Join(d.dir, "data", "restart.log"))
}

func (d *database) control(ctx context.Context, args ...string) error {
	program, err := exec.LookPath("pg_ctl")
	if err != nil {
		found, globErr := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
		if globErr != nil || len(found) == 0 {
			return errors.New("there is no pg_ctl on PATH or in /usr/lib/postgresql")
		}
		program = found[len(found)-1]
	}
	cmd := exec.CommandContext(ctx, program, append(args, "-D", filepath.Join(d.dir, "data"))...)
	cmd.Dir = d.dir
	if os.Geteuid() == 0 { // as which PostgreSQL does not run
		if cmd.SysProcAttr, err = as("postgres"); err != nil {
			return err
		}
	}
	// Not through a pipe: the server keeps what it was started with.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pg_ctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

func as(name string) (*syscall.SysProcAttr, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("find the user that PostgreSQL runs as: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}}, nil
}

func (d *database) stop() error {
	var err error
	if d.restarted { // it is a process of its own now
		err = d.control(context.Background(), "stop", "-m", "immediate")
	}
	return errors.Join(err, d.server.Stop(), os.RemoveAll(d.dir))
}

// prepare makes the tables, and a segment: without one nobody asks who is touched, and less is written.
func prepare(ctx context.Context, dsn string) (*store.Store, error) {
	st, err := store.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := st.Migrate(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	_, err = st.Exec(ctx, `INSERT INTO segments (ns, name, spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us)
		VALUES ($1, 'everybody', '', 0, '', 0, 0, 0, 0, 0, 0, 0, 0)`, namespace)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a segment: %w", err), st.Close())
	}
	return st, nil
}

// process is the gateway's.
type process struct {
	url string
	cmd *exec.Cmd
}

func startGateway(ctx context.Context, dsn string) (*process, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &process{url: "http://" + address, cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), serveEnv+"="+address, storeEnv+"="+dsn)
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := http.Get(p.url + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(errors.New("the gateway did not come up"), p.stop())
		}
	}
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("the gateway: %w", err)
	}
	return nil
}

// serve is the gateway as the manager runs it.
func serve(address, dsn string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	st, err := store.Open(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	public := (&url.URL{Scheme: "http", Host: address}).String()
	signer, err := content.NewSigner(public, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		return err
	}
	go st.KeepStatistics(ctx) // as the manager does
	keys := &gateway.WriteKeys{}
	keys.Set(map[string]string{key: namespace})
	g, err := gateway.New(gateway.Config{
		Store: st, Clock: clock.Real(), PublicURL: public, Links: signer, WriteKeys: keys, Log: funcr.New(func(_, text string) { fmt.Fprintln(os.Stderr, text) }, funcr.Options{}),
		Credentials: gateway.CredentialsFunc(func(string, string, string) (string, bool) { return "", false }),
	})
	if err != nil {
		return err
	}
	return g.Serve(ctx, address)
}
