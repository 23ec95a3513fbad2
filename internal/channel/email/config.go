// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package email sends mails through an SMTP server.
package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
)

// TLSMode says when TLS begins.
type TLSMode string

const (
	// STARTTLS upgrades the connection, and refuses a server that does not offer it.
	STARTTLS TLSMode = "STARTTLS"
	// Implicit begins with TLS, as on port 465.
	Implicit TLSMode = "Implicit"
	// Disabled sends everything in the clear, the password too.
	Disabled TLSMode = "Disabled"
)

// Config is a mail channel.
type Config struct {
	// From is an address with or without a name.
	From string
	// ReplyTo is the same, or empty.
	ReplyTo string
	// ReturnPath is where bounces go: bounces@shop.example becomes bounces+<token>@shop.example. Empty
	// for From's address, which tells no bounce from another.
	ReturnPath string
	// BounceToken signs what names a message in ReturnPath; without it bounces name none.
	BounceToken func(message uuid.UUID, to string) string

	Host string
	// Port is 0 for 587, or 465 with Implicit.
	Port int
	// TLS is STARTTLS where empty.
	TLS TLSMode
	// RootCAs trusts more than the system does; nil for the system's roots.
	RootCAs *x509.CertPool
	// Username and Password are both empty for a server without a login.
	Username, Password string
	// HELO is how we introduce ourselves; empty for From's domain.
	HELO string

	// DKIM signs the mails; nil leaves that to the server.
	DKIM *DKIM
	// Resolver is asked whether the key is published; nil for the system's.
	Resolver TXTResolver

	// MaxConnections is how many mails are sent at a time at most; 0 for 8.
	MaxConnections int
	// Timeout is for one step of the conversation; 0 for 30 seconds.
	Timeout time.Duration
	// FinalTimeout is for the server's word on a whole mail; 0 for a minute. When it ends nobody
	// knows whether the mail was taken, so it is better long.
	FinalTimeout time.Duration
	// IdleTimeout closes connections that have nothing to do; 0 for 30 seconds.
	IdleTimeout time.Duration
}

func (c Config) withDefaults() Config {
	if c.TLS == "" {
		c.TLS = STARTTLS
	}
	if c.Port == 0 {
		c.Port = 587
		if c.TLS == Implicit {
			c.Port = 465
		}
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 8
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.FinalTimeout <= 0 {
		c.FinalTimeout = time.Minute
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 30 * time.Second
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return c
}

// Sender sends through one SMTP server.
type Sender struct {
	config     Config
	from       mail.Address
	replyTo    *mail.Address
	returnPath string
	domain     string
	signer     *signer // nil where mails are not signed
	tls        *tls.Config
	pool       *pool
}

var _ channel.Sender = (*Sender)(nil)

// New makes a sender. It does not speak to the server.
func New(c Config) (*Sender, error) {
	c = c.withDefaults()
	s := &Sender{config: c}
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		return nil, errors.New(`from is not a mail address: write it like "Kaeru Shop <news@shop.example>"`)
	}
	s.from = *from
	_, s.domain, _ = cutAddress(from.Address)
	if c.ReplyTo != "" {
		if s.replyTo, err = mail.ParseAddress(c.ReplyTo); err != nil {
			return nil, errors.New("replyTo is not a mail address: write it like help@shop.example")
		}
	}
	if c.ReturnPath != "" {
		path, err := mail.ParseAddress(c.ReturnPath)
		if err != nil || path.Name != "" || strings.Contains(path.Address, "+") {
			return nil, errors.New("returnPath is not a plain mail address without +: write it like bounces@shop.example")
		}
		s.returnPath = path.Address
		if local, _, _ := cutAddress(s.returnPath); len(local) > maxReturnLocal {
			return nil, fmt.Errorf("returnPath has more than %d characters before the @, and what names the message goes behind them: write it like bounces@shop.example", maxReturnLocal)
		}
	}
	switch {
	case c.Host == "" || strings.ContainsAny(c.Host, " \t\r\n/:"):
		return nil, errors.New("smtp.host is not a host name: write it like smtp.shop.example, without the port")
	case c.Port < 1 || c.Port > 65535:
		return nil, fmt.Errorf("smtp.port %d is not a port: write 587 or 465", c.Port)
	case c.TLS != STARTTLS && c.TLS != Implicit && c.TLS != Disabled:
		return nil, fmt.Errorf("smtp.tls %q is not known: write STARTTLS, Implicit or Disabled", c.TLS)
	case (c.Username == "") != (c.Password == ""):
		return nil, errors.New("username or password is empty: put both into the Secret, or take the Secret away")
	}
	if c.DKIM != nil {
		if s.signer, err = newSigner(c.DKIM, s.domain); err != nil {
			return nil, err
		}
	}
	if s.config.HELO == "" {
		s.config.HELO = s.domain
	}
	s.tls = &tls.Config{ServerName: c.Host, RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12}
	s.pool = newPool(c.MaxConnections, c.IdleTimeout, s.dial)
	return s, nil
}

func (s *Sender) address() string {
	return net.JoinHostPort(s.config.Host, strconv.Itoa(s.config.Port))
}

// maxReturnLocal leaves room for a plus sign and a token in the 64 octets of a local part.
const maxReturnLocal = 64 - 1 - content.BounceTokenSize

// envelopeFrom names the message, so that a bounce does. Keys can be worked out by who knows what
// they are made of, so the name is a signed one.
func (s *Sender) envelopeFrom(key uuid.UUID, to string) string {
	address := s.from.Address
	if local, domain, ok := cutAddress(s.returnPath); ok {
		address = s.returnPath
		if s.config.BounceToken != nil {
			address = local + "+" + s.config.BounceToken(key, to) + "@" + domain
		}
	}
	return path(address)
}

// Close ends idle connections; one that is in use ends with its mail.
func (s *Sender) Close() error {
	s.pool.close()
	return nil
}

// Resolve cannot know: SMTP has no way to ask.
func (s *Sender) Resolve(context.Context, *channel.Message) channel.Outcome {
	return channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost, Detail: "SMTP has no way to ask what became of a mail"}
}
