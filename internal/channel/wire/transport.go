// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 90 * time.Second
)

// NewTransport keeps as many connections as there are messages sent at a time. It speaks HTTP/1.1:
// a connection carries one request, so whether that was written is known.
func NewTransport(concurrency int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     idleTimeout,
		Protocols:           &protocols,
	}
}

// Client is an HTTP client over base that follows no redirects: a provider's API has none, and
// credentials would go along. Requests report to the Exchange of their context. With a target, they
// go to its scheme and host whatever their own.
func Client(base http.RoundTripper, target *url.URL) *http.Client {
	return &http.Client{
		Transport:     &watched{base: base, target: target},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type watched struct {
	base   http.RoundTripper
	target *url.URL
}

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.target != nil {
		req = req.Clone(req.Context())
		req.URL.Scheme, req.URL.Host, req.Host = w.target.Scheme, w.target.Host, ""
	}
	x, ok := req.Context().Value(exchangeKey{}).(*Exchange)
	if !ok {
		return nil, errors.New("wire: the request has no exchange")
	}
	return x.roundTrip(w.base, req)
}

// Endpoint parses a provider's base URL. Plain HTTP is for loopback only.
func Endpoint(given, usual string) (*url.URL, error) {
	if given == "" {
		given = usual
	}
	u, err := url.Parse(given)
	if err != nil {
		return nil, errors.New("endpoint is not a URL: write it like " + usual)
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("endpoint is not the base of an API: write it like %s", usual)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("endpoint at %s is plain http: write https; http is for loopback only", u.Host)
	}
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// grace is how long a request goes on after its caller's context has ended: its answer is worth
// more than the seconds it takes, because without it nobody knows whether the message was taken.
const grace = 5 * time.Second

// Linger returns a context for a request that is given timeout in all, and grace once ctx has ended.
func Linger(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-out.Done():
		}
	})
	return out, func() { stop(); cancel() }
}
