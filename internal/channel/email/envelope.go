// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"errors"
	"net"
	"net/textproto"
	"strings"
)

// command is a line of ours with the class of replies that lets the mail go on.
type command struct {
	stage stage
	line  string
	want  int
}

// offer names sender and recipient, and asks for the mail. With pipelining (RFC 2920) all of it is
// written at once and the replies are read in order: two journeys for a mail instead of four. The text
// itself is never written before the server has asked for it.
func (s *Sender) offer(c *conn, w *watch, e *letter) error {
	foreign := needsUTF8(e.to) || needsUTF8(e.from)
	if offered, _ := c.smtp.Extension("SMTPUTF8"); foreign && !offered {
		return &stepError{addressing, errNoUTF8}
	}
	commands, err := c.envelope(e, foreign)
	if err != nil {
		return err
	}
	if pipelining, _ := c.smtp.Extension("PIPELINING"); pipelining {
		return c.pipeline(w, commands)
	}
	for _, command := range commands {
		if err := c.write(command); err != nil {
			return err
		}
		if err := c.read(w, command); err != nil {
			return err
		}
	}
	return nil
}

// envelope are the commands before a mail's text. RSET is among them where a transaction was left open.
func (c *conn) envelope(e *letter, foreign bool) ([]command, error) {
	from, to := "MAIL FROM:"+e.from, "RCPT TO:"+path(e.to)
	if strings.ContainsAny(from+to, "\r\n") {
		return nil, &stepError{naming, errAddress}
	}
	if offered, _ := c.smtp.Extension("8BITMIME"); offered {
		from += " BODY=8BITMIME"
	}
	if foreign {
		from += " SMTPUTF8"
	}
	commands := []command{{naming, from, 250}, {addressing, to, 25}, {offering, "DATA", 354}}
	if c.open {
		commands = append([]command{{naming, "RSET", 250}}, commands...)
	}
	return commands, nil
}

// pipeline writes all commands and reads all replies. What was refused first is what counts: a server
// refuses what follows because of it. One that asks for the mail all the same is left at once, without
// the final dot, so that nothing can be delivered; so is one that does not answer all. Where an answer
// fails to come, nobody knows which one that was, and so no refusal counts.
func (c *conn) pipeline(w *watch, commands []command) error {
	var lines strings.Builder
	for _, command := range commands {
		lines.WriteString(command.line + "\r\n")
	}
	if _, err := c.smtp.Text.W.WriteString(lines.String()); err != nil {
		return &stepError{commands[0].stage, err}
	}
	c.open = true
	if err := c.smtp.Text.W.Flush(); err != nil {
		return &stepError{commands[0].stage, err}
	}
	var refused error
	for _, command := range commands {
		err := c.read(w, command)
		if refused == nil {
			refused = err
		}
		var reply *textproto.Error
		var silence net.Error
		switch {
		case err == nil:
			c.broken = c.broken || refused != nil && command.stage == offering
		case errors.As(err, &reply):
			c.broken = c.broken || reply.Code/100 == 3 // it waits for a mail
		case errors.As(err, &silence) && silence.Timeout():
			c.broken = true
			return err
		default:
			c.broken = true
			return refused
		}
	}
	return refused
}

func (c *conn) write(command command) error {
	c.open = true
	if err := c.smtp.Text.PrintfLine("%s", command.line); err != nil {
		return &stepError{command.stage, err}
	}
	return nil
}

func (c *conn) read(w *watch, command command) error {
	_, _, err := c.smtp.Text.ReadResponse(command.want)
	w.renew()
	if err != nil {
		return &stepError{command.stage, err}
	}
	return nil
}
