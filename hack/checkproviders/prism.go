// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// startWithin is how long Prism may take to read a description; Twilio's is large.
const startWithin = 2 * time.Minute

// prism is a running proxy.
type prism struct {
	url  string
	stop func()
}

// output keeps what Prism says, for when it does not start.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := o.text.String()
	return text[max(0, len(text)-2000):]
}

func startPrism(ctx context.Context, installed, file, upstream string) (*prism, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		return nil, err
	}
	said := &output{}
	cmd := exec.CommandContext(ctx, "node", filepath.Join(installed, "node_modules", "@stoplight", "prism-cli", "dist", "index.js"),
		"proxy", "-h", "127.0.0.1", "-p", fmt.Sprint(address.Port), file, upstream)
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Prism: %w; it needs Node.js", err)
	}
	ended := make(chan struct{})
	var last error
	go func() {
		last = cmd.Wait()
		close(ended)
	}()
	p := &prism{url: "http://" + address.String(), stop: func() {
		_ = cmd.Process.Kill() // an error means that it is gone already
		<-ended
	}}
	deadline := time.After(startWithin)
	for {
		conn, err := net.DialTimeout("tcp", address.String(), time.Second)
		if err == nil {
			_ = conn.Close()
			return p, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("prism ended: %w: %s", last, said.tail())
		case <-deadline:
			p.stop()
			return nil, fmt.Errorf("prism does not listen after %s: %s", startWithin, said.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
