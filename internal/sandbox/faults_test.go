// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"
	gomail "github.com/wneessen/go-mail"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// TestMailComesBack holds that a mail that was taken is followed by a report to its return path, over
// SMTP and over HTTP, in the form that RFC 3464 and RFC 5965 want.
func TestMailComesBack(t *testing.T) {
	for preset, want := range map[string][]string{
		"dsn-hard":      {"report-type=delivery-status", "Final-Recipient: rfc822; a@example.jp", "Action: failed", "Status: 5.1.1"},
		"dsn-soft":      {"report-type=delivery-status", "Status: 4.2.2"},
		"dsn-policy":    {"report-type=delivery-status", "Status: 5.7.1"},
		"arf-complaint": {"report-type=feedback-report", "Feedback-Type: abuse", "Original-Rcpt-To: <a@example.jp>"},
	} {
		t.Run(preset, func(t *testing.T) {
			server := start(t, sandbox.Config{})
			posted := make(chan []byte, 1)
			inbound := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				posted <- body
			}))
			t.Cleanup(inbound.Close)
			for _, returns := range []string{"smtp://" + server.URLs().SMTP, inbound.URL} {
				s := start(t, sandbox.Config{Returns: returns, Presets: []string{preset}})
				m := mailTo(t, "a@example.jp", "まとめ", "text")
				if err := m.EnvelopeFrom("bounces+1@shop.example"); err != nil {
					t.Fatal(err)
				}
				m.SetMessageIDWithValue("1@shop.example")
				if err := mailClient(t, s.URLs().SMTP).DialAndSend(m); err != nil {
					t.Fatal(err)
				}
				if n := len(messages(t, s, sandbox.Query{To: "a@example.jp"})); n != 1 {
					t.Errorf("%d mails were taken, want 1", n)
				}
				var raw []byte
				if strings.HasPrefix(returns, "http") {
					raw = <-posted
				} else {
					eventually(t, "the report", func() bool { return len(messages(t, server, sandbox.Query{})) == 1 })
					got := messages(t, server, sandbox.Query{})[0]
					if got.To != "bounces+1@shop.example" || got.From != "" {
						t.Errorf("the report is from %q to %q", got.From, got.To)
					}
					raw = source(t, server)
				}
				checkReport(t, raw, want)
			}
		})
	}
}

func source(t *testing.T, s *sandbox.Sandbox) []byte {
	t.Helper()
	res, err := http.Get(s.URLs().Inbox + "api/messages/1/raw")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func checkReport(t *testing.T, raw []byte, want []string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		t.Fatalf("%s %v", kind, err)
	}
	var types []string
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, p.Header.Get("Content-Type"))
	}
	if len(types) != 3 || types[2] != "text/rfc822-headers" {
		t.Errorf("the parts are %q", types)
	}
	for _, w := range append(want, "Message-ID: <1@shop.example>") {
		if !strings.Contains(string(raw), w) {
			t.Errorf("%q is not in\n%s", w, raw)
		}
	}
}

// hook collects the webhooks of LINE's whose signature is right.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	events []webhook.EventInterface
	forged int
}

func newHook(t *testing.T) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		c, err := webhook.ParseRequest("line-secret", r)
		if err != nil {
			h.forged++
			w.WriteHeader(http.StatusForbidden)
			return
		}
		h.events = append(h.events, c.Events...)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) got() (events []webhook.EventInterface, forged int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]webhook.EventInterface(nil), h.events...), h.forged
}

func TestLINEUsersDoSomething(t *testing.T) {
	h := newHook(t)
	account := sandbox.LINEChannel{Name: "main", Token: sandbox.DefaultLINEToken, DisplayName: "Shop", Secret: "line-secret", WebhookURL: h.URL}
	s := start(t, sandbox.Config{LINE: []sandbox.LINEChannel{account}, Presets: []string{"line-unfollow:count=1"}})
	c, ctx := s.Client(), t.Context()
	api := lineAPI(t, s, sandbox.DefaultLINEToken)
	if _, _, err := pushText(api, user, "text", uuid.NewString()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the unfollow", func() bool { events, _ := h.got(); return len(events) == 1 })
	events, _ := h.got()
	if e, ok := events[0].(webhook.UnfollowEvent); !ok || e.Source.(webhook.UserSource).UserId != user || e.WebhookEventId == "" || e.Timestamp == 0 {
		t.Errorf("the event is %#v", events[0])
	}
	if m, _, err := pushText(api, user, "text", uuid.NewString()); err != nil || m.StatusCode != http.StatusOK {
		t.Errorf("a push to who has blocked the account: %v", err)
	}
	if got := messages(t, s, sandbox.Query{}); got[1].Status != "blocked" {
		t.Errorf("it is %s, want blocked", got[1].Status)
	}
	if _, err := c.AddPreset(ctx, "line-webhook-twice:count=1"); err != nil {
		t.Fatal(err)
	}
	for _, e := range []sandbox.LINEEvent{{Type: "follow"}, {Type: "message", Text: "茶"}, {Type: "postback", Data: "a=1"}} {
		e.User = user
		if status, err := c.Happen(ctx, e); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d %v", e.Type, status, err)
		}
	}
	events, _ = h.got()
	if len(events) != 5 {
		t.Fatalf("%d events, want the unfollow, the follow twice, a message and a postback", len(events))
	}
	first, second := events[1].(webhook.FollowEvent), events[2].(webhook.FollowEvent)
	if !first.Follow.IsUnblocked || first.WebhookEventId != second.WebhookEventId {
		t.Errorf("the follows are %+v and %+v", first, second)
	}
	if e := events[3].(webhook.MessageEvent); e.Message.(webhook.TextMessageContent).Text != "茶" || e.ReplyToken == "" {
		t.Errorf("the message is %+v", e)
	}
	if e := events[4].(webhook.PostbackEvent); e.Postback.Data != "a=1" {
		t.Errorf("the postback is %+v", e)
	}
	if _, err := c.AddPreset(ctx, "line-webhook-forged"); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Happen(ctx, sandbox.LINEEvent{Type: "follow", User: user}); err != nil || status != http.StatusForbidden {
		t.Errorf("a forged webhook: %d %v", status, err)
	}
	for want, e := range map[string]sandbox.LINEEvent{
		"write follow, unfollow": {Type: "sleep", User: user},
		"is no LINE user id":     {Type: "follow", User: "hanako"},
		"write one of main":      {Type: "follow", User: user, Channel: "other"},
	} {
		if _, err := c.Happen(ctx, e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
}

func TestTwilioCallbacksForgedAndTwice(t *testing.T) {
	for preset, want := range map[string][2]int{"twilio-callback-forged": {2, 2}, "twilio-callback-twice": {4, 0}} {
		t.Run(preset, func(t *testing.T) {
			r := newReceiver(t)
			s := start(t, quick(sandbox.Config{Presets: []string{preset}}))
			p := sms("+819012345678", "やあ").SetStatusCallback(r.URL + "/cb")
			if _, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(p); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the callbacks", func() bool { forms, _ := r.got(); return len(forms) == want[0] })
			if _, bad := r.got(); bad != want[1] {
				t.Errorf("%d callbacks have a wrong signature, want %d", bad, want[1])
			}
		})
	}
}

func TestSMTPCertificateExpired(t *testing.T) {
	s := start(t, sandbox.Config{Presets: []string{"smtp-tls:count=1"}})
	trust := gomail.WithTLSConfig(&tls.Config{RootCAs: s.CertPool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	send := func() error {
		return mailClient(t, s.URLs().SMTP, gomail.WithTLSPolicy(gomail.TLSMandatory), trust).DialAndSend(mailTo(t, "a@example.jp", "s", "text"))
	}
	var invalid *tls.CertificateVerificationError
	if err := send(); !errors.As(err, &invalid) {
		t.Errorf("got %v, want a certificate that is not valid", err)
	}
	if err := send(); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestPresetsByAPI(t *testing.T) {
	s, ctx := start(t, sandbox.Config{}), t.Context()
	c := s.Client()
	all, err := c.Presets(ctx)
	if err != nil || len(all) != len(sandbox.FaultPresets()) {
		t.Fatalf("%d presets, %v", len(all), err)
	}
	for _, p := range all {
		if _, err := c.AddPreset(ctx, p.Name); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if got, err := c.Faults(ctx); err != nil || len(got) != len(all) {
		t.Errorf("%d in force, %v", len(got), err)
	}
	if err := c.RemoveFault(ctx, "line-500"); err != nil {
		t.Error(err)
	}
	if _, err := c.AddPreset(ctx, "line-501"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a name that does not exist: %v", err)
	}
}
