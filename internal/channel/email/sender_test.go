// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

const (
	recipient = "hanako.yamada@customer.example"
	password  = "s3cr3t-smtp-passw0rd"
	customer  = "customer-4711"
	subject   = "花子さん、使い心地はいかがですか"
	text      = "先日はお買い上げありがとうございました。クーポン AUTUMN15 をどうぞ。"
	link      = "https://shop.example/u/secret-token"
)

func message() *channel.Message {
	return &channel.Message{Key: uuid.New(), Customer: customer, To: recipient,
		Email: &channel.Email{Subject: subject, Text: text, HTML: "<p>" + text + "</p>", UnsubscribeURL: link}}
}

// patience is long where an answer comes, and short where none does.
const (
	patience = 20 * time.Second
	hurry    = 200 * time.Millisecond
)

func config(port int) Config {
	return Config{From: "カエル商店 <news@shop.example>", ReplyTo: "help@shop.example", ReturnPath: "bounces@shop.example",
		Host: "127.0.0.1", Port: port, TLS: Disabled, Timeout: patience, FinalTimeout: patience}
}

func sender(t *testing.T, c Config) *Sender {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// pauses
const (
	none = iota
	brief
	lasting
)

type want struct {
	end            channel.End
	reason, id     string
	suppress, slow bool
	pause          int
	after          time.Duration
	begun          int
}

func checkOutcome(t *testing.T, o channel.Outcome, w want) {
	t.Helper()
	got := want{end: o.End, reason: o.Reason, id: o.ProviderID, suppress: o.Suppress, slow: o.Slow, after: o.RetryAfter, begun: w.begun}
	if o.Pause != nil {
		got.pause = lasting
		if !o.Pause.Until.IsZero() {
			got.pause = brief
		}
		if o.Pause.Reason != o.Reason {
			t.Errorf("pause %+v", o.Pause)
		}
	}
	if got != w {
		t.Errorf("got  %+v\nwant %+v\ndetail %q", got, w, o.Detail)
	}
	if o.End != channel.Sent && o.Detail == "" {
		t.Error("an outcome that is not Sent needs a detail")
	}
	channeltest.NoneOf(t, o.Detail+o.Reason, recipient, "hanako", password, "kaeru-user", customer, subject, text, link, "secret-token", "AUTUMN15 をどうぞ")
}

func TestOutcomes(t *testing.T) {
	login := func(c *Config) { c.Username, c.Password = "kaeru-user", password }
	unknown := want{end: channel.Unknown, reason: channel.ReasonOutcomeLost, begun: 1}
	unreachable := want{end: channel.Retry, reason: channel.ReasonProviderUnreachable}
	failing := want{end: channel.Retry, reason: channel.ReasonProviderFailing}
	tests := map[string]struct {
		replies map[string]string
		change  func(*Config)
		want    want
	}{
		"sent":          {nil, nil, want{end: channel.Sent, id: "4F1B2C3D", begun: 1}},
		"sent, no name": {map[string]string{".": "250 Fine"}, nil, want{end: channel.Sent, begun: 1}},
		"logged in":     {nil, login, want{end: channel.Sent, id: "4F1B2C3D", begun: 1}},

		"greeting refused":    {map[string]string{"GREET": "554 5.7.1 Go away drop"}, nil, want{end: channel.Retry, reason: channel.ReasonPolicyRefused, pause: brief}},
		"greeting busy":       {map[string]string{"GREET": "421 4.3.2 Busy drop"}, nil, want{end: channel.Retry, reason: channel.ReasonProviderFailing, slow: true}},
		"greeting throttled":  {map[string]string{"GREET": "421 4.7.0 Too many connections drop"}, nil, want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"greeting dropped":    {map[string]string{"GREET": "drop"}, nil, unreachable},
		"greeting silent":     {map[string]string{"GREET": "silence"}, nil, unreachable},
		"greeting is no SMTP": {map[string]string{"GREET": "HTTP/1.1 400 Bad Request"}, nil, failing},
		"no STARTTLS":         {nil, func(c *Config) { c.TLS = STARTTLS }, want{end: channel.Retry, reason: channel.ReasonTLSFailed, pause: lasting}},
		"STARTTLS is none":    {map[string]string{"EHLO": "250-mx\r\n250 STARTTLS", "STARTTLS": "220 Go ahead\r\nnonsense"}, func(c *Config) { c.TLS = STARTTLS }, want{end: channel.Retry, reason: channel.ReasonTLSFailed, pause: brief}},
		"wrong password":      {map[string]string{"AUTH": "535 5.7.8 Authentication failed for kaeru-user " + password}, login, want{end: channel.Retry, reason: channel.ReasonCredentialsInvalid, pause: lasting}},
		"login is down":       {map[string]string{"AUTH": "454 4.7.0 Temporary authentication failure"}, login, failing},
		"no login offered":    {map[string]string{"EHLO": "250 mx"}, login, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: lasting}},
		"odd login offered":   {map[string]string{"EHLO": "250-mx\r\n250 AUTH NTLM"}, login, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: lasting}},

		"MAIL: login wanted":    {map[string]string{"MAIL": "530 5.7.0 Authentication required"}, nil, want{end: channel.Retry, reason: channel.ReasonCredentialsInvalid, pause: lasting}},
		"MAIL: sender refused":  {map[string]string{"MAIL": "553 5.1.8 Sender domain not found"}, nil, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: lasting}},
		"MAIL: policy":          {map[string]string{"MAIL": "550 5.7.1 Not yours"}, nil, want{end: channel.Retry, reason: channel.ReasonPolicyRefused, pause: lasting}},
		"MAIL: 451":             {map[string]string{"MAIL": "451 4.3.0 Try later"}, nil, failing},
		"MAIL: dropped":         {map[string]string{"MAIL": "drop"}, nil, unreachable},
		"RCPT: 421":             {map[string]string{"RCPT": "421 4.3.2 Shutting down drop"}, nil, want{end: channel.Retry, reason: channel.ReasonProviderFailing, slow: true}},
		"RCPT: greylisted":      {map[string]string{"RCPT": "451 4.7.1 Greylisting in action"}, nil, want{end: channel.Retry, reason: channel.ReasonRecipientUnreachable, after: 5 * time.Minute}},
		"RCPT: throttled":       {map[string]string{"RCPT": "450 4.7.28 Rate limit for " + recipient}, nil, want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"RCPT: 450":             {map[string]string{"RCPT": "450 4.2.1 Mailbox busy"}, nil, want{end: channel.Retry, reason: channel.ReasonRecipientUnreachable}},
		"RCPT: full for now":    {map[string]string{"RCPT": "452 4.2.2 Mailbox full"}, nil, want{end: channel.Retry, reason: channel.ReasonMailboxFull}},
		"RCPT: full":            {map[string]string{"RCPT": "552 5.2.2 Mailbox full"}, nil, want{end: channel.Failed, reason: channel.ReasonMailboxFull}},
		"RCPT: no such user":    {map[string]string{"RCPT": "550 5.1.1 <" + recipient + ">: Recipient address rejected"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"RCPT: in capitals":     {map[string]string{"RCPT": "550 5.1.1 <" + strings.ToUpper(recipient) + "> unknown"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"RCPT: several lines":   {map[string]string{"RCPT": "550-5.1.1 The email account that you tried to reach\r\n550 5.1.1 does not exist"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"RCPT: disabled":        {map[string]string{"RCPT": "550 5.2.1 Disabled"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"RCPT: in words":        {map[string]string{"RCPT": "550 Unknown user " + recipient}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"RCPT: 550 and no more": {map[string]string{"RCPT": "550 Requested action not taken"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid}},
		"RCPT: relaying":        {map[string]string{"RCPT": "554 Relay access denied"}, nil, want{end: channel.Failed, reason: channel.ReasonPolicyRefused, pause: brief}},
		"RCPT: policy":          {map[string]string{"RCPT": "550 5.7.1 Rejected"}, nil, want{end: channel.Failed, reason: channel.ReasonPolicyRefused, pause: brief}},
		"RCPT: no route":        {map[string]string{"RCPT": "550 5.4.1 No answer from host"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientUnreachable}},
		"RCPT: contradiction":   {map[string]string{"RCPT": "450 5.1.1 Who knows"}, nil, want{end: channel.Retry, reason: channel.ReasonRecipientUnreachable}},
		"RCPT: dropped":         {map[string]string{"RCPT": "drop"}, nil, unreachable},
		"RCPT: silent":          {map[string]string{"RCPT": "silence"}, nil, unreachable},
		"DATA: 451":             {map[string]string{"DATA": "451 4.3.0 Later"}, nil, failing},
		"DATA: 554":             {map[string]string{"DATA": "554 5.5.1 No valid recipients"}, nil, want{end: channel.Failed, reason: channel.ReasonRefused}},
		"DATA: dropped":         {map[string]string{"DATA": "drop"}, nil, unreachable},

		"dot: 451":         {map[string]string{".": "451 4.3.0 Queue full"}, nil, want{end: channel.Retry, reason: channel.ReasonProviderFailing, begun: 1}},
		"dot: 421":         {map[string]string{".": "421 4.3.0 Shutting down drop"}, nil, want{end: channel.Retry, reason: channel.ReasonProviderFailing, slow: true, begun: 1}},
		"dot: policy":      {map[string]string{".": "550 5.7.26 Unauthenticated mail is not accepted"}, nil, want{end: channel.Failed, reason: channel.ReasonPolicyRefused, pause: lasting, begun: 1}},
		"dot: too large":   {map[string]string{".": "552 5.3.4 Message too big"}, nil, want{end: channel.Failed, reason: channel.ReasonContentTooLarge, begun: 1}},
		"dot: content":     {map[string]string{".": "554 5.6.0 Malformed: " + text}, nil, want{end: channel.Failed, reason: channel.ReasonContentRefused, begun: 1}},
		"dot: spam":        {map[string]string{".": "554 Looks like spam: " + subject + " " + link}, nil, want{end: channel.Failed, reason: channel.ReasonContentFiltered, begun: 1}},
		"dot: no user":     {map[string]string{".": "550 5.1.1 Unknown"}, nil, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true, begun: 1}},
		"dot: dropped":     {map[string]string{".": "drop"}, nil, unknown},
		"dot: silent":      {map[string]string{".": "silence"}, nil, unknown},
		"dot: nonsense":    {map[string]string{".": "hello?"}, nil, unknown},
		"dot: not a reply": {map[string]string{".": "354 More?"}, nil, unknown},
	}
	for name, tt := range tests {
		for _, kind := range []string{"one by one", "pipelined", "pipelined, strict"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				srv := &script{replies: tt.replies, pipelining: kind != "one by one", strict: kind == "pipelined, strict"}
				c := config(srv.serve(t))
				if tt.change != nil {
					tt.change(&c)
				}
				if strings.HasSuffix(name, "silent") || name == "dot: nonsense" {
					c.Timeout, c.FinalTimeout = hurry, hurry
				}
				s, begun := sender(t, c), 0
				o := s.Send(t.Context(), message(), func(context.Context) error { begun++; return nil })
				checkOutcome(t, o, tt.want)
				if begun != tt.want.begun {
					t.Errorf("begun %d times, want %d", begun, tt.want.begun)
				}
				if got := srv.arrived(); got != begun {
					t.Errorf("%d mails were ended, and %d were begun", got, begun)
				}
			})
		}
	}
}

// What the server does before the dot shows before the dot is sent: then nothing is ambiguous.
func TestBeforeTheDot(t *testing.T) {
	tests := map[string]struct {
		body string
		want want
	}{
		"hung up": {"drop", want{end: channel.Retry, reason: channel.ReasonProviderUnreachable}},
		"421":     {"421 4.3.2 Shutting down drop", want{end: channel.Retry, reason: channel.ReasonProviderFailing, slow: true}},
		"552":     {"552 5.3.4 Too big", want{end: channel.Failed, reason: channel.ReasonContentTooLarge}},
		"250":     {"250 Already?", want{end: channel.Retry, reason: channel.ReasonProviderFailing}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := &script{replies: map[string]string{"body": tt.body}}
			o := sender(t, config(srv.serve(t))).Send(t.Context(), message(), func(context.Context) error {
				time.Sleep(50 * time.Millisecond) // a database has its own pace
				return nil
			})
			checkOutcome(t, o, tt.want)
			if srv.arrived() != 0 {
				t.Error("the dot was sent")
			}
		})
	}
}

func TestNotBegun(t *testing.T) {
	srv := &script{replies: map[string]string{}}
	s := sender(t, config(srv.serve(t)))
	o := s.Send(t.Context(), message(), func(context.Context) error { return errors.New("the lease is lost") })
	checkOutcome(t, o, want{end: channel.Retry, reason: channel.ReasonNotBegun})
	if o.Detail != "the lease is lost" || srv.arrived() != 0 {
		t.Errorf("%+v, %d mails", o, srv.arrived())
	}
	ctx, cancel := context.WithCancel(t.Context())
	o = s.Send(ctx, message(), func(context.Context) error { cancel(); return nil })
	checkOutcome(t, o, want{end: channel.Retry, reason: channel.ReasonInterrupted})
	if srv.arrived() != 0 {
		t.Error("a mail was sent")
	}
	if o = s.Send(t.Context(), message(), nil); o.End != channel.Sent {
		t.Errorf("%+v", o)
	}
}

func TestContextEnds(t *testing.T) {
	tests := map[string]struct {
		verb string
		want want
	}{
		"before the dot": {"RCPT", want{end: channel.Retry, reason: channel.ReasonInterrupted}},
		"in the dial":    {"GREET", want{end: channel.Retry, reason: channel.ReasonInterrupted}},
		// The server's last word is awaited all the same, as long as FinalTimeout.
		"after the dot": {".", want{end: channel.Unknown, reason: channel.ReasonOutcomeLost}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := &script{replies: map[string]string{tt.verb: "silence"}}
			c := config(srv.serve(t))
			c.Timeout, c.FinalTimeout = time.Minute, 300*time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			checkOutcome(t, sender(t, c).Send(ctx, message(), nil), tt.want)
			if d := time.Since(start); d > 5*time.Second || tt.verb == "." && d < 250*time.Millisecond {
				t.Errorf("it took %v", d)
			}
		})
	}
}

func TestRefusedHere(t *testing.T) {
	srv := &script{}
	s := sender(t, config(srv.serve(t)))
	invalid := want{end: channel.Failed, reason: channel.ReasonMessageInvalid}
	noAddress := want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}
	tests := map[string]struct {
		change func(*channel.Message)
		want   want
	}{
		"no content":            {func(m *channel.Message) { m.Email = nil }, invalid},
		"no body":               {func(m *channel.Message) { m.Email.Text, m.Email.HTML = "", "" }, invalid},
		"no key":                {func(m *channel.Message) { m.Key = uuid.Nil }, invalid},
		"http unsubscribe":      {func(m *channel.Message) { m.Email.UnsubscribeURL = "http://shop.example/u" }, invalid},
		"unsubscribe injection": {func(m *channel.Message) { m.Email.UnsubscribeURL = link + ">\r\nBcc: x@example.com" }, invalid},
		"header of ours":        {func(m *channel.Message) { m.Email.Headers = map[string]string{"bcc": "x@example.com"} }, invalid},
		"header injection":      {func(m *channel.Message) { m.Email.Headers = map[string]string{"X-Kaeru": "a\r\nBcc: x@example.com"} }, invalid},
		"header name injection": {func(m *channel.Message) { m.Email.Headers = map[string]string{"X: a\r\nBcc": "x@example.com"} }, invalid},
		"no address":            {func(m *channel.Message) { m.To = "hanako" }, noAddress},
		"two addresses":         {func(m *channel.Message) { m.To = recipient + ", x@example.com" }, noAddress},
		"address injection":     {func(m *channel.Message) { m.To = recipient + ">\r\nRCPT TO:<x@example.com" }, noAddress},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := message()
			tt.change(m)
			o := s.Send(t.Context(), m, func(context.Context) error { t.Error("it was begun"); return nil })
			o.Detail = strings.ReplaceAll(o.Detail, "hanako.", "") // must not be there; checked next
			checkOutcome(t, o, tt.want)
		})
	}
	if n, _ := srv.seen(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	srv := &script{replies: map[string]string{}}
	s := sender(t, config(srv.serve(t)))
	send := func(want channel.End) {
		t.Helper()
		if o := s.Send(t.Context(), message(), nil); o.End != want {
			t.Fatalf("%+v", o)
		}
	}
	send(channel.Sent)
	send(channel.Sent)
	srv.set("RCPT", "550 5.1.1 Unknown")
	send(channel.Failed)
	srv.set("RCPT", usual["RCPT"])
	send(channel.Sent)
	srv.set(".", "451 4.3.0 Later")
	send(channel.Retry)
	srv.set(".", usual["."])
	send(channel.Sent)
	n, verbs := srv.seen()
	// RSET only where a transaction was left open; no NOOP at all.
	if want := "[EHLO MAIL RCPT DATA . MAIL RCPT DATA . MAIL RCPT RSET MAIL RCPT DATA . MAIL RCPT DATA . MAIL RCPT DATA .]"; n != 1 || verbs != want {
		t.Errorf("%d connections\ngot  %s\nwant %s", n, verbs, want)
	}
}

func TestConnectionsOutliveTheirDeadline(t *testing.T) {
	srv := &script{}
	c := config(srv.serve(t))
	c.Timeout, c.FinalTimeout = hurry, hurry
	s := sender(t, c)
	for range 2 {
		if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
			t.Fatalf("%+v", o)
		}
		time.Sleep(hurry + 20*time.Millisecond)
	}
	if n, _ := srv.seen(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// SMTPUTF8 is asked for only where an address needs it: a server that has it may relay to one that
// has not.
func TestForeignAddresses(t *testing.T) {
	with := &script{replies: map[string]string{"EHLO": "250-mx.example\r\n250-8BITMIME\r\n250 SMTPUTF8"}}
	s, m := sender(t, config(with.serve(t))), message()
	for _, to := range []string{recipient, "花子@example.jp", recipient} {
		m.To = to
		if o := s.Send(t.Context(), m, nil); o.End != channel.Sent {
			t.Fatalf("%+v", o)
		}
	}
	var asked []bool
	for _, line := range with.lines {
		if strings.HasPrefix(line, "MAIL") {
			asked = append(asked, strings.Contains(line, "SMTPUTF8"))
		}
	}
	if fmt.Sprint(asked) != "[false true false]" {
		t.Errorf("asked for: %v", asked)
	}
	m.To = "花子@example.jp"
	checkOutcome(t, sender(t, config((&script{}).serve(t))).Send(t.Context(), m, nil),
		want{end: channel.Failed, reason: channel.ReasonRecipientUnreachable})
}

func TestStaleConnectionsAreReplaced(t *testing.T) {
	tests := map[string]func(*testing.T, *script, *Sender){
		"hung up meanwhile, seen": func(t *testing.T, srv *script, s *Sender) {
			closeServerSide(t, s)
			time.Sleep(20 * time.Millisecond)
		},
		"hung up meanwhile, not seen": func(t *testing.T, srv *script, s *Sender) {
			closeServerSide(t, s)
			s.pool.idle[0].raw = deaf{s.pool.idle[0].raw}
		},
		"says 421 at the next mail": func(_ *testing.T, srv *script, _ *Sender) {
			srv.mu.Lock()
			defer srv.mu.Unlock()
			srv.once = map[string]string{"MAIL": "421 4.4.2 Idle too long drop"}
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			srv := &script{}
			s := sender(t, config(srv.serve(t)))
			if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
				t.Fatal(o)
			}
			spoil(t, srv, s)
			begun := 0
			o := s.Send(t.Context(), message(), func(context.Context) error { begun++; return nil })
			if n, _ := srv.seen(); o.End != channel.Sent || begun != 1 || n != 2 {
				t.Errorf("%+v, begun %d times, %d connections", o, begun, n)
			}
		})
	}
}

func TestQueueID(t *testing.T) {
	tests := map[string]string{
		"2.0.0 Ok: queued as 4F1B2C3D":                             "4F1B2C3D",
		"OK id=1sXyZ0-0001Ab-2C":                                   "1sXyZ0-0001Ab-2C",
		"Ok 0102018f5d6c7b8a-1a2b3c4d-0000-0000-0000-000000000000": "0102018f5d6c7b8a-1a2b3c4d-0000-0000-0000-000000000000",
		"2.0.0 OK  1718000000 d2e1a72fcca58-7041 - gsmtp":          "",
		"2.0.0 I'll put a note on your screen":                     "",
		"":                                                         "",
	}
	for reply, want := range tests {
		if got := queueID(reply); got != want {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}

func TestPoolHoldsItsLimit(t *testing.T) {
	srv := &script{}
	c := config(srv.serve(t))
	c.MaxConnections = 3
	s := sender(t, c)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 10 {
				if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wg.Wait()
	if n, _ := srv.seen(); n > 3 {
		t.Errorf("%d connections, want 3 at most", n)
	}
	if srv.arrived() != 120 {
		t.Errorf("%d mails", srv.arrived())
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	srv := &script{}
	c := config(srv.serve(t))
	c.IdleTimeout = 20 * time.Millisecond
	s := sender(t, c)
	s.Send(t.Context(), message(), nil)
	for range 200 {
		if _, verbs := srv.seen(); strings.HasSuffix(verbs, "QUIT]") {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	_, verbs := srv.seen()
	t.Errorf("the connection stays: %s", verbs)
}

func TestClosedSender(t *testing.T) {
	s := sender(t, config((&script{}).serve(t)))
	s.Send(t.Context(), message(), nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkOutcome(t, s.Send(t.Context(), message(), nil), want{end: channel.Retry, reason: channel.ReasonInterrupted})
}

func TestResolveIsUnknown(t *testing.T) {
	checkOutcome(t, sender(t, config(25)).Resolve(t.Context(), message()), want{end: channel.Unknown, reason: channel.ReasonOutcomeLost})
}

func TestNothingListens(t *testing.T) {
	var port int
	address := channeltest.ClosedPort(t)
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	checkOutcome(t, sender(t, config(port)).Send(t.Context(), message(), nil), want{end: channel.Retry, reason: channel.ReasonProviderUnreachable})
}
