// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is an SMTP server that answers each verb with a fixed reply. The greeting is the verb
// GREET, the mail and its final dot are the verb ".", and what has come of a mail before its dot is
// the verb "body". The reply "drop" hangs up, "silence" says nothing; a reply that ends with " drop"
// is said, and then the server hangs up.
type script struct {
	replies map[string]string
	// once holds replies that are given one time, before those of replies.
	once map[string]string
	// pipelining offers it. strict refuses RCPT and DATA after what came before was refused, as most
	// servers do.
	pipelining, strict bool
	// away is how long each answer to what came at once is under way.
	away time.Duration

	mu          sync.Mutex
	connections int
	verbs       []string
	together    int // mails whose recipient came with their sender
	lines       []string
	mails       []string
}

var usual = map[string]string{
	"GREET": "220 mx.example ESMTP", "EHLO": "250-mx.example\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN",
	"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 End data with <CR><LF>.<CR><LF>",
	".": "250 2.0.0 Ok: queued as 4F1B2C3D", "RSET": "250 2.0.0 Ok", "AUTH": "235 2.7.0 Accepted", "QUIT": "221 2.0.0 Bye drop",
	"*": "501 5.5.2 Cancelled",
}

// serve listens until the test ends and returns the port.
func (s *script) serve(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			all.Go(func() { s.talk(c, done) })
		}
	})
	t.Cleanup(func() { close(done); _ = l.Close(); all.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

func (s *script) talk(c net.Conn, done <-chan struct{}) {
	ended := make(chan struct{})
	defer close(ended)
	defer func() { _ = c.Close() }()
	go func() {
		select {
		case <-done:
			_ = c.Close()
		case <-ended:
		}
	}()
	in := bufio.NewReader(c)
	if !s.say(c, "GREET") {
		return
	}
	for going := true; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if s.away > 0 && in.Buffered() == 0 {
			time.Sleep(s.away)
		}
		verb := strings.ToUpper(strings.Fields(line + " ?")[0])
		s.note(verb, "")
		s.mu.Lock()
		s.lines = append(s.lines, strings.TrimSpace(line))
		if verb == "MAIL" && in.Buffered() > 0 {
			s.together++
		}
		s.mu.Unlock()
		answer := s.take(verb)
		going = going || verb == "MAIL"
		if s.strict && !going && (verb == "RCPT" || verb == "DATA") {
			answer = "503 5.5.1 Bad sequence of commands"
		}
		going = going && strings.HasPrefix(answer, "2")
		if !s.answer(c, answer) {
			return
		}
		if verb == "DATA" && strings.HasPrefix(answer, "354") && !s.read(c, in) {
			return
		}
	}
}

// read takes a mail. The verb body happens when its headers have come.
func (s *script) read(c net.Conn, in *bufio.Reader) bool {
	var mail strings.Builder
	early := s.reply("body")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" && early != "" && !s.say(c, "body") {
			return false
		}
		if line == ".\r\n" {
			s.note(".", mail.String())
			time.Sleep(s.away)
			return s.say(c, ".")
		}
		mail.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *script) note(verb, mail string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verbs = append(s.verbs, verb)
	if mail != "" {
		s.mails = append(s.mails, mail)
	}
}

func (s *script) reply(verb string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.replies[verb]; ok {
		return r
	}
	return usual[verb]
}

func (s *script) take(verb string) string {
	s.mu.Lock()
	r, ok := s.once[verb]
	delete(s.once, verb)
	s.mu.Unlock()
	if !ok {
		r = s.reply(verb)
	}
	if verb == "EHLO" && s.pipelining {
		r = "250-mx.example\r\n250-PIPELINING\r\n" + r
	}
	return r
}

// first gives a reply one time.
func (s *script) first(verb, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once = map[string]string{verb: reply}
}

func (s *script) set(verb, reply string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[verb] = reply
}

func (s *script) say(c net.Conn, verb string) bool { return s.answer(c, s.take(verb)) }

func (s *script) answer(c net.Conn, r string) bool {
	switch r {
	case "drop":
		return false
	case "silence":
		return true
	case "":
		r = "502 5.5.2 Not known"
	}
	r, hangUp := strings.CutSuffix(r, " drop")
	_, err := io.WriteString(c, r+"\r\n")
	return err == nil && !hangUp
}

func (s *script) seen() (connections int, verbs string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections, fmt.Sprint(s.verbs)
}

// arrived is how many mails came whole.
func (s *script) arrived() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mails)
}

func (s *script) last(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mails) == 0 {
		t.Fatal("no mail arrived")
	}
	return s.mails[len(s.mails)-1]
}

// deaf hides a socket from peek.
type deaf struct{ net.Conn }

// closeServerSide has the server hang up on the connection that waits: it does when we have said all.
func closeServerSide(t *testing.T, s *Sender) {
	t.Helper()
	tcp, ok := s.pool.idle[0].raw.(*net.TCPConn)
	if !ok {
		t.Fatal("not a TCP connection")
	}
	if err := tcp.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// overTheWire is a mail as it comes out of the final dot's other side.
func overTheWire(t *testing.T, raw []byte) string {
	t.Helper()
	var wire bytes.Buffer
	dots := textproto.NewWriter(bufio.NewWriter(&wire)).DotWriter()
	_, err := dots.Write(raw)
	if err = errors.Join(err, dots.Close()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(wire.String(), ".\r\n"), "\r\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, ".")
	}
	return strings.Join(lines, "\r\n")
}
