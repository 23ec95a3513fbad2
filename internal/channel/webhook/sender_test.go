// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

const key = "0123456789abcdef0123456789abcdef"

func message(address string) *channel.Message {
	return &channel.Message{Key: uuid.MustParse("5f0c3e3b-3c34-5a3c-9d86-2e2ab6d1a0c1"), Customer: "c1",
		Webhook: &channel.Webhook{URL: address, Body: []byte(`{"customer":"c1"}`), Timeout: 2 * time.Second}}
}

func sender(t *testing.T, address string, secret string) *Sender {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Secret: []byte(secret), Allowed: Hosts{u.Host}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func begin(context.Context) error { return nil }

// TestSigned has the specification's own library verify a call and its repetition.
func TestSigned(t *testing.T) {
	for name, secret := range map[string]string{"bytes": key, "text": "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) + "\n"} {
		t.Run(name, func(t *testing.T) {
			verifier, err := standardwebhooks.NewWebhookRaw([]byte(key))
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			srv := channeltest.NewServer(t, func(_ http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					err = verifier.Verify(body, r.Header)
				}
				if err != nil || string(body) != `{"customer":"c1"}` || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s %v: %v", r.Method, body, r.Header, err)
				}
				ids = append(ids, r.Header.Get("webhook-id"))
			})
			s := sender(t, srv.URL, secret)
			if out := s.Send(t.Context(), message(srv.URL), begin); out.End != channel.Sent {
				t.Errorf("sent: %+v", out)
			}
			if out := s.Resolve(t.Context(), message(srv.URL)); out.End != channel.Sent {
				t.Errorf("resolved: %+v", out)
			}
			if len(ids) != 2 || ids[0] != ids[1] || ids[0] != "msg_5f0c3e3b-3c34-5a3c-9d86-2e2ab6d1a0c1" {
				t.Errorf("the calls' ids are %q", ids)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	tests := map[string]struct {
		status    int
		end       channel.End
		reason    string
		ambiguous bool
	}{
		"ok":           {200, channel.Sent, "", false},
		"no content":   {204, channel.Sent, "", false},
		"redirect":     {302, channel.Failed, channel.ReasonConfigurationWrong, false},
		"bad request":  {400, channel.Failed, channel.ReasonRefused, false},
		"unauthorized": {401, channel.Failed, channel.ReasonRefused, false},
		"gone":         {410, channel.Failed, channel.ReasonRefused, false},
		"timeout":      {408, channel.Retry, channel.ReasonProviderFailing, true},
		"too large":    {413, channel.Failed, channel.ReasonContentTooLarge, false},
		"too many":     {429, channel.Retry, channel.ReasonRateLimited, false},
		"error":        {500, channel.Retry, channel.ReasonProviderFailing, true},
		"unavailable":  {503, channel.Retry, channel.ReasonProviderFailing, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, "secret words")
			})
			out := sender(t, srv.URL, "").Send(t.Context(), message(srv.URL), begin)
			if out.End != tt.end || out.Reason != tt.reason || out.Ambiguous != tt.ambiguous {
				t.Errorf("%+v", out)
			}
			if out.End == channel.Retry && tt.status != 408 && out.RetryAfter != 7*time.Second {
				t.Errorf("again after %s", out.RetryAfter)
			}
			if strings.Contains(out.Detail, "secret") {
				t.Errorf("the detail tells what was answered: %s", out.Detail)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	srv := channeltest.NewServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // before that a server does not see that nobody waits any more
		<-r.Context().Done()
	})
	m := message(srv.URL)
	m.Webhook.Timeout = 50 * time.Millisecond
	if out := sender(t, srv.URL, "").Send(t.Context(), m, begin); out.End != channel.Retry || !out.Ambiguous {
		t.Errorf("silent: %+v", out)
	}
	srv.Close()
	if out := sender(t, srv.URL, "").Send(t.Context(), message(srv.URL), begin); out.End != channel.Retry || out.Ambiguous || out.Reason != channel.ReasonProviderUnreachable {
		t.Errorf("away: %+v", out)
	}
	refuse := func(context.Context) error { return context.Canceled }
	if out := sender(t, srv.URL, "").Send(t.Context(), message(srv.URL), refuse); out.Reason != channel.ReasonNotBegun {
		t.Errorf("not begun: %+v", out)
	}
	if out := sender(t, "https://shop.example", "").Send(t.Context(), message("https://other.example/in"), begin); out.End != channel.Failed || out.Reason != channel.ReasonMessageInvalid {
		t.Errorf("not allowed: %+v", out)
	}
}

func TestKeys(t *testing.T) {
	for secret, sentence := range map[string]string{
		"short":                  "the key has 5 bytes",
		strings.Repeat("x", 65):  "the key has 65 bytes",
		"whsec_%%%":              "no base64",
		"whsec_c2hvcnQ=":         "the key has 5 bytes",
		strings.Repeat("x", 100): "openssl rand -hex 32",
	} {
		if _, err := New(Config{Secret: []byte(secret)}); err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

func TestHosts(t *testing.T) {
	hosts, err := ParseHosts(" hooks.shop.example, *.Partner.example,local.example:8443,, 127.0.0.1:9000 ")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]bool{
		"https://hooks.shop.example/in":                true,
		"https://HOOKS.shop.example/in":                true,
		"https://hooks.shop.example:443/in":            true,
		"https://hooks.shop.example:8443/in":           false,
		"https://shop.example/in":                      false,
		"https://evil-hooks.shop.example/in":           false,
		"https://hooks.shop.example.evil.example/in":   false,
		"https://a.partner.example/":                   true,
		"https://a.b.partner.example/":                 true,
		"https://partner.example/":                     false,
		"https://evilpartner.example/":                 false,
		"https://local.example:8443/":                  true,
		"https://local.example/":                       false,
		"http://127.0.0.1:9000/":                       true,
		"http://127.0.0.1:9001/":                       false,
		"https://hooks.shop.example@evil.example/in":   false,
		"https://evil.example/?x=.partner.example":     false,
		"https://evil.example/#a.partner.example":      false,
		"https://evil.example\\@hooks.shop.example/in": false,
	} {
		u, err := url.Parse(address)
		if got := err == nil && hosts.Allow(u); got != want {
			t.Errorf("%s is allowed: %v", address, got)
		}
	}
	if (Hosts{}).Allow(&url.URL{Scheme: "https", Host: "shop.example"}) {
		t.Error("nobody was named, and somebody is allowed")
	}
	for _, list := range []string{"https://shop.example", "shop.example/in", "*", "*.", "a b", "a@b", "*.*.example"} {
		if hosts, err := ParseHosts(list); err == nil {
			t.Errorf("%q is taken as %v", list, hosts)
		}
	}
}
