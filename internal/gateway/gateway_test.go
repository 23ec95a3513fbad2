// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
)

func TestNewRefuses(t *testing.T) {
	f := newSQLite(t)
	good := f.gateway.Config
	for name, change := range map[string]func(*Config){
		"no public URL":          func(c *Config) { c.PublicURL = "" },
		"one without a scheme":   func(c *Config) { c.PublicURL = "links.shop.example" },
		"one of another scheme":  func(c *Config) { c.PublicURL = "ftp://links.shop.example" },
		"one with a query":       func(c *Config) { c.PublicURL = "https://links.shop.example?x" },
		"no store":               func(c *Config) { c.Store = nil },
		"no clock":               func(c *Config) { c.Clock = nil },
		"nobody to verify links": func(c *Config) { c.Links = nil },
		"no credentials":         func(c *Config) { c.Credentials = nil },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
	c := good
	c.Notify, c.Shop = nil, nil
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	f.gateway = g
	wantStatus(t, f.get(f.token(content.Open, f.message("email", "mail", "sent"))), http.StatusOK)
	wantStatus(t, f.get(f.token(content.Unsubscribe, f.message("email", "mail", "sent"))), http.StatusOK)
}

func TestMethodsAndPaths(t *testing.T) {
	f := newSQLite(t)
	id := f.message("email", "mail", "sent")
	for name, tt := range map[string]struct {
		method, path string
		want         int
	}{
		"alive":                     {http.MethodGet, "/healthz", http.StatusOK},
		"ready":                     {http.MethodGet, "/readyz", http.StatusOK},
		"nothing at the root":       {http.MethodGet, "/", http.StatusNotFound},
		"a posted open":             {http.MethodPost, f.token(content.Open, id), http.StatusMethodNotAllowed},
		"a posted click":            {http.MethodPost, f.token(content.Click, id), http.StatusMethodNotAllowed},
		"a deleted unsubscription":  {http.MethodDelete, f.token(content.Unsubscribe, id), http.StatusMethodNotAllowed},
		"a webhook in a browser":    {http.MethodGet, smsPath, http.StatusMethodNotAllowed},
		"a webhook of another kind": {http.MethodPost, "/v1/webhooks/fax/shop/x", http.StatusNotFound},
	} {
		if w := f.do(request(tt.method, tt.path, "")); w.Code != tt.want {
			t.Errorf("%s: status %d, want %d", name, w.Code, tt.want)
		}
	}
}

// TestPublicURLWithAPath: a proxy may take the path away or leave it; Twilio signs it in any case.
func TestPublicURLWithAPath(t *testing.T) {
	f := newSQLite(t)
	f.gateway = f.open(publicURL + "/kaeru/")
	for name, before := range map[string]string{"taken away": "", "left": "/kaeru"} {
		id := f.message("sms", "sms-main", "sent")
		wantStatus(t, f.get(before+f.token(content.Click, id)), http.StatusFound)
		v := url.Values{"MessageSid": {"SM" + name}, "MessageStatus": {"delivered"}}
		path := smsPath + "?m=" + id.String()
		if got := f.sendCallback(before+path, signTwilio(secret, publicURL+"/kaeru"+path, v), v); got != http.StatusNoContent {
			t.Errorf("%s: status %d", name, got)
		}
		if got := f.marks(id); got.delivered == "" || got.clicked == "" {
			t.Errorf("%s: marked as %+v", name, got)
		}
	}
}

// TestStoreIsAway: whoever would ask again is asked to; who follows a link is not kept from the shop.
func TestStoreIsAway(t *testing.T) {
	f := newSQLite(t)
	id := f.message("email", "mail", "sent")
	if err := f.st.Close(); err != nil {
		t.Fatal(err)
	}
	v := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}
	body := `{"destination":"U0","events":[` + event("unfollow", 10) + `]}`
	callback := request(http.MethodPost, smsPath, v.Encode())
	callback.Header.Set("X-Twilio-Signature", signTwilio(secret, publicURL+smsPath, v))
	webhook := request(http.MethodPost, linePath, body)
	webhook.Header.Set("X-Line-Signature", signLINE(secret, body))
	for name, r := range map[string]*http.Request{
		"open":            request(http.MethodGet, f.token(content.Open, id), ""),
		"short link":      request(http.MethodGet, "/s/abc", ""),
		"unsubscribe?":    request(http.MethodGet, f.token(content.Unsubscribe, id), ""),
		"unsubscribe":     request(http.MethodPost, f.token(content.Unsubscribe, id), "List-Unsubscribe=One-Click"),
		"Twilio's":        callback,
		"LINE's":          webhook,
		"not ready (503)": request(http.MethodGet, "/readyz", ""),
	} {
		w := f.do(r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" && r.URL.Path != "/readyz" {
			t.Errorf("%s: status %d, Retry-After %q", name, w.Code, w.Header().Get("Retry-After"))
		}
	}
	wantStatus(t, f.get("/healthz"), http.StatusOK)
	wantStatus(t, f.get(f.token(content.Click, id)), http.StatusFound)
	if len(f.notified) != 0 {
		t.Errorf("told of %v", f.notified)
	}
}

func TestTooManyRequestsAtOnce(t *testing.T) {
	f := newSQLite(t)
	path := f.token(content.Open, uuid.New())
	ask := func(who string, want int) {
		t.Helper()
		r := request(http.MethodGet, path, "")
		r.RemoteAddr = who + ":1234"
		w := f.do(r)
		wantStatus(t, w, want)
		if want != http.StatusOK && w.Header().Get("Retry-After") == "" {
			t.Error("it does not say when to ask again")
		}
	}
	for range requestsOfOne {
		f.gateway.slots.take("198.51.100.7")
	}
	ask("198.51.100.7", http.StatusTooManyRequests)
	ask("198.51.100.8", http.StatusOK)
	for range requestsAtOnce - requestsOfOne {
		f.gateway.slots.take("")
	}
	ask("198.51.100.8", http.StatusServiceUnavailable)
	wantStatus(t, f.get("/healthz"), http.StatusOK)
	f.gateway.slots.give("198.51.100.7")
	ask("198.51.100.7", http.StatusOK)
	ask("198.51.100.8", http.StatusOK)
	for range requestsOfOne - 1 {
		f.gateway.slots.give("198.51.100.7")
	}
	if s := f.gateway.slots; s.all != requestsAtOnce-requestsOfOne || len(s.of) != 0 {
		t.Errorf("%d slots are taken, by %v", s.all, s.of)
	}
}

func TestServe(t *testing.T) {
	f := newSQLite(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.gateway.ServeListener(ctx, l) }()
	id := f.message("email", "mail", "sent")
	ask := func(path string, header http.Header) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		res, err := http.DefaultTransport.RoundTrip(r) // which follows no redirect
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	if got := ask(f.token(content.Click, id), http.Header{}); got != http.StatusFound {
		t.Errorf("a click: status %d", got)
	}
	if got := ask("/healthz", http.Header{"X-Long": {strings.Repeat("x", 64<<10)}}); got != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: status %d", got)
	}
	if got := f.marks(id); got.clicked == "" {
		t.Error("the click was not recorded")
	}
	if err := f.gateway.Serve(t.Context(), l.Addr().String()); err == nil {
		t.Error("two listen on one address")
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(shutdownTimeout + 5*time.Second):
		t.Fatal("the server goes on after its context has ended")
	}
}
