// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reaperScript outlives this process: its standard input closes when the process ends, also on
// SIGKILL, and it then ends the servers whose pid files are in the directory. A death signal
// (PR_SET_PDEATHSIG) would do the same on Linux alone, leave the directory behind, and fire when
// the thread that started the server ends.
const reaperScript = `cat >/dev/null
signal() { for f in "$1"/*.pid; do [ -f "$f" ] && kill "-$2" "$(cat "$f")" 2>/dev/null; done; }
signal "$1" QUIT
[ "$2" = keep ] || { sleep 1; signal "$1" KILL; rm -rf "$1"; }
exit 0`

// group is the servers that share a directory, for their logs and pid files, and one end.
type group struct {
	dir       string
	processes []*process
	reaper    *exec.Cmd
	lifeline  io.Closer
}

// groups keeps those that have not been stopped: a lifeline that is collected as garbage is closed.
var groups sync.Map

type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// newGroup uses dir, or where that is empty a new temporary directory that is removed at the end.
func newGroup(dir string) (*group, error) {
	fate := "keep"
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "kaeru-"); err != nil {
			return nil, fmt.Errorf("make a directory for the servers: %w", err)
		}
		fate = "remove"
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for the servers: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe to the reaper: %w", err)
	}
	defer func() { _ = read.Close() }()
	// No context: it has to live on when everything here is cancelled.
	reaper := exec.Command("/bin/sh", "-c", reaperScript, "sh", dir, fate)
	reaper.Stdin = read
	reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C on the terminal is not for it
	if err := reaper.Start(); err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("start the reaper: %w", err)
	}
	g := &group{dir: dir, reaper: reaper, lifeline: write}
	groups.Store(g, nil)
	return g, nil
}

func (g *group) path(name string) string { return filepath.Join(g.dir, name) }

// start runs a server in the background with its output in <dir>/<name>.log. credential, if any, is who it runs as.
func (g *group) start(name string, credential *syscall.Credential, program string, args ...string) (*process, error) {
	p := &process{name: name, log: g.path(name + ".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = g.dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	pidFile := g.path(name + ".pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(p.cmd.Process.Pid)+"\n"), 0o600); err != nil {
		_ = p.cmd.Process.Kill()
		return nil, fmt.Errorf("write the pid of %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		_ = os.Remove(pidFile) // the pid may be another process's by the time the reaper looks
		close(p.done)
	}()
	g.processes = append(g.processes, p)
	return p, nil
}

// stop ends the servers, the last started first, and the reaper after them.
func (g *group) stop(signal syscall.Signal) error {
	var errs []error
	for i := len(g.processes) - 1; i >= 0; i-- {
		if err := g.processes[i].stop(signal); err != nil {
			errs = append(errs, err)
		}
	}
	g.processes = nil
	groups.Delete(g)
	errs = append(errs, g.lifeline.Close())
	if err := g.reaper.Wait(); err != nil {
		errs = append(errs, fmt.Errorf("clean up %s: %w", g.dir, err))
	}
	return errors.Join(errs...)
}

func (p *process) stop(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // it may have ended already
	select {
	case <-p.done:
		return nil
	case <-time.After(15 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 15 seconds of %s and was killed", p.name, signal)
	}
}

// await polls until ready says nil, and fails when the server ends or the context does.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %s", p.name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s was not ready in time (%w): %w: %s", p.name, ctx.Err(), err, p.tail())
		case <-ticker.C:
		}
	}
}

// tail is the end of the server's log, for an error.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// freePorts finds n loopback ports that nobody listens on. Another process may take one before it is used:
// see retryPorts.
func freePorts(n int) ([]string, error) {
	ports := make([]string, n)
	held := make([]net.Listener, 0, n) // until all are found, so that they differ
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		held = append(held, l)
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// retryPorts calls start again when it failed because a port that was free no longer is.
func retryPorts(start func() error) error {
	var err error
	for range 3 {
		if err = start(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "address already in use") {
			return err
		}
	}
	return err
}
