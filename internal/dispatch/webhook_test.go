// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// hook is a system of a shop's that notes what it is told, and fails the first call of each id.
type hook struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string][]string // bodies, by id
}

func newHook(t *testing.T) *hook {
	h := &hook{calls: map[string][]string{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		h.mu.Lock()
		defer h.mu.Unlock()
		id := r.Header.Get("webhook-id")
		h.calls[id] = append(h.calls[id], string(body))
		if len(h.calls[id]) == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (f *fixture) hooked(h *hook) {
	f.Helper()
	hosts, err := webhook.ParseHosts(strings.TrimPrefix(h.URL, "http://"))
	f.ok(err)
	sender, err := webhook.New(webhook.Config{Allowed: hosts})
	f.ok(err)
	f.channels.Put(Ref{"shop", "webhook:"}, &Channel{Sender: sender, Kind: "webhook", Mode: ModeLive})
}

func TestWebhookStep(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		// Who has no address, gave no consent, and wants no messages is called about all the same: the call
		// is not to them. Nor is it one of the messages that a cap counts.
		f.exec(`DELETE FROM consents`)
		f.exec(`UPDATE customers SET email = NULL, attributes = '{"frequency": "none", "name": "a \"b\" <c>\n", "points": 7}' WHERE id = 'c00001'`)
		f.exec(`DELETE FROM customers WHERE id = 'c00002'`)
		h := newHook(t)
		f.hooked(h)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "webhook": {"url": "`+h.URL+`/in", "body": "{\"id\": \"{{ customer.id }}\", \"name\": \"{{ customer.name | default: 'none' }}\", \"points\": {{ customer.points }}}"}},
		  {"name": "b", "if": "steps.a.failed", "webhook": {"url": "`+h.URL+`/in"}}]`))
		f.finish(e)
		f.want("sent:2;skipped ConditionFalse:3;skipped CustomerGone:1;")
		h.mu.Lock()
		defer h.mu.Unlock()
		want := map[string]bool{`{"id":"c00000","name":"none","points":5}`: true, `{"id":"c00001","name":"a \"b\" \u003cc\u003e\n","points":7}`: true}
		for id, bodies := range h.calls {
			if len(bodies) != 2 || bodies[0] != bodies[1] || !want[bodies[0]] {
				t.Errorf("%s was called with %q", id, bodies)
			}
		}
		if len(h.calls) != 2 {
			t.Errorf("%d were called about", len(h.calls))
		}
	})
}

func TestWebhooksAreNoMessages(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		ch := f.channel("email")
		ch.Caps = []Cap{{Messages: 1, Per: 24 * time.Hour, Namespace: true}}
		f.channels.Put(mail, ch)
		f.channels.Put(Ref{"shop", "webhook:"}, f.channel("webhook"))
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "webhook": {"url": "https://shop.example/in"}}, {"name": "b", "wait": {"for": "1h"}, "email": {"channel": "mail", "subject": "s", "text": "t"}}]`))
		f.finish(e)
		f.clock.SetTime(monday.Add(2 * time.Hour))
		f.finish(e)
		f.want("sent:2;")
	})
}

func TestWebhookSaysWhatHappened(t *testing.T) {
	f := newFixture(t, testenv.SQLite(t))
	f.customers(1)
	f.provider.script = func(m *channel.Message, _ int) step {
		if got := string(m.Webhook.Body); got != `{"customer":"c00000","scenario":"winback","step":"a"}` {
			t.Errorf("the body is %s", got)
		}
		return step{out: channel.Outcome{End: channel.Sent}}
	}
	f.channels.Put(Ref{"shop", "webhook:"}, f.channel("webhook"))
	e := f.engine()
	f.fire(e, f.armed(`[{"name": "a", "webhook": {"url": "https://shop.example/in"}}]`))
	f.finish(e)
	f.want("sent:1;")
	for body, sentence := range map[string]string{
		`{"id": 1`:               "spec.steps[0].webhook.body: the body is no JSON document",
		`{"id": "{{ nobody }}"}`: "spec.steps[0].webhook.body: line 1: unknown variable nobody",
	} {
		err := f.refused(`[{"name": "a", "webhook": {"url": "https://shop.example/in", "body": "` + strings.ReplaceAll(body, `"`, `\"`) + `"}}]`)
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Errorf("%s is refused with %v", body, err)
		}
	}
}
