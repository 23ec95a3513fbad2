// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// ours are the headers that a caller cannot set: they are made here, or would change who gets the
// mail or how it is read.
var ours = map[string]bool{
	"from": true, "to": true, "cc": true, "bcc": true, "sender": true, "reply-to": true, "return-path": true,
	"date": true, "subject": true, "message-id": true, "mime-version": true, "received": true,
	"content-type": true, "content-transfer-encoding": true, "content-disposition": true,
	"list-unsubscribe": true, "list-unsubscribe-post": true, "precedence": true, "auto-submitted": true,
	"x-auto-response-suppress": true, "dkim-signature": true,
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]{1,70}$`)

// render makes the mail as it goes over the wire, but for the dots.
func (s *Sender) render(m *channel.Message, to string) ([]byte, error) {
	e := m.Email
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingB64))
	msg.FromMailAddress(&s.from)
	msg.ToMailAddress(&mail.Address{Address: to})
	if s.replyTo != nil {
		msg.ReplyToMailAddress(s.replyTo)
	}
	// A line break in a subject comes from a template; it is a space to whoever reads it.
	msg.Subject(strings.Join(strings.Fields(e.Subject), " "))
	msg.SetMessageIDWithValue(m.Key.String() + "@" + s.domain)
	msg.SetDateWithValue(time.Now())
	if err := setUnsubscribe(msg, e.UnsubscribeURL); err != nil {
		return nil, err
	}
	// No holiday replies, please (RFC 3834).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	for name, value := range e.Headers {
		if !headerName.MatchString(name) || ours[strings.ToLower(name)] || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("the header %q cannot be set", shorten(name))
		}
		msg.SetGenHeader(gomail.Header(name), value)
	}
	if e.Text != "" {
		msg.SetBodyString(gomail.TypeTextPlain, e.Text, gomail.WithPartEncoding(encoding(e.Text)))
	}
	if e.HTML != "" {
		// What comes last is what a reader prefers.
		msg.AddAlternativeString(gomail.TypeTextHTML, e.HTML, gomail.WithPartEncoding(encoding(e.HTML)))
	}
	var out bytes.Buffer
	out.Grow(len(e.HTML)*3/2 + len(e.Text)*3/2 + 2048)
	if _, err := msg.WriteTo(&out); err != nil {
		return nil, errors.New("the mail could not be rendered")
	}
	return lines(out.Bytes()), nil
}

// setUnsubscribe sets the headers of RFC 8058. Plain http is for a shop that runs on this machine.
func setUnsubscribe(msg *gomail.Msg, raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || strings.ContainsAny(raw, "<>, \t\r\n") {
		return errors.New("the unsubscribe link is not a URL")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return errors.New("the unsubscribe link is not https: mail providers do not take one-click unsubscription by any other")
	}
	msg.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, "<"+u.String()+">")
	msg.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	msg.SetBulk()
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// encoding is the shorter one: quoted-printable makes nine characters of a Japanese one, base64 four.
func encoding(text string) gomail.Encoding {
	foreign := 0
	for i := range len(text) {
		if text[i] > 127 {
			foreign++
		}
	}
	if foreign*6 > len(text) {
		return gomail.EncodingB64
	}
	return gomail.EncodingQP
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

func check(m *channel.Message) error {
	switch {
	case m.Email == nil || m.Line != nil || m.SMS != nil:
		return errors.New("the message is not a mail")
	case m.Key == uuid.Nil:
		return errors.New("the mail has no key")
	case m.Email.HTML == "" && m.Email.Text == "":
		return errors.New("the mail has no body")
	}
	return nil
}
