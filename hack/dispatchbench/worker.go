// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// working is what a process that sends is told.
type working struct {
	DSN         string
	Mails, LINE string // the sink's addresses
	Connections int
	PerSecond   float64
	// Arm makes it plan what is due as well, of messages of this kind.
	Arm     string
	Profile string
}

// used is what a process that sends has used so far.
type used struct {
	CPU       time.Duration
	Allocated uint64
	// Peak is the most memory that it had, in MB.
	Peak float64
}

// work sends as the manager does, with the engine and the senders of production, until ctx ends. It tells at an
// address, which it prints, what it has used.
func work(ctx context.Context, text string, w io.Writer) (err error) {
	var c working
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return fmt.Errorf("make the profile: %w", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("begin the profile: %w", err)
		}
		defer func() { pprof.StopCPUProfile(); _ = f.Close() }()
	}
	st, err := store.Open(ctx, c.DSN)
	if err != nil {
		return err
	}
	compiler := content.NewCompiler(content.Options{})
	defer func() { err = errors.Join(err, st.Close(), compiler.Close()) }()
	channels, err := c.channels()
	if err != nil {
		return err
	}
	engine, err := newEngine(st, compiler, channels, 0)
	if err != nil {
		return err
	}
	if c.Arm != "" {
		a, err := (&shop{st: st, compiler: compiler}).armed(ctx, c.Arm)
		if err != nil {
			return err
		}
		if err := engine.Arm(ctx, a); err != nil {
			return err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(tell), ReadHeaderTimeout: timeout}
	go func() { _ = server.Serve(l) }()
	defer func() { err = errors.Join(err, server.Close()) }()
	fmt.Fprintln(w, l.Addr())
	return engine.Run(ctx)
}

func (c *working) channels() (*dispatch.Channels, error) {
	host, port, err := hostPort(c.Mails)
	if err != nil {
		return nil, err
	}
	mails, err := email.New(email.Config{From: "Kaeru Shop <news@shop.example>", Host: host, Port: port, TLS: email.Disabled, MaxConnections: c.Connections})
	if err != nil {
		return nil, err
	}
	pushes, err := line.New(line.Config{Endpoint: "http://" + c.LINE, ChannelAccessToken: "token", Concurrency: c.Connections})
	if err != nil {
		return nil, err
	}
	channels := dispatch.NewChannels(nil)
	channels.Put(dispatch.Ref{Namespace: namespace, Name: "email"}, &dispatch.Channel{Sender: mails, Kind: "email", Mode: dispatch.ModeLive, PerSecond: c.PerSecond, Clicks: true, Opens: true})
	channels.Put(dispatch.Ref{Namespace: namespace, Name: "line"}, &dispatch.Channel{Sender: pushes, Kind: "line", Mode: dispatch.ModeLive, PerSecond: c.PerSecond})
	return channels, nil
}

func tell(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	cpu := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	_ = json.NewEncoder(w).Encode(used{cpu, m.TotalAlloc, peakMemory()})
}

// peakMemory is the most memory that this process ever had resident, in MB.
func peakMemory() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes float64
	if _, err := fmt.Sscanf(after, "%f kB", &kilobytes); err != nil {
		return 0
	}
	return kilobytes / 1024
}

func logged(prefix, text string) { fmt.Fprintln(os.Stderr, prefix, text) }

// process is this program once more, as something else.
type process struct {
	cmd *exec.Cmd
	// said is the first line that it printed.
	said string
}

func start(variable, value string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p := &process{cmd: exec.Command(self)}
	p.cmd.Env = append(os.Environ(), variable+"="+value)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", variable, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not come up: %w", variable, err), p.stop())
	}
	p.said = strings.TrimSpace(line)
	return p, nil
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.cmd.Wait()
}

func (p *process) used(ctx context.Context) (u used, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.said, nil)
	if err != nil {
		return u, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return u, fmt.Errorf("ask a worker: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	err = json.NewDecoder(res.Body).Decode(&u)
	return u, err
}
