// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"errors"
	"net"
	"strconv"
	"testing"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func start(t *testing.T, c sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	c.SMTPSAddress = "127.0.0.1:0"
	box, err := sandbox.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	return box
}

func sandboxed(t *testing.T, box *sandbox.Sandbox, mode TLSMode) Config {
	t.Helper()
	address := box.URLs().SMTP
	if mode == Implicit {
		address = box.URLs().SMTPS
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	c := config(0)
	c.Port, _ = strconv.Atoi(port)
	c.TLS, c.RootCAs = mode, box.CertPool()
	c.Username, c.Password = sandbox.DefaultSMTPUser, sandbox.DefaultSMTPPassword
	c.Timeout, c.FinalTimeout = 0, 0
	return c
}

func TestLoginAndTLS(t *testing.T) {
	box := start(t, sandbox.Config{RequireSMTPAuth: true})
	tests := map[string]struct {
		mode   TLSMode
		change func(*Config)
		reason string
		pause  int
	}{
		"STARTTLS":           {STARTTLS, nil, "", none},
		"implicit":           {Implicit, nil, "", none},
		"in the clear":       {Disabled, nil, "", none},
		"wrong password":     {STARTTLS, func(c *Config) { c.Password = password }, channel.ReasonCredentialsInvalid, lasting},
		"no login":           {STARTTLS, func(c *Config) { c.Username, c.Password = "", "" }, channel.ReasonCredentialsInvalid, lasting},
		"untrusted":          {STARTTLS, func(c *Config) { c.RootCAs = nil }, channel.ReasonTLSFailed, brief},
		"untrusted implicit": {Implicit, func(c *Config) { c.RootCAs = nil }, channel.ReasonTLSFailed, brief},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := sandboxed(t, box, tt.mode)
			if tt.change != nil {
				tt.change(&c)
			}
			s := sender(t, c)
			o := s.Send(t.Context(), message(), nil)
			_, err := s.Check(t.Context())
			if tt.reason == "" {
				if o.End != channel.Sent || err != nil {
					t.Errorf("%+v, %v", o, err)
				}
				// The connection is kept over TLS, too.
				if o = s.Send(t.Context(), message(), nil); o.End != channel.Sent || len(s.pool.idle) != 1 {
					t.Errorf("%+v, %d idle", o, len(s.pool.idle))
				}
				return
			}
			checkOutcome(t, o, want{end: channel.Retry, reason: tt.reason, pause: tt.pause})
			if name == "no login" {
				return // the server lets anybody connect
			}
			var e *channel.CheckError
			if !errors.As(err, &e) || e.Reason != tt.reason || e.Permanent != (tt.pause == lasting) || e.Message == "" {
				t.Errorf("%+v", err)
			}
			channeltest.NoneOf(t, err.Error(), password, sandbox.DefaultSMTPPassword)
		})
	}
}

func TestThroughTheSandbox(t *testing.T) {
	box := start(t, sandbox.Config{Recipients: []sandbox.Recipient{{Channel: "email", ID: "gone@example.jp", State: "unknown"}}})
	c := sandboxed(t, box, STARTTLS)
	c.BounceToken = func(key uuid.UUID, _ string) string { return key.String()[:8] }
	s := sender(t, c)
	m := message()
	if o := s.Send(t.Context(), m, nil); o.End != channel.Sent {
		t.Fatalf("%+v", o)
	}
	got, err := box.Client().All(t.Context(), sandbox.Query{})
	if err != nil || len(got) != 1 || got[0].To != recipient || got[0].Key != m.Key.String()+"@shop.example" ||
		got[0].From != "bounces+"+m.Key.String()[:8]+"@shop.example" {
		t.Errorf("%+v %v", got, err)
	}
	m = message()
	m.To = "gone@example.jp"
	checkOutcome(t, s.Send(t.Context(), m, nil), want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true})
	if a, err := s.Check(t.Context()); err != nil || a.Name != s.address() || a.Quota != nil {
		t.Errorf("%+v %v", a, err)
	}
}

// A connection cut after the server took the mail is Unknown, and the mail is there once.
func TestLostAnswersThroughTheSandbox(t *testing.T) {
	for name, mode := range map[string]TLSMode{"clear": Disabled, "TLS": STARTTLS} {
		t.Run(name, func(t *testing.T) {
			box := start(t, sandbox.Config{Faults: []sandbox.Fault{{Provider: "smtp", Operation: "data",
				Match: sandbox.FaultMatch{Count: 1}, Effect: sandbox.FaultEffect{Accept: true, Drop: true}}}})
			s := sender(t, sandboxed(t, box, mode))
			checkOutcome(t, s.Send(t.Context(), message(), nil), want{end: channel.Unknown, reason: channel.ReasonOutcomeLost})
			if got, err := box.Client().All(t.Context(), sandbox.Query{}); err != nil || len(got) != 1 {
				t.Errorf("%d mails, %v", len(got), err)
			}
		})
	}
}
