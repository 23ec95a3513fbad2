// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// manager is a kaeru manager that is started again whenever it ends, as a kubelet does.
type manager struct {
	binary, log string
	args, env   []string
	// offset is how far its clock of business time is ahead.
	offset atomic.Int64
	starts atomic.Int64

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{}
	stopped bool
	done    chan struct{}
}

func (m *manager) start() {
	m.done = make(chan struct{})
	go m.keep()
}

// keep starts the process again and again until stop.
func (m *manager) keep() {
	defer close(m.done)
	for {
		ended, err := m.launch()
		if err != nil {
			fmt.Fprintln(os.Stderr, "chaos: start a manager:", err)
			return
		}
		if ended == nil {
			return
		}
		<-ended
		time.Sleep(500 * time.Millisecond)
	}
}

func (m *manager) launch() (chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return nil, nil
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	now := time.Now().UTC()
	clock := fmt.Sprintf("%s@%s*1", now.Add(time.Duration(m.offset.Load())).Format(time.RFC3339Nano), now.Format(time.RFC3339Nano))
	cmd := exec.Command(m.binary, append(m.args, "--clock", clock)...)
	cmd.Env = append(os.Environ(), m.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m.starts.Add(1)
	fmt.Fprintf(log, "--- process %d with the clock %s\n", cmd.Process.Pid, clock)
	m.cmd, m.ended = cmd, make(chan struct{})
	ended := m.ended
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	return ended, nil
}

func (m *manager) signal(s syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(s) // it may have ended
	}
}

// stop ends it for good, as a kubelet does.
func (m *manager) stop() error {
	m.mu.Lock()
	m.stopped = true
	ended := m.ended
	m.mu.Unlock()
	m.signal(syscall.SIGCONT)
	m.signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(45 * time.Second):
		m.signal(syscall.SIGKILL)
		<-m.done
		return errors.New("a manager did not end within 45 seconds and was killed")
	}
	<-m.done
	return nil
}

// doubles are the providers.
type doubles struct {
	cmd               *exec.Cmd
	client            *sandbox.Client
	http, smtp        *wire
	webAddr, smtpAddr string
}

func startDoubles(ctx context.Context, binary, dir string) (*doubles, error) {
	web, err := freeAddress()
	if err != nil {
		return nil, err
	}
	mail, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "sandbox.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	d := &doubles{webAddr: web, smtpAddr: mail, client: sandbox.NewClient("http://" + web)}
	d.cmd = exec.Command(binary, "sandbox", "--http-address", web, "--smtp-address", mail, "--journal", filepath.Join(dir, "journal.jsonl"))
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the doubles: %w", err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err = d.client.Stats(ctx); err == nil {
			break
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(err, d.stop())
		}
	}
	if d.http, err = newWire(web); err == nil {
		d.smtp, err = newWire(mail)
	}
	return d, err
}

func (d *doubles) stop() error {
	for _, w := range []*wire{d.http, d.smtp} {
		if w != nil {
			w.close()
		}
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	return d.cmd.Wait()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
