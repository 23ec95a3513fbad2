// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/channel/sms"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestRetryThroughTheSandbox loses the outcome of a message at each provider, before and after it took it, and has
// it sent again on request by the senders that go to production.
func TestRetryThroughTheSandbox(t *testing.T) {
	const (
		toLine = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`
		toSMS  = `[{"name": "a", "sms": {"channel": "text", "text": "t {{ links.unsubscribe }}"}}]`
	)
	tests := map[string]struct {
		steps string
		fault sandbox.Fault
		taken int
	}{
		"a mail that was taken":  {oneMail, sandbox.Fault{Provider: "smtp", Operation: "data", Effect: sandbox.FaultEffect{Accept: true, Drop: true}}, 2},
		"a push that was taken":  {toLine, sandbox.Fault{Provider: "line", Operation: "push", Effect: sandbox.FaultEffect{Accept: true, Drop: true}}, 1},
		"a push that was not":    {toLine, sandbox.Fault{Provider: "line", Operation: "push", Effect: sandbox.FaultEffect{Drop: true}}, 1},
		"a text that was not":    {toSMS, sandbox.Fault{Provider: "twilio", Operation: "create", Effect: sandbox.FaultEffect{Drop: true}}, 1},
		"a text that shows late": {toSMS, sandbox.Fault{Provider: "twilio", Operation: "create", Effect: sandbox.FaultEffect{Accept: true, Drop: true}}, 1},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				tt.fault.Match.Count = 1
				box, err := sandbox.Start(t.Context(), sandbox.Config{Faults: []sandbox.Fault{tt.fault}})
				f.ok(err)
				t.Cleanup(func() { f.ok(box.Close()) })
				f.customers(1)
				f.exec(`UPDATE customers SET phone = '+819012345678', line_user_id = 'U0123456789abcdef0123456789abcdef'`)
				f.exec(`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ('shop', 'c00000', 'sms', 'granted', 'test', 0)`)
				f.senders(box)
				e := f.engine()
				f.fire(e, f.armed(tt.steps))
				f.finish(e)
				// What LINE and Twilio tell at once, nobody asks after a death and a channel that comes back too late.
				f.exec(`UPDATE messages SET state = 'unknown', reason = 'OutcomeLost', provider_id = NULL WHERE state = 'sent'`)
				if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'unknown'`); n != 1 {
					t.Fatalf("its outcome is not lost: %s", f.states())
				}
				if refused, again := f.redrive(Redrive{Unknown: true}); again != 1 {
					t.Fatalf("refused: %q", refused)
				}
				f.finish(e)
				f.want("sent:1;")
				got, err := box.Client().All(t.Context(), sandbox.Query{})
				f.ok(err)
				if len(got) != tt.taken {
					t.Errorf("%d messages were taken, want %d", len(got), tt.taken)
				}
				if len(got) == 2 && (got[0].Key == "" || got[0].Key != got[1].Key) {
					t.Errorf("two mails have the keys %q and %q", got[0].Key, got[1].Key)
				}
			})
		}
	})
}

// senders puts the real senders in, towards a sandbox.
func (f *fixture) senders(box *sandbox.Sandbox) {
	f.Helper()
	host, port, err := net.SplitHostPort(box.URLs().SMTP)
	f.ok(err)
	number, err := strconv.Atoi(port)
	f.ok(err)
	toMail, err := email.New(email.Config{From: "Kaeru <news@shop.example>", Host: host, Port: number, TLS: email.Disabled})
	f.ok(err)
	toLine, err := line.New(line.Config{Endpoint: box.URLs().LINE, ChannelAccessToken: sandbox.DefaultLINEToken})
	f.ok(err)
	toSMS, err := sms.New(sms.Config{Endpoint: box.URLs().Twilio, AccountSID: sandbox.DefaultTwilioSID, AuthToken: sandbox.DefaultTwilioToken,
		From: "+815012345678", LookupDelays: []time.Duration{time.Millisecond}})
	f.ok(err)
	for kind, sender := range map[string]channel.Sender{"email": toMail, "line": toLine, "sms": toSMS} {
		f.channels.Put(Ref{"shop", map[string]string{"email": "mail", "line": "push", "sms": "text"}[kind]}, &Channel{Sender: sender, Kind: kind, Mode: ModeLive})
		f.Cleanup(func() { _ = sender.Close() })
	}
}
