// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func TestSMTPLogin(t *testing.T) {
	s := start(t, sandbox.Config{SMTPSAddress: "127.0.0.1:0", RequireSMTPAuth: true})
	trust := gomail.WithTLSConfig(&tls.Config{RootCAs: s.CertPool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	with := func(kind gomail.SMTPAuthType, password string, more ...gomail.Option) []gomail.Option {
		return append([]gomail.Option{gomail.WithSMTPAuth(kind), gomail.WithUsername(sandbox.DefaultSMTPUser), gomail.WithPassword(password)}, more...)
	}
	good := sandbox.DefaultSMTPPassword
	tests := map[string]struct {
		address string
		options []gomail.Option
		want    string
	}{
		"plain":          {s.URLs().SMTP, with(gomail.SMTPAuthPlainNoEnc, good), ""},
		"login":          {s.URLs().SMTP, with(gomail.SMTPAuthLoginNoEnc, good), ""},
		"starttls":       {s.URLs().SMTP, with(gomail.SMTPAuthPlain, good, gomail.WithTLSPolicy(gomail.TLSMandatory), trust), ""},
		"implicit":       {s.URLs().SMTPS, with(gomail.SMTPAuthPlain, good, gomail.WithSSL(), trust), ""},
		"wrong password": {s.URLs().SMTP, with(gomail.SMTPAuthPlainNoEnc, "wrong"), "535"},
		"wrong login":    {s.URLs().SMTP, with(gomail.SMTPAuthLoginNoEnc, "wrong"), "535"},
		"nobody":         {s.URLs().SMTP, nil, "530"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := mailClient(t, tt.address, tt.options...).DialAndSend(mailTo(t, "a@example.jp", name, "text"))
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("got %v, want %s", err, tt.want)
			}
		})
	}
	if n := len(messages(t, s, sandbox.Query{})); n != 4 {
		t.Errorf("%d mails arrived, want 4", n)
	}
}

// The table of what go-mail makes of each failure is what a sender is built on.
func TestSMTPFaults(t *testing.T) {
	rule := func(operation string, e sandbox.FaultEffect) sandbox.Fault {
		return sandbox.Fault{Provider: "smtp", Operation: operation, Match: sandbox.FaultMatch{Count: 1}, Effect: e}
	}
	tests := map[string]struct {
		fault    sandbox.Fault
		wantCode int
		wantTemp bool
		arrived  int
	}{
		"451 at MAIL":                    {rule("mail", sandbox.FaultEffect{Status: 451}), 451, true, 0},
		"450 at RCPT":                    {rule("rcpt", sandbox.FaultEffect{Status: 450, Enhanced: "4.2.1"}), 450, true, 0},
		"550 at RCPT":                    {rule("rcpt", sandbox.FaultEffect{Status: 550, Enhanced: "5.1.1"}), 550, false, 0},
		"554 after the content":          {rule("data", sandbox.FaultEffect{Status: 554, Enhanced: "5.7.1"}), 554, false, 0},
		"421 at RCPT":                    {rule("rcpt", sandbox.FaultEffect{Status: 421}), 421, true, 0},
		"451 although taken":             {rule("data", sandbox.FaultEffect{Status: 451, Accept: true}), 451, true, 1},
		"cut at RCPT, before DATA":       {rule("rcpt", sandbox.FaultEffect{Drop: true}), 0, false, 0},
		"cut after the final dot, taken": {rule("data", sandbox.FaultEffect{Drop: true, Accept: true}), 0, false, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := start(t, sandbox.Config{Faults: []sandbox.Fault{tt.fault}})
			err := mailClient(t, s.URLs().SMTP).DialAndSend(mailTo(t, "a@example.jp", "s", "text"))
			var failed *gomail.SendError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v, want a send error", err)
			}
			if failed.ErrorCode() != tt.wantCode || failed.IsTemp() != tt.wantTemp {
				t.Errorf("code %d temporary %v, want %d %v: %v", failed.ErrorCode(), failed.IsTemp(), tt.wantCode, tt.wantTemp, err)
			}
			if want := tt.fault.Effect.Enhanced; want != "" && failed.EnhancedStatusCode() != want {
				t.Errorf("enhanced code %q, want %q", failed.EnhancedStatusCode(), want)
			}
			if n := len(messages(t, s, sandbox.Query{})); n != tt.arrived {
				t.Errorf("%d mails arrived, want %d", n, tt.arrived)
			}
			if err := mailClient(t, s.URLs().SMTP).DialAndSend(mailTo(t, "a@example.jp", "s", "text")); err != nil {
				t.Errorf("once the fault is over: %v", err)
			}
		})
	}
}

func TestSMTPConnectFaults(t *testing.T) {
	for name, e := range map[string]sandbox.FaultEffect{"421 greeting": {Status: 421}, "cut": {Drop: true}, "hello": {Status: 421}} {
		t.Run(name, func(t *testing.T) {
			operation := "connect"
			if name == "hello" {
				operation = name
			}
			s := start(t, sandbox.Config{Faults: []sandbox.Fault{{Provider: "smtp", Operation: operation, Effect: e}}})
			begun := time.Now()
			err := mailClient(t, s.URLs().SMTP).DialAndSend(mailTo(t, "a@example.jp", "s", "text"))
			if err == nil || time.Since(begun) > 3*time.Second {
				t.Errorf("got %v after %s, want a quick failure", err, time.Since(begun))
			}
			if e.Status != 0 && !strings.Contains(err.Error(), "421") {
				t.Errorf("got %v, want 421", err)
			}
		})
	}
}

// After 421 the server hangs up, so the same connection is of no more use.
func TestSMTP421HangsUp(t *testing.T) {
	s := start(t, sandbox.Config{Faults: []sandbox.Fault{{
		Provider: "smtp", Operation: "mail", Match: sandbox.FaultMatch{Count: 1}, Effect: sandbox.FaultEffect{Status: 421},
	}}})
	c := mailClient(t, s.URLs().SMTP)
	sc, err := c.DialToSMTPClientWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendWithSMTPClient(sc, mailTo(t, "a@example.jp", "s", "text")); err == nil {
		t.Fatal("the mail was taken")
	}
	if err := c.SendWithSMTPClient(sc, mailTo(t, "a@example.jp", "s", "text")); err == nil {
		t.Error("the connection still works after 421")
	}
}

func TestSMTPSlowAnswer(t *testing.T) {
	s := start(t, sandbox.Config{Faults: []sandbox.Fault{{
		Provider: "smtp", Operation: "data", Effect: sandbox.FaultEffect{AnswerDelay: sandbox.Duration(2 * time.Second)},
	}}})
	err := mailClient(t, s.URLs().SMTP, gomail.WithTimeout(300*time.Millisecond)).DialAndSend(mailTo(t, "a@example.jp", "s", "text"))
	if err == nil {
		t.Fatal("the client did not time out")
	}
	if n := len(messages(t, s, sandbox.Query{})); n != 1 {
		t.Errorf("%d mails arrived, want 1: the answer was slow, the mail was taken", n)
	}
}

func TestSMTPRecipients(t *testing.T) {
	s := start(t, sandbox.Config{Recipients: []sandbox.Recipient{
		{Channel: "email", ID: "gone@example.jp", State: "unknown"}, {Channel: "email", ID: "full@example.jp", State: "full"},
	}})
	for to, want := range map[string]string{"Gone@example.jp": "5.1.1", "full@example.jp": "4.2.2"} {
		err := mailClient(t, s.URLs().SMTP).DialAndSend(mailTo(t, to, "s", "text"))
		var failed *gomail.SendError
		if !errors.As(err, &failed) || failed.EnhancedStatusCode() != want {
			t.Errorf("%s: %v, want %s", to, err, want)
		}
	}
}
