// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// stage is how far a conversation has come.
type stage int

const (
	connecting     stage = iota // until the server has greeted
	securing                    // STARTTLS, or the handshake before everything
	introducing                 // EHLO
	authenticating              // AUTH
	naming                      // MAIL FROM
	addressing                  // RCPT TO
	offering                    // DATA, until 354
	writing                     // the mail, but not its final dot
	ending                      // the final dot is on its way
)

var stageNames = [...]string{"connecting", "TLS", "EHLO", "AUTH", "MAIL FROM", "RCPT TO", "DATA", "the mail", "the final dot"}

func (s stage) String() string { return stageNames[s] }

// stepError is an error with the stage it happened at.
type stepError struct {
	stage stage
	err   error
}

func (e *stepError) Error() string { return e.stage.String() + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

var (
	errNoSTARTTLS = errors.New("the server does not offer STARTTLS")
	errNoLogin    = errors.New("the server offers no login that can be used here")
)

// conn is one connection, used by one goroutine at a time.
type conn struct {
	raw  net.Conn // the socket, also below TLS
	smtp *smtp.Client
	// open is true while a transaction has begun and not ended, so that RSET is due.
	open bool
	// broken is true when nobody knows what the server will take the next line for.
	broken bool
	// reused is true when the connection has waited in the pool.
	reused bool
	idle   *time.Timer
}

// watch keeps a socket's deadline. When ctx ends the socket stops at once, unless the final dot has
// been sent: then it is given a little longer.
type watch struct {
	c       net.Conn
	timeout time.Duration

	mu       sync.Mutex
	ended    bool
	off      bool
	final    bool
	deadline time.Time
	stop     func() bool
}

// grace is how long the server's last word is awaited when the caller does not wait any more.
const grace = 10 * time.Second

func watching(ctx context.Context, c net.Conn, timeout time.Duration) *watch {
	w := &watch{c: c, timeout: timeout}
	w.renew()
	w.stop = context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
		w.apply()
	})
	return w
}

// renew gives the next step its time.
func (w *watch) renew() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = time.Now().Add(w.timeout)
	w.apply()
}

// finish gives the final dot its time.
func (w *watch) finish(timeout time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final = true
	w.deadline = time.Now().Add(timeout)
	w.apply()
}

func (w *watch) apply() {
	if w.off {
		return
	}
	d := w.deadline
	if w.ended {
		now := time.Now()
		d = now
		if w.final && w.deadline.After(now) {
			d = now.Add(min(grace, w.deadline.Sub(now)))
		}
	}
	_ = w.c.SetDeadline(d) // fails on a closed socket only, and that shows soon enough
}

// end takes the watch off: whoever has the socket next has nothing to do with ctx.
func (w *watch) end() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = true
}

// dial connects, secures, introduces and logs in.
func (s *Sender) dial(ctx context.Context) (*conn, error) {
	dialer := net.Dialer{Timeout: s.config.Timeout}
	raw, err := dialer.DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, &stepError{connecting, err}
	}
	w := watching(ctx, raw, s.config.Timeout)
	defer w.end()
	client, err := s.greet(ctx, raw, w)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return &conn{raw: raw, smtp: client}, nil
}

func (s *Sender) greet(ctx context.Context, raw net.Conn, w *watch) (*smtp.Client, error) {
	c := raw
	if s.config.TLS == Implicit {
		secured := tls.Client(raw, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, &stepError{securing, err}
		}
		c = secured
		w.renew()
	}
	client, err := smtp.NewClient(c, s.config.Host)
	if err != nil {
		return nil, &stepError{connecting, err}
	}
	w.renew()
	if err := client.Hello(s.config.HELO); err != nil {
		return nil, &stepError{introducing, err}
	}
	if s.config.TLS == STARTTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return nil, &stepError{securing, errNoSTARTTLS}
		}
		w.renew()
		if err := client.StartTLS(s.tls); err != nil {
			return nil, &stepError{securing, err}
		}
	}
	if s.config.Username == "" {
		return client, nil
	}
	w.renew()
	_, offered := client.Extension("AUTH")
	mechanism := s.mechanism(strings.Fields(offered))
	if mechanism == nil {
		return nil, &stepError{authenticating, errNoLogin}
	}
	if err := client.Auth(mechanism); err != nil {
		return nil, &stepError{authenticating, err}
	}
	return client, nil
}

// mechanism is the best login that the server offers. In the clear those that keep the password to
// themselves come first.
func (s *Sender) mechanism(offered []string) smtp.Auth {
	clear := s.config.TLS == Disabled
	order := []string{"PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"}
	if clear {
		order = []string{"SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"}
	}
	user, password := s.config.Username, s.config.Password
	for _, name := range order {
		if !slices.ContainsFunc(offered, func(o string) bool { return strings.EqualFold(o, name) }) {
			continue
		}
		switch name {
		case "PLAIN":
			return smtp.PlainAuth("", user, password, s.config.Host, clear)
		case "LOGIN":
			return smtp.LoginAuth(user, password, s.config.Host, clear)
		case "SCRAM-SHA-256":
			return smtp.ScramSHA256Auth(user, password)
		case "CRAM-MD5":
			return smtp.CRAMMD5Auth(user, password)
		}
	}
	return nil
}

// alive says that an idle connection is as it was left: a server that has spoken meanwhile has said
// that it closes.
func (c *conn) alive() bool {
	_ = c.raw.SetDeadline(time.Time{}) // the last one may have passed, and then nothing can be read
	pending, gone := peek(c.raw)
	return !pending && !gone
}

// quit takes leave, but does not wait long for the answer.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(time.Second))
	_ = c.smtp.Quit()
	_ = c.raw.Close()
}
