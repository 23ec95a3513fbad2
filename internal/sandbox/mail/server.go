// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mail is a double of a mail provider's submission server.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// Domain is what the server calls itself.
const Domain = "sandbox.kaeru.example"

// DefaultMaxBytes is the largest mail taken, as most providers have it.
const DefaultMaxBytes = 25 << 20

// User may submit mail.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// Options are the server's.
type Options struct {
	Users []User
	// RequireAuth refuses MAIL from a client that has not logged in.
	RequireAuth bool
	// MaxBytes is the largest mail taken; 0 is 25 MiB.
	MaxBytes int64
	// Returns is where bounces and complaints go: smtp://host:port, or an http(s) address that takes
	// them as message/rfc822; empty for nowhere.
	Returns string
	// TLS holds the certificate for STARTTLS and implicit TLS.
	TLS *tls.Config
	// Expired is what the fault of the operation tls shows in its place.
	Expired *tls.Certificate
}

// Server takes mail and records it.
type Server struct {
	options Options
	log     *record.Log
	people  *people.Book
	faults  *fault.Book
	smtp    *smtp.Server
	stop    context.CancelFunc
	stopped context.Context
	returns *returns
}

// New makes a server; Serve it on as many listeners as wanted.
func New(o Options, l *record.Log, book *people.Book, faults *fault.Book) *Server {
	s := &Server{options: o, log: l, people: book, faults: faults}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.returns = newReturns(o.Returns)
	srv := smtp.NewServer(smtp.BackendFunc(s.newSession))
	srv.Domain = Domain
	srv.MaxMessageBytes = o.MaxBytes
	if srv.MaxMessageBytes <= 0 {
		srv.MaxMessageBytes = DefaultMaxBytes
	}
	srv.MaxRecipients = 100
	srv.AllowInsecureAuth = true // it is a sandbox; passwords here protect nothing
	srv.EnableSMTPUTF8 = true
	srv.EnableDSN = true
	srv.TLSConfig = s.tls()
	srv.ReadTimeout = 5 * time.Minute
	srv.WriteTimeout = time.Minute
	// Clients that hang up in the middle are part of the game, not news.
	srv.ErrorLog = log.New(io.Discard, "", 0)
	s.smtp = srv
	return s
}

// Serve takes connections until Close; implicit wants TLS from the first byte.
func (s *Server) Serve(l net.Listener, implicit bool) error {
	l = &listener{Listener: l, server: s}
	if implicit {
		l = tls.NewListener(l, s.tls())
	}
	err := s.smtp.Serve(l)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close stops listening and cuts all connections.
func (s *Server) Close() error {
	s.stop()
	err := s.smtp.Close()
	s.returns.wait()
	return err
}

// tls is how the server shows who it is, which a fault can spoil.
func (s *Server) tls() *tls.Config {
	if s.options.TLS == nil {
		return nil
	}
	c := s.options.TLS.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		e := s.faults.Hit(fault.SMTP, "tls", "")
		fault.Wait(s.stopped, e.Delay+e.AnswerDelay)
		if !e.Spoils() || s.options.Expired == nil {
			return nil, nil
		}
		return &tls.Config{Certificates: []tls.Certificate{*s.options.Expired}, MinVersion: tls.VersionTLS12}, nil
	}
	return c
}

// listener wraps connections so that the server can hang up after an answer,
// and lets the connect faults happen.
type listener struct {
	net.Listener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		e := l.server.faults.Hit(fault.SMTP, "connect", "")
		if e.Spoils() {
			go l.turnAway(c, e)
			continue
		}
		return &conn{Conn: c, delay: e.Delay + e.AnswerDelay, server: l.server}, nil
	}
}

func (l *listener) turnAway(c net.Conn, e fault.Effect) {
	fault.Wait(l.server.stopped, e.Delay+e.AnswerDelay)
	if !e.Drop {
		reply := smtpError(e)
		_, _ = io.WriteString(c, replyLine(reply))
	}
	_ = c.Close()
}

// conn hangs up after the next answer once told so.
type conn struct {
	net.Conn
	server *Server
	delay  fault.Duration
	last   bool
}

func (c *conn) Write(b []byte) (int, error) {
	if c.delay > 0 {
		fault.Wait(c.server.stopped, c.delay)
		c.delay = 0
	}
	n, err := c.Conn.Write(b)
	if c.last {
		_ = c.Conn.Close()
	}
	return n, err
}

// under finds the wrapped connection, below TLS too.
func under(c net.Conn) *conn {
	for {
		switch v := c.(type) {
		case *conn:
			return v
		case interface{ NetConn() net.Conn }:
			c = v.NetConn()
		default:
			return nil
		}
	}
}
