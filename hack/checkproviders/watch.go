// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// exchange is one request with what Prism says is against the description in it and in its answer.
type exchange struct {
	method, path    string
	status          int
	request, answer []string
	// undescribed is an error whose status the description does not have; LINE tells of most in prose.
	undescribed bool
}

// watcher stands before Prism and reads what it says.
type watcher struct {
	url    string
	server *http.Server

	mu   sync.Mutex
	seen []exchange
}

func watch(prism string) (*watcher, error) {
	target, err := url.Parse(prism)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &watcher{url: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: w.note,
	}
	w.server = &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(l) }()
	return w, nil
}

func (w *watcher) close() { _ = w.server.Close() }

// take returns what was seen since the last time.
func (w *watcher) take() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

// violation is Prism's word for what is against a description.
type violation struct {
	Location []string `json:"location"`
	Severity string   `json:"severity"`
	Code     any      `json:"code"`
	Message  string   `json:"message"`
}

func (w *watcher) note(res *http.Response) error {
	x := exchange{method: res.Request.Method, path: res.Request.URL.Path, status: res.StatusCode}
	if text := res.Header.Get("Sl-Violations"); text != "" {
		var all []violation
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return fmt.Errorf("reading what Prism says: %w", err)
		}
		for _, v := range all {
			words := fmt.Sprintf("%s: %s", strings.Join(v.Location, "."), v.Message)
			switch {
			case twilioPath(x.path, v):
			case x.status >= 400 && strings.HasPrefix(v.Message, "Unable to match the returned status code"):
				x.undescribed = true
			case len(v.Location) > 0 && v.Location[0] == "response":
				x.answer = append(x.answer, words)
			default:
				x.request = append(x.request, words)
			}
		}
	}
	// Prism's own errors, such as for a path that the description does not have.
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		x.request = append(x.request, "Prism refuses it with "+res.Status)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, x)
	return nil
}

// twilioPath is what Twilio's description has wrong: its lists name pages by paths, in its own examples
// too, and calls them URIs in full.
func twilioPath(path string, v violation) bool {
	return strings.HasPrefix(path, "/2010-04-01/") && len(v.Location) == 3 && strings.HasSuffix(v.Location[2], "uri") &&
		strings.HasSuffix(v.Message, `must match format "uri"`)
}

// lines names the requests, each once.
func lines(seen []exchange) string {
	var out []string
	for _, x := range seen {
		if line := fmt.Sprintf("%s %s %d", x.method, x.path, x.status); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return strings.Join(out, ", ")
}

func join(words []string) string { return strings.Join(words, "\n  ") }
