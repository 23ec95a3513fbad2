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
//	POST /u/<token>/undo                   takes that back
//	GET  /p/<token>                        the customer's own page: channels, purposes, how often
//	POST /p/<token>                        saves it
//	POST /v1/webhooks/sms/<ns>/<channel>   Twilio's status callbacks, signed; ?m= is the message's key; and
//	                                       text messages that come in, STOP among them
//	POST /v1/webhooks/line/<ns>/<channel>  LINE's events, signed
//	POST /v1/webhooks/email/<ns>/<channel>/ses, /sendgrid, /mailgun   what mail providers tell, signed
//	POST /v1/inbound/email                 a mail server's report, raw; with a write key
//	POST /v1/line/link                     where a customer goes to link a LINE account; with a write key
//	POST /v1/identify, /v1/track, …        the tracking protocol, with a write key; also /v1/batch
//	POST /v1/products                      what a shop says of its products, likewise
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
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Tokens makes and reads the tokens of links. It is a *content.Signer.
type Tokens interface {
	Sign(kind content.Kind, c content.Claims) (string, error)
	Verify(kind content.Kind, token string) (content.Claims, error)
	// VerifyBounce reads what names a message in the address that its bounces go to.
	VerifyBounce(token string) (content.BounceClaims, error)
	// AddressTag stands for an address where the address itself must not be written.
	AddressTag(address string) string
}

// Credentials knows by what a channel's callbacks are verified.
type Credentials interface {
	// WebhookSecret is Twilio's auth token, or LINE's channel secret, of a channel of that kind ("sms",
	// "line"), or what verifies a mail provider's calls ("email/ses" and the like). It is not ok where there is no such channel, or its Secret has none.
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
	// Purposes are what it uses addresses for, and asks customers about.
	Purposes []journey.Purpose
}

// Config is what a gateway works with.
type Config struct {
	Store *store.Store
	// Clock is of business time: receipts and the times in messages are by it.
	Clock clock.PassiveClock
	// PublicURL is the address that providers and customers reach the gateway under. Twilio's
	// signatures are made over it. It may have a path, whether or not a proxy takes it away.
	PublicURL   string
	Links       Tokens
	Credentials Credentials
	// WriteKeys, which may be nil for none, let facts in.
	WriteKeys *WriteKeys
	// Notify, which may be nil, is called when a scenario's numbers have changed. It must not wait.
	Notify func(ns, scenario string)
	// Alert, which may be nil, is told of what an operator of a channel should hear of. It must not wait.
	Alert func(ns, channel, reason string)
	// NotifyChannel, which may be nil, is called when mail servers refuse a channel's mails for reasons
	// of policy. It must not wait.
	NotifyChannel func(ns, channel string)
	// Amazon asks SNS for certificates and confirms subscriptions; nil for a client of its own.
	Amazon *http.Client
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
	intake    *intake
	tracks    turnstile
	misses    *misses
	slots     *slots
	handler   http.Handler

	tokens       usedTokens
	certificates certificates
}

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
	if c.Alert == nil {
		c.Alert = func(string, string, string) {}
	}
	if c.NotifyChannel == nil {
		c.NotifyChannel = func(string, string) {}
	}
	if c.Amazon == nil {
		c.Amazon = noRedirects()
	}
	if c.Shop == nil {
		c.Shop = func(string) Shop { return Shop{} }
	}
	g := &Gateway{
		Config: c, publicURL: strings.TrimRight(c.PublicURL, "/"), prefix: strings.TrimRight(u.EscapedPath(), "/"),
		misses: newMisses(), slots: newSlots(),
	}
	if g.tokens, err = newUsedTokens(); err != nil {
		return nil, err
	}
	g.writer = &writer{store: c.Store, log: c.Log, notify: c.Notify}
	g.intake = &intake{store: c.Store, clock: c.Clock, log: c.Log}
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
	mux.HandleFunc("POST /u/{token}/undo", g.undo)
	mux.HandleFunc("GET /p/{token}", g.showPreferences)
	mux.HandleFunc("POST /p/{token}", g.savePreferences)
	mux.HandleFunc("POST /v1/webhooks/sms/{ns}/{channel}", g.twilioCallback)
	mux.HandleFunc("POST /v1/webhooks/line/{ns}/{channel}", g.lineWebhook)
	mux.HandleFunc("POST /v1/webhooks/email/{ns}/{channel}/{provider}", g.emailWebhook)
	mux.HandleFunc("POST /v1/inbound/email", g.inboundEmail)
	mux.HandleFunc("POST /v1/line/link", g.linkLINE)
	g.facts(mux)
	limited := g.limit(measured(mux))

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
