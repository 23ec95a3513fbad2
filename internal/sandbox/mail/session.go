// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

type session struct {
	server *Server
	conn   *smtp.Conn
	user   string
	from   string
	to     []string
	// last is the mail that was taken last.
	last []byte
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	ses := &session{server: s, conn: c}
	if err := ses.meet("hello", "", func() error { return nil }); err != nil {
		return nil, err
	}
	return ses, nil
}

// meet does one step of the conversation through the faults.
func (s *session) meet(operation, to string, do func() error) error {
	e := s.server.faults.Hit(fault.SMTP, operation, to)
	if e == (fault.Effect{}) {
		return do()
	}
	fault.Wait(s.server.stopped, e.Delay)
	var err error
	if e.Takes() {
		err = do()
	}
	fault.Wait(s.server.stopped, e.AnswerDelay)
	if err == nil && e.Back != "" {
		s.server.giveBack(e.Back, s.from, to, s.last)
	}
	switch {
	case e.Drop:
		_ = s.conn.Conn().Close()
		return errHungUp
	case e.Status == 0:
		return err
	}
	reply := smtpError(e)
	if reply.Code == 421 {
		if c := under(s.conn.Conn()); c != nil {
			c.last = true
		}
	}
	return reply
}

var errHungUp = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 4, 2}, Message: "Connection dropped"}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	check := func(name, password string) error {
		return s.meet("auth", name, func() error {
			for _, u := range s.server.options.Users {
				if u.Name == name && subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) == 1 {
					s.user = name
					return nil
				}
			}
			return smtp.ErrAuthFailed
		})
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, name, password string) error { return check(name, password) }), nil
	case sasl.Login:
		return &login{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.RequireAuth && s.user == "" {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	return s.meet("mail", from, func() error {
		s.from, s.to = from, nil
		return nil
	})
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	return s.meet("rcpt", to, func() error {
		switch s.server.people.Get(record.Email, to).State {
		case people.Unknown:
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "The mailbox does not exist"}
		case people.Full:
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "The mailbox is full"}
		}
		s.to = append(s.to, to)
		return nil
	})
}

// Data reads the mail inside the step, so that a dropped connection that did
// not take effect is cut before the final dot, and one that did after it.
func (s *session) Data(r io.Reader) error {
	to := ""
	if len(s.to) > 0 {
		to = s.to[0]
	}
	return s.meet("data", to, func() error {
		// Mails come in by the thousand and differ in size; a buffer that has
		// grown once spares each of them the growing.
		buffer := buffers.Get().(*bytes.Buffer)
		defer buffers.Put(buffer)
		buffer.Reset()
		if _, err := buffer.ReadFrom(r); err != nil {
			return err
		}
		return s.accept(bytes.Clone(buffer.Bytes()))
	})
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *session) accept(raw []byte) error {
	key := messageID(raw)
	s.last = raw
	for _, to := range s.to {
		_, err := s.server.log.Add(record.Message{
			Channel: record.Email, Account: s.user, Key: key, From: s.from, To: to,
			Status: record.Delivered, Raw: raw,
		})
		if err != nil {
			return fmt.Errorf("recording a mail: %w", err)
		}
	}
	return nil
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

// messageID finds the Message-ID without parsing the rest of the mail.
func messageID(raw []byte) string {
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		if len(bytes.TrimRight(line, "\r")) == 0 {
			return ""
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(bytes.TrimSpace(name)), "Message-ID") {
			// A long identifier is folded onto the next line.
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				var more []byte
				more, rest, _ = bytes.Cut(rest, []byte("\n"))
				value = append(append([]byte(nil), value...), more...)
			}
			return strings.Trim(strings.TrimSpace(string(value)), "<>")
		}
		raw = rest
	}
	return ""
}
