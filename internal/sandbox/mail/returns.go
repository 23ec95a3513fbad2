// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"sync"
	"time"
)

// returnTimeout bounds the sending of one report.
const returnTimeout = 15 * time.Second

// returns are the reports under way to who sent the mail.
type returns struct {
	target  *url.URL
	running sync.WaitGroup
	mu      sync.Mutex
	closed  bool
}

// CheckReturns says what is wrong with where reports are to go.
func CheckReturns(target string) error {
	if target == "" {
		return nil
	}
	u, err := url.Parse(target)
	if err == nil && u.Host != "" {
		switch u.Scheme {
		case "http", "https":
			return nil
		case "smtp":
			if _, _, err := net.SplitHostPort(u.Host); err == nil {
				return nil
			}
		}
	}
	return fmt.Errorf("returns %q is no address: write one like smtp://127.0.0.1:2525 or http://127.0.0.1:8080/v1/inbound/email", target)
}

func newReturns(target string) *returns {
	r := &returns{}
	if u, err := url.Parse(target); err == nil && target != "" {
		r.target = u
	}
	return r
}

func (r *returns) wait() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.running.Wait()
}

// giveBack sends a report about a mail that was taken to its return path.
func (s *Server) giveBack(kind, from, to string, raw []byte) {
	r := s.returns
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.target == nil || r.closed || from == "" { // a mail without a return path is never answered
		return
	}
	r.running.Add(1)
	go func() {
		defer r.running.Done()
		ctx, cancel := context.WithTimeout(s.stopped, returnTimeout)
		defer cancel()
		// Nobody is there to be told that a report could not be sent; the test or the demo will miss it.
		_ = r.send(ctx, from, report(kind, from, to, raw, time.Now()))
	}()
}

func (r *returns) send(ctx context.Context, to string, raw []byte) error {
	if r.target.Scheme != "smtp" {
		return r.post(ctx, raw)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.target.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if until, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(until)
	}
	c, err := smtp.NewClient(conn, r.target.Hostname())
	if err != nil {
		return err
	}
	if err := c.Hello(Domain); err != nil {
		return err
	}
	if err := c.Mail(""); err != nil { // reports have no return path, or they would go in circles
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func (r *returns) post(ctx context.Context, raw []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.target.String(), bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "message/rfc822")
	if user := r.target.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.Body.Close()
}
