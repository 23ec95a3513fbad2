// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package channeltest has what the tests of the senders share.
package channeltest

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Main runs a package's tests and fails when goroutines are left behind.
func Main(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if f := flag.Lookup("test.fuzz"); f != nil && f.Value.String() != "" {
		os.Exit(code) // the fuzzer's own goroutines are still about
	}
	for range 300 {
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "%d goroutines are left, %d were there before\n", runtime.NumGoroutine(), before)
	_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	os.Exit(1)
}

// NoneOf fails when text holds one of the private values, whatever its case.
func NoneOf(t testing.TB, text string, private ...string) {
	t.Helper()
	for _, p := range private {
		if p != "" && strings.Contains(strings.ToLower(text), strings.ToLower(p)) {
			t.Errorf("%q holds %q", text, p)
		}
	}
}

// Server is an HTTP server that counts its connections.
type Server struct {
	*httptest.Server
	connections atomic.Int32
}

// NewServer starts one, which ends with the test.
func NewServer(t testing.TB, h http.HandlerFunc) *Server {
	t.Helper()
	s := &Server{Server: httptest.NewUnstartedServer(h)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// Connections is how many there have been.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// ClosedPort is an address where nobody listens.
func ClosedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
