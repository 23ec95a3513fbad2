// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateway is the HTTP that comes in: followed links, opened mails, withdrawn consent, and
// the callbacks of providers.
//
//	GET  /o/<token>                        the picture that tells of an open
//	GET  /l/<token>                        a tracked link: to its target
//	GET  /s/<code>                         a short link: likewise
//	GET  /u/<token>                        a page that asks whether to unsubscribe
//	POST /u/<token>                        unsubscribes: that page's button, and RFC 8058's one click
//	POST /v1/webhooks/sms/<ns>/<channel>   Twilio's status callbacks, signed; ?m= is the message's key
//	POST /v1/webhooks/line/<ns>/<channel>  LINE's events, signed
//	GET  /healthz, /readyz                 the process is up; the store answers
//
// What came in is a row in receipts, and, where it is the first of its kind, a time in the message's
// row, in one transaction that is over before the request is answered. While the store is away the
// answer is 503 with Retry-After, so that the provider asks again; only who follows a tracked link is
// sent on all the same, since a shop loses more by an error page than by a click that was not counted.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Verifier reads the tokens of links. It is a *content.Signer.
type Verifier interface {
	Verify(kind content.Kind, token string) (content.Claims, error)
}

// Credentials knows by what a channel's callbacks are verified.
type Credentials interface {
	// WebhookSecret is Twilio's auth token, or LINE's channel secret, of a channel of that kind ("sms",
	// "line"). It is not ok where there is no such channel, or its Secret has none.
	WebhookSecret(ns, channel, kind string) (secret string, ok bool)
}

// CredentialsFunc is a function that is Credentials.
type CredentialsFunc func(ns, channel, kind string) (string, bool)

// WebhookSecret calls f.
func (f CredentialsFunc) WebhookSecret(ns, channel, kind string) (string, bool) {
	return f(ns, channel, kind)
}

// Shop is what pages say about a shop.
type Shop struct {
	Name string
	// Language is of those whose browser asks for none that pages have; "ja" or "en".
	Language string
}

// Config is what a gateway works with.
type Config struct {
	Store *store.Store
	// Clock is of business time: receipts and the times in messages are by it.
	Clock clock.PassiveClock
	// PublicURL is the address that providers and customers reach the gateway under. Twilio's
	// signatures are made over it. It may have a path, whether or not a proxy takes it away.
	PublicURL   string
	Links       Verifier
	Credentials Credentials
	// Notify, which may be nil, is called when a scenario's numbers have changed. It must not wait.
	Notify func(ns, scenario string)
	// Shop, which may be nil, gives the name and language of a namespace's shop.
	Shop func(ns string) Shop
	Log  logr.Logger
}

// Gateway answers requests. Serve runs it as a server; it is an http.Handler for who has one.
type Gateway struct {
	Config

	publicURL string // without a slash at its end
	prefix    string // its path
	writer    *writer
	misses    *misses
	slots     chan struct{}
	handler   http.Handler
}

// requestsAtOnce bounds what a flood can take of memory and of the store's connections.
const requestsAtOnce = 512

// New makes a gateway.
func New(c Config) (*Gateway, error) {
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("public URL %q is not valid: write it like https://links.shop.example", c.PublicURL)
	}
	if c.Store == nil || c.Clock == nil || c.Links == nil || c.Credentials == nil {
		return nil, errors.New("a gateway needs a store, a clock, links and credentials")
	}
	if c.Notify == nil {
		c.Notify = func(string, string) {}
	}
	if c.Shop == nil {
		c.Shop = func(string) Shop { return Shop{} }
	}
	g := &Gateway{
		Config: c, publicURL: strings.TrimRight(c.PublicURL, "/"), prefix: strings.TrimRight(u.EscapedPath(), "/"),
		misses: newMisses(), slots: make(chan struct{}, requestsAtOnce),
	}
	g.writer = &writer{store: c.Store, log: c.Log, notify: c.Notify}
	g.handler = g.routes()
	return g, nil
}

func (g *Gateway) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /o/{token}", g.open)
	mux.HandleFunc("GET /l/{token}", g.click)
	mux.HandleFunc("GET /s/{code}", g.short)
	mux.HandleFunc("GET /u/{token}", g.askUnsubscribe)
	mux.HandleFunc("POST /u/{token}", g.unsubscribe)
	mux.HandleFunc("POST /v1/webhooks/sms/{ns}/{channel}", g.twilioCallback)
	mux.HandleFunc("POST /v1/webhooks/line/{ns}/{channel}", g.lineWebhook)
	limited := g.limit(mux)

	all := http.NewServeMux()
	all.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	all.HandleFunc("GET /readyz", g.ready)
	all.Handle("/", limited)
	return all
}

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // tokens are in the addresses
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	if g.prefix != "" && strings.HasPrefix(r.URL.EscapedPath(), g.prefix+"/") {
		http.StripPrefix(g.prefix, g.handler).ServeHTTP(w, r)
		return
	}
	g.handler.ServeHTTP(w, r)
}

// limit turns away what comes in faster than it can be worked off.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case g.slots <- struct{}{}:
			defer func() { <-g.slots }()
			next.ServeHTTP(w, r)
		default:
			unavailable(w)
		}
	})
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := g.Store.Ping(ctx); err != nil {
		g.Log.Error(err, "The store does not answer")
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// retryAfter is how many seconds a client is asked to wait while the store is away.
const retryAfter = "5"

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", retryAfter)
	http.Error(w, "try again in a moment", http.StatusServiceUnavailable)
}
