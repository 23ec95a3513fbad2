// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// earlyWord is how long something that arrived before the final dot is read: it is a reply, or
// TLS's own business, which has nothing to say to us.
const earlyWord = 100 * time.Millisecond

// onlyError is a class of replies that no server sends, so that every reply is an error.
const onlyError = 9

var (
	errHungUp = errors.New("the server hung up before the mail was complete")
	errNoUTF8 = errors.New("the address is not ASCII, and the server does not offer SMTPUTF8")
)

// beginError is what Begin said.
type beginError struct{ err error }

func (e *beginError) Error() string { return e.err.Error() }

// Send hands the mail to the server. It is not Sent before the server has taken the final dot, and
// Begin is called when everything but the dot has been written.
func (s *Sender) Send(ctx context.Context, m *channel.Message, begin channel.Begin) channel.Outcome {
	if err := check(m); err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: err.Error()}
	}
	to, err := parseRecipient(m.To)
	if err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonRecipientInvalid, Detail: err.Error(), Suppress: true}
	}
	raw, err := s.render(m, to)
	if err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: s.redact(m, err.Error())}
	}
	if s.signer != nil {
		if raw, err = s.signer.sign(raw); err != nil {
			o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonConfigurationWrong, Detail: err.Error()}
			return pausing(o, 0)
		}
	}
	reply, err := s.carry(ctx, &letter{from: s.envelopeFrom(m.Key, m.To), to: to, raw: raw}, begin)
	if err != nil {
		return s.judge(ctx, m, err)
	}
	return channel.Outcome{End: channel.Sent, ProviderID: queueID(reply)}
}

// letter is what goes over a connection.
type letter struct {
	from, to string
	raw      []byte
}

// carry finds a connection for the mail. One that waited may have been closed on the way; then a new
// one is tried, once, because nothing has been sent.
func (s *Sender) carry(ctx context.Context, e *letter, begin channel.Begin) (string, error) {
	c, err := s.pool.get(ctx)
	if err != nil {
		return "", err
	}
	reply, err := s.converse(ctx, c, e, begin)
	if c.reused && stale(err) && ctx.Err() == nil {
		_ = c.raw.Close()
		if c, err = s.dial(ctx); err != nil {
			s.pool.release()
			return "", err
		}
		reply, err = s.converse(ctx, c, e, begin)
	}
	if usable(err) && !c.broken {
		s.pool.put(c)
	} else {
		s.pool.drop(c)
	}
	return reply, err
}

// stale says that a connection was closed while it waited: it failed at the first word.
func stale(err error) bool {
	var step *stepError
	if !errors.As(err, &step) || step.stage != naming {
		return false
	}
	var reply *textproto.Error
	return !errors.As(err, &reply) || reply.Code == 421
}

// usable says that a connection can carry another mail: the server has answered, and stays.
func usable(err error) bool {
	if err == nil {
		return true
	}
	var step *stepError
	if !errors.As(err, &step) {
		return false
	}
	if errors.Is(err, errNoUTF8) {
		return true
	}
	var reply *textproto.Error
	return errors.As(err, &reply) && reply.Code != 421 && step.stage != writing
}

// converse is one mail over one connection.
func (s *Sender) converse(ctx context.Context, c *conn, e *letter, begin channel.Begin) (string, error) {
	w := watching(ctx, c.raw, s.config.Timeout)
	defer w.end()
	if err := s.offer(c, w, e); err != nil {
		return "", err
	}
	if err := writeDotted(c.smtp.Text.W, e.raw); err != nil {
		return "", &stepError{writing, err}
	}
	if err := c.smtp.Text.W.Flush(); err != nil {
		return "", &stepError{writing, err}
	}
	if begin != nil {
		if err := begin(ctx); err != nil {
			return "", &beginError{err}
		}
	}
	if err := ctx.Err(); err != nil {
		return "", &stepError{writing, err}
	}
	w.renew() // Begin may have taken its time
	if err := c.heard(); err != nil {
		return "", &stepError{writing, err}
	}
	return c.dot(w, s.config.FinalTimeout)
}

// writeDotted writes a mail, whose lines end in CRLF, with a dot more before those that begin with one (RFC 5321,
// section 4.5.2). It is textproto's DotWriter for what is there as a whole: that one looks at each byte.
func writeDotted(w *bufio.Writer, raw []byte) error {
	for rest := raw; len(rest) > 0; {
		if rest[0] == '.' {
			if err := w.WriteByte('.'); err != nil {
				return err
			}
		}
		line := rest
		if at := bytes.Index(rest, []byte("\n.")); at >= 0 {
			line = rest[:at+1]
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		rest = rest[len(line):]
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		_, err := w.WriteString("\r\n")
		return err
	}
	return nil
}

// lines has each line of a mail end in CRLF: a CR or LF of its own is the end of a line to some servers, and none to
// others.
func lines(raw []byte) []byte {
	if n := bytes.Count(raw, []byte("\r\n")); n == bytes.Count(raw, []byte("\n")) && n == bytes.Count(raw, []byte("\r")) {
		return raw
	}
	return []byte(strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(raw)))
}

// heard returns what the server said before the dot, where it should be silent: that it hung up, or
// that it does not want the rest.
func (c *conn) heard() error {
	pending, gone := peek(c.raw)
	if gone {
		return errHungUp
	}
	if !pending {
		return nil
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(earlyWord))
	if _, err := c.smtp.Text.R.Peek(1); err != nil {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return nil
		}
		return errHungUp
	}
	if _, _, err := c.smtp.Text.ReadResponse(onlyError); err != nil {
		return err
	}
	return errHungUp
}

// dot ends the mail. From here on the server may have it.
func (c *conn) dot(w *watch, timeout time.Duration) (string, error) {
	w.finish(timeout)
	if err := c.smtp.Text.PrintfLine("."); err != nil {
		return "", &stepError{writing, err}
	}
	_, reply, err := c.smtp.Text.ReadResponse(2)
	var refusal *textproto.Error
	if err == nil || errors.As(err, &refusal) {
		c.open = false
	}
	if err != nil {
		return "", &stepError{ending, err}
	}
	return reply, nil
}

// queued finds the server's name for a mail in Postfix's, Exim's and the large providers' words, or
// else whatever long thing follows Ok.
var queued = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:queued (?:mail )?(?:as|with id|for delivery as)|message accepted as|id=)\s*<?([A-Za-z0-9][A-Za-z0-9._-]{3,127})`),
	regexp.MustCompile(`(?i)\bok:?\s+<?([A-Za-z0-9][A-Za-z0-9._-]{15,127})`),
}

// queueID is the server's name for the mail, where it gives one.
func queueID(reply string) string {
	for _, words := range queued {
		if found := words.FindStringSubmatch(reply); found != nil {
			return found[1]
		}
	}
	return ""
}
