// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/net/netutil"

	"github.com/kaeru-dev/kaeru/internal/bounce"
	"github.com/kaeru-dev/kaeru/internal/content"
)

const (
	// smtpConnections bounds how many speak to us at a time.
	smtpConnections = 64
	// smtpStep is for one command or its answer, smtpLife for a whole connection.
	smtpStep = time.Minute
	smtpLife = 5 * time.Minute
)

// ServeSMTP listens on addr, such as ":2525", for reports about mails until ctx ends. It takes mail
// for addresses that it has signed itself, and no other.
func (g *Gateway) ServeSMTP(ctx context.Context, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for inbound mail on %s: %w", addr, err)
	}
	return g.ServeSMTPListener(ctx, l)
}

// ServeSMTPListener is ServeSMTP on a listener, which it closes.
func (g *Gateway) ServeSMTPListener(ctx context.Context, l net.Listener) error {
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &inboundSession{g: g}, nil
	}))
	server.Domain = "kaeru"
	server.ReadTimeout, server.WriteTimeout = smtpStep, smtpStep
	server.MaxMessageBytes = maxMail
	server.MaxRecipients = 10
	server.MaxLineLength = 4096
	server.EnableSMTPUTF8 = true
	server.ErrorLog = stdlog.New(io.Discard, "", 0) // it would log what strangers send

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(mortalListener{netutil.LimitListener(l, smtpConnections)}) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve inbound mail: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		_ = server.Close() // who still speaks is cut off, and sends the mail again
	}
	return g.writer.wait(grace)
}

// inboundSession is one connection.
type inboundSession struct {
	g  *Gateway
	to []content.BounceClaims
}

func (s *inboundSession) Mail(string, *smtp.MailOptions) error {
	s.to = nil
	return nil
}

var (
	errNoSuchRecipient = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such address here"}
	errStoreAway       = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
)

func (s *inboundSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	claims, ok := s.g.claims(bounce.TokensIn(to))
	if !ok {
		return errNoSuchRecipient
	}
	s.to = append(s.to, claims)
	return nil
}

// Data takes a mail. It is answered with 250 when what it says is in the store, and with 451 when
// that is away, so that the other server keeps the mail.
func (s *inboundSession) Data(r io.Reader) error {
	read, err := bounce.Read(r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return err // too large, or the other hung up
	}
	if read.Reaction() == bounce.Ignore {
		return nil
	}
	reports := make([]mailReport, 0, len(s.to))
	for _, claims := range s.to {
		reports = append(reports, reportFrom(read, claims, ""))
	}
	if _, err := s.g.report(context.Background(), reports); err != nil {
		return errStoreAway
	}
	return nil
}

func (s *inboundSession) Reset() { s.to = nil }

func (s *inboundSession) Logout() error { return nil }

// mortalListener ends connections after a while, however busy they seem.
type mortalListener struct{ net.Listener }

func (l mortalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &mortalConn{Conn: c, end: time.Now().Add(smtpLife)}, nil
}

type mortalConn struct {
	net.Conn
	end time.Time
}

func (c *mortalConn) clip(t time.Time) time.Time {
	if t.IsZero() || t.After(c.end) {
		return c.end
	}
	return t
}

func (c *mortalConn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.clip(t)) }
func (c *mortalConn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.clip(t)) }
func (c *mortalConn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.clip(t)) }
