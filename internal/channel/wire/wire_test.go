// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

func TestEndpoint(t *testing.T) {
	tests := map[string]struct {
		given, want string
	}{
		"usual":               {"", "https://api.example"},
		"given":               {"https://proxy.example/line", "https://proxy.example/line"},
		"loopback by name":    {"http://localhost:8025", "http://localhost:8025"},
		"loopback v4":         {"http://127.0.0.1:8025", "http://127.0.0.1:8025"},
		"loopback v6":         {"http://[::1]:8025", "http://[::1]:8025"},
		"plain http":          {"http://api.example", ""},
		"looks like it":       {"http://localhost.example", ""},
		"no scheme":           {"api.example", ""},
		"another scheme":      {"ftp://api.example", ""},
		"credentials in it":   {"https://u:s3cr3t@api.example", ""},
		"query":               {"https://api.example?x=1", ""},
		"no URL":              {"https://api.example/%zz", ""},
		"credentials, no URL": {"https://u:s3cr3t@api.example:%zz", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			u, err := Endpoint(tt.given, "https://api.example")
			if (err == nil) != (tt.want != "") || err == nil && u.String() != tt.want {
				t.Errorf("%v %v", u, err)
			}
			if err != nil {
				channeltest.NoneOf(t, err.Error(), "s3cr3t")
			}
		})
	}
}

func TestLinger(t *testing.T) {
	tests := map[string]struct {
		ends, timeout, want time.Duration
	}{
		"the context stays":     {time.Hour, 15 * time.Second, 15 * time.Second},
		"the context ends":      {2 * time.Second, 15 * time.Second, 2*time.Second + grace},
		"the timeout is sooner": {2 * time.Second, 3 * time.Second, 3 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithTimeout(t.Context(), tt.ends)
				defer stop()
				start := time.Now()
				out, cancel := Linger(ctx, tt.timeout)
				defer cancel()
				<-out.Done()
				if d := time.Since(start); d != tt.want {
					t.Errorf("%v, want %v", d, tt.want)
				}
			})
		})
	}
}

func TestExchange(t *testing.T) {
	upload := strings.Repeat("x", 8<<20)
	tests := map[string]struct {
		handler   http.HandlerFunc
		body      string
		status    int
		ambiguous bool
	}{
		"answered": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418) }, "hello", 418, false},
		"answered at length": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			_, _ = io.WriteString(w, upload)
		}, "hello", 503, false},
		"read and cut": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, "hello", 0, true},
		// The end of the request never left, so nobody can have taken it.
		"cut while it was written": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, upload, 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, tt.handler)
			transport := NewTransport(1)
			defer transport.CloseIdleConnections()
			ctx, x := With(t.Context(), t.Context(), nil)
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if res, err := Client(transport, nil).Do(req); err == nil {
				_ = res.Body.Close()
			}
			if !x.Tried || x.Status != tt.status || x.Ambiguous() != tt.ambiguous {
				t.Errorf("status %d, ambiguous %v, %v", x.Status, x.Ambiguous(), x.Err)
			}
		})
	}
}
