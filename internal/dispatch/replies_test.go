// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// talk is a LINE account of the sandbox, and the reply tokens that its webhooks bring.
type talk struct {
	*fixture
	box    *sandbox.Sandbox
	sender *line.Sender
	tokens chan string
	said   int
}

func newTalk(t *testing.T) *talk {
	t.Helper()
	k := &talk{tokens: make(chan string, 10)}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := webhook.ParseRequest("secret", r)
		if err != nil {
			t.Error(err)
			return
		}
		for _, e := range got.Events {
			if m, ok := e.(webhook.MessageEvent); ok {
				k.tokens <- m.ReplyToken
			}
		}
	}))
	t.Cleanup(hook.Close)
	var err error
	k.box, err = sandbox.Start(t.Context(), sandbox.Config{LINE: []sandbox.LINEChannel{{
		Token: sandbox.DefaultLINEToken, DisplayName: "Kaeru", Secret: "secret", WebhookURL: hook.URL,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.box.Close() })
	k.sender, err = line.New(line.Config{Endpoint: k.box.URLs().LINE, ChannelAccessToken: sandbox.DefaultLINEToken, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.sender.Close() })
	return k
}

func lineUserOf(customer int) string { return fmt.Sprintf("U%032x", customer) }

// ask has a customer say something, which arrives with a token that lives for so long.
func (k *talk) ask(customer int, channel string, life time.Duration) {
	k.Helper()
	k.said++
	id := fmt.Sprintf("line:%d", k.said)
	status, err := k.box.Client().Happen(k.Context(), sandbox.LINEEvent{Type: "message", User: lineUserOf(customer), Text: "お茶"})
	k.ok(err)
	if status != http.StatusOK {
		k.Fatalf("status %d", status)
	}
	k.exec(`INSERT INTO line_replies (ns, event_id, channel, token, expires_at) VALUES ('shop', $1, $2, $3, $4)`,
		id, channel, <-k.tokens, time.Now().Add(life).UnixMilli())
	k.happen(store.Event{
		ID: id, CustomerID: fmt.Sprintf("c%05d", customer), Name: "LINE Message Received", OccurredAt: k.clock.Now(),
		Properties: []byte(`{"text": "お茶", "line_event_id": "` + id + `"}`),
	})
}

const (
	answer     = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "{{ entry.text }}ですね"}]}}]`
	answerLate = `[{"name": "a", "wait": {"for": "1m"}, "line": {"channel": "push", "messages": [{"type": "text", "text": "a"}]}}]`
	answers    = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "a"}]}},
		{"name": "b", "line": {"channel": "push", "messages": [{"type": "text", "text": "b"}]}}]`
)

func TestAnswersInLINE(t *testing.T) {
	lost := func(e sandbox.FaultEffect) []sandbox.Fault {
		return []sandbox.Fault{{Provider: "line", Operation: "reply", Match: sandbox.FaultMatch{Count: 1}, Effect: e}}
	}
	cases := map[string]struct {
		steps   string
		life    time.Duration // of the token
		channel string        // that it came in by
		change  func(*talk, *Channel)
		faults  []sandbox.Fault
		want    string
		replies int
		pushes  int
		cost    money.Amount
	}{
		"at once":                     {want: "sent:1;", replies: 1},
		"with a token that is over":   {life: -time.Second, want: "sent:1;", pushes: 1, cost: 3 * money.Unit},
		"through another account":     {channel: "other", want: "sent:1;", pushes: 1, cost: 3 * money.Unit},
		"twice":                       {steps: answers, want: "sent:2;", replies: 1, pushes: 1, cost: 3 * money.Unit},
		"with a used token":           {change: func(k *talk, _ *Channel) { k.exec(`UPDATE line_replies SET token = 'used'`) }, want: "sent:1;", pushes: 1, cost: 3 * money.Unit},
		"taken, and the answer lost":  {faults: lost(sandbox.FaultEffect{Accept: true, Drop: true}), want: "unknown OutcomeLost:1;", replies: 1},
		"taken, and answered 500":     {faults: lost(sandbox.FaultEffect{Accept: true, Status: 500}), want: "unknown OutcomeLost:1;", replies: 1},
		"not taken, and the line cut": {faults: lost(sandbox.FaultEffect{Drop: true}), want: "sent:1;", replies: 1},
		"not taken, and answered 500": {faults: lost(sandbox.FaultEffect{Status: 500}), want: "sent:1;", replies: 1},
		"too fast for the account":    {faults: lost(sandbox.FaultEffect{Status: 429}), want: "sent:1;", replies: 1},
		"who is not known to consent": {change: func(k *talk, _ *Channel) { k.exec(`DELETE FROM consents`) }, want: "sent:1;", replies: 1},
		"who is not, too late":        {life: -time.Second, change: func(k *talk, _ *Channel) { k.exec(`DELETE FROM consents`) }, want: "skipped NoConsent:1;"},
		"who has withdrawn":           {change: func(k *talk, _ *Channel) { k.exec(`UPDATE consents SET state = 'withdrawn'`) }, want: "skipped NoConsent:1;"},
		"in quiet hours, and capped": {change: func(k *talk, ch *Channel) {
			hours, err := schedule.ParseQuietHours("00:00", "23:59", "Asia/Tokyo")
			k.ok(err)
			ch.Quiet, ch.Caps = &Quiet{QuietHours: hours}, []Cap{{Messages: 1, Per: time.Hour}}
			k.exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, attempts, fence, parts, cost, due_at, planned_at, expires_at, ended_at)
VALUES ('018f0000-0000-7000-8000-000000000000', 'shop', 'other', '1', 'c00000', '', 's', '', 'r', 'push', 'line', 'sent', '', 1, 0, 1, 0, $1, $1, $1, $1)`, store.Millis(k.clock.Now()))
		}, want: "sent:2;", replies: 1},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range cases {
			t.Run(name, func(t *testing.T) {
				k := newTalk(t)
				k.fixture = f.in(t)
				k.customers(1)
				k.exec(`UPDATE customers SET line_user_id = $1`, lineUserOf(0))
				ch := &Channel{Sender: k.sender, Kind: "line", Mode: ModeLive, Fingerprint: name, Price: 3 * money.Unit}
				if tt.steps == "" {
					tt.steps = answer
				}
				if tt.life == 0 {
					tt.life = time.Minute
				}
				if tt.channel == "" {
					tt.channel = "push"
				}
				e := k.engine()
				k.ok(e.Arm(t.Context(), k.anybody(k.armed(tt.steps, on("LINE Message Received", nil)))))
				k.ask(0, tt.channel, tt.life)
				if tt.change != nil {
					tt.change(k, ch)
				}
				for _, rule := range tt.faults {
					_, err := k.box.Client().AddFault(t.Context(), rule)
					k.ok(err)
				}
				k.channels.Put(push, ch)
				k.finish(e)
				k.want(tt.want)
				got, err := k.box.Client().All(t.Context(), sandbox.Query{})
				k.ok(err)
				replies := 0
				for _, m := range got {
					if m.Line.Reply {
						replies++
					}
				}
				if replies != tt.replies || len(got)-replies != tt.pushes {
					t.Errorf("%d replies and %d pushes, want %d and %d", replies, len(got)-replies, tt.replies, tt.pushes)
				}
				if n := k.count(`SELECT SUM(cost) FROM messages`); n != int(tt.cost) {
					t.Errorf("cost %d, want %d", n, tt.cost)
				}
				k.exec(`UPDATE line_replies SET expires_at = 0`)
				e.swept = time.Time{}
				k.ok(e.tick(t.Context()))
				if n := k.count(`SELECT COUNT(*) FROM line_replies`); n != 0 {
					t.Errorf("%d tokens are kept", n)
				}
			})
		}
	})
}

func TestNoAnswerAfterAWait(t *testing.T) {
	k := newTalk(t)
	k.fixture = newFixture(t, testenv.SQLite(t))
	k.customers(1)
	k.exec(`UPDATE customers SET line_user_id = $1`, lineUserOf(0))
	k.channels.Put(push, &Channel{Sender: k.sender, Kind: "line", Mode: ModeLive, Fingerprint: "1"})
	e := k.engine()
	k.ok(e.Arm(t.Context(), k.anybody(k.armed(answerLate, on("LINE Message Received", nil)))))
	k.ask(0, "push", time.Minute)
	k.finish(e)
	k.want("")
	k.exec(`UPDATE line_replies SET expires_at = 0`) // as time does
	k.clock.SetTime(monday.Add(time.Minute))
	k.finish(e)
	k.want("sent:1;")
	got, err := k.box.Client().All(t.Context(), sandbox.Query{})
	k.ok(err)
	if len(got) != 1 || got[0].Line.Reply {
		t.Errorf("%+v", got)
	}
}

// A process that dies after LINE took its answer leaves a message that is asked about with its token, and never
// pushed, however late.
func TestKilledWhileAnswering(t *testing.T) {
	tests := map[string]struct {
		dies step
		want string
	}{
		"before the beginning": {step{diesBefore: true}, "sent:1;"},
		"after the beginning":  {step{diesBegun: true}, "sent:1;"},
		"after it was taken":   {step{diesTaken: true}, "sent:1;"},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				f.channels.Put(push, f.channel("line"))
				f.customers(1)
				var tokens []string
				f.provider.script = func(m *channel.Message, n int) step {
					tokens = append(tokens, m.Line.ReplyToken)
					if n == 1 {
						return tt.dies
					}
					return step{out: channel.Outcome{End: channel.Sent}}
				}
				killed := f.engine()
				f.ok(killed.Arm(t.Context(), f.anybody(f.armed(answer, on("LINE Message Received", nil)))))
				f.exec(`INSERT INTO line_replies (ns, event_id, channel, token, expires_at) VALUES ('shop', 'line:1', 'push', 'token', $1)`, time.Now().Add(time.Minute).UnixMilli())
				f.happen(store.Event{ID: "line:1", CustomerID: "c00000", Name: "LINE Message Received", OccurredAt: monday, Properties: []byte(`{"text": "x", "line_event_id": "line:1"}`)})
				f.ok(killed.tick(t.Context()))
				f.ok(killed.tick(t.Context()))
				f.await("the death", func() bool {
					f.provider.mu.Lock()
					defer f.provider.mu.Unlock()
					return len(tokens) == 1
				})
				if !tt.dies.diesBefore {
					f.await("the beginning", func() bool { return f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sending'`) == 1 })
					f.exec(`UPDATE line_replies SET expires_at = 0`) // far too late
				}
				f.expire()
				next := f.engine()
				f.ok(next.Arm(t.Context(), f.anybody(f.armed(answer, on("LINE Message Received", nil)))))
				next.swept = time.Time{}
				f.finish(next)
				f.want(tt.want)
				close(f.provider.graves)
				killed.workers.Wait()
				f.want(tt.want)
				if len(tokens) != 2 || tokens[0] != "token" || tokens[1] != "token" {
					t.Errorf("the provider saw %q", tokens)
				}
				f.taken()
			})
		}
	})
}
