// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/line"
	"github.com/kaeru-dev/kaeru/internal/sandbox/mail"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
	"github.com/kaeru-dev/kaeru/internal/sandbox/twilio"
)

// Sandbox is a running stand-in for the providers.
type Sandbox struct {
	log    *record.Log
	people *people.Book
	faults *fault.Book
	line   *line.Server
	twilio *twilio.Server
	mail   *mail.Server
	http   *http.Server
	roots  *x509.CertPool
	zone   *time.Location

	httpAddress, smtpAddress, smtpsAddress net.Addr

	listeners []net.Listener
	served    sync.WaitGroup
	closed    func() error
	done      chan struct{}
}

// URLs are where a sandbox listens.
type URLs struct {
	// Inbox is the page; LINE and Twilio are base URLs for their SDKs.
	Inbox  string `json:"inbox"`
	LINE   string `json:"line"`
	Twilio string `json:"twilio"`
	// SMTP and SMTPS are host:port; SMTPS is empty where it was not asked for.
	SMTP  string `json:"smtp"`
	SMTPS string `json:"smtps,omitempty"`
}

// Start listens and returns at once. The sandbox runs until ctx ends or Close
// is called.
func Start(ctx context.Context, c Config) (*Sandbox, error) {
	c = c.withDefaults()
	s := &Sandbox{done: make(chan struct{})}
	s.closed = sync.OnceValue(s.close)
	if err := s.build(c); err != nil {
		return nil, errors.Join(err, s.closed())
	}
	if err := s.listen(c); err != nil {
		return nil, errors.Join(err, s.closed())
	}
	context.AfterFunc(ctx, func() { _ = s.closed() })
	return s, nil
}

func (s *Sandbox) build(c Config) error {
	var err error
	s.zone = time.Local
	if c.TimeZone != "" {
		if s.zone, err = time.LoadLocation(c.TimeZone); err != nil {
			return fmt.Errorf("timeZone: %w; write one such as Asia/Tokyo", err)
		}
	}
	if s.people, err = people.NewBook(c.Recipients...); err != nil {
		return fmt.Errorf("recipients: %w", err)
	}
	if s.faults, err = fault.NewBook(c.Seed, c.Faults...); err != nil {
		return err
	}
	for _, spec := range c.Presets {
		rule, err := fault.Parse(spec)
		if err != nil {
			return err
		}
		if _, err := s.faults.Add(rule); err != nil {
			return err
		}
	}
	if s.log, err = record.Open(record.Options{
		Clock: c.Clock, Journal: c.Journal, MaxMessages: c.MaxMessages, MaxBytes: c.MaxBytes,
	}); err != nil {
		return err
	}
	if s.line, err = line.New(c.LINE, s.log, s.people, s.faults); err != nil {
		return err
	}
	if s.twilio, err = twilio.New(twilio.Options{
		Accounts: c.Twilio, SentAfter: time.Duration(c.SentAfter), DeliveredAfter: time.Duration(c.DeliveredAfter),
	}, s.log, s.people, s.faults); err != nil {
		return err
	}
	certificate, roots, err := selfSigned()
	if err != nil {
		return err
	}
	s.roots = roots
	expired, _, err := signed(time.Now().AddDate(-1, 0, 0), time.Now().Add(-time.Hour))
	if err != nil {
		return err
	}
	if err := mail.CheckReturns(c.Returns); err != nil {
		return err
	}
	s.mail = mail.New(mail.Options{
		Users: c.SMTP, RequireAuth: c.RequireSMTPAuth, Returns: c.Returns, Expired: &expired,
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}, s.log, s.people, s.faults)
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	return nil
}

func (s *Sandbox) listen(c Config) error {
	web, err := net.Listen("tcp", c.HTTPAddress)
	if err != nil {
		return fmt.Errorf("sandbox HTTP: %w; give another address", err)
	}
	s.listeners = append(s.listeners, web)
	s.httpAddress = web.Addr()
	s.serve(func() { _ = s.http.Serve(web) })
	if s.smtpAddress, err = s.listenMail(c.SMTPAddress, false); err != nil {
		return err
	}
	if c.SMTPSAddress != "" {
		s.smtpsAddress, err = s.listenMail(c.SMTPSAddress, true)
	}
	return err
}

func (s *Sandbox) listenMail(address string, implicit bool) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("sandbox SMTP: %w; give another address", err)
	}
	s.listeners = append(s.listeners, l)
	s.serve(func() { _ = s.mail.Serve(l, implicit) })
	return l.Addr(), nil
}

func (s *Sandbox) serve(run func()) {
	s.served.Add(1)
	go func() {
		defer s.served.Done()
		run()
	}()
}

// URLs tells where the sandbox listens.
func (s *Sandbox) URLs() URLs {
	base := "http://" + reach(s.httpAddress)
	u := URLs{Inbox: base + "/", LINE: base, Twilio: base, SMTP: reach(s.smtpAddress)}
	if s.smtpsAddress != nil {
		u.SMTPS = reach(s.smtpsAddress)
	}
	return u
}

// reach turns an address that listens everywhere into one that can be dialled.
func reach(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(t.Port))
}

// CertPool trusts the certificate that the mail server made for itself; it is
// good for localhost, 127.0.0.1 and ::1.
func (s *Sandbox) CertPool() *x509.CertPool { return s.roots }

// Client talks to this sandbox's JSON API.
func (s *Sandbox) Client() *Client { return NewClient(s.URLs().Inbox) }

// Done is closed when the sandbox has stopped.
func (s *Sandbox) Done() <-chan struct{} { return s.done }

// Close stops the sandbox, cutting what is under way. What it has answered for
// is in the journal by then.
func (s *Sandbox) Close() error { return s.closed() }

func (s *Sandbox) close() error {
	defer close(s.done)
	var errs []error
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	if s.mail != nil {
		errs = append(errs, s.mail.Close())
	}
	// A server that had not come to serving yet does not know its listener.
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.served.Wait()
	if s.twilio != nil {
		s.twilio.Close()
	}
	if s.line != nil {
		s.line.Close()
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	return errors.Join(errs...)
}

// forget empties the log and what the providers made of it.
func (s *Sandbox) forget() error {
	if err := s.log.Clear(); err != nil {
		return err
	}
	s.line.Forget()
	s.twilio.Forget()
	return nil
}
