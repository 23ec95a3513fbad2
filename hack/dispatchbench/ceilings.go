// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
	gomail "github.com/wneessen/go-mail"
	"golang.org/x/sync/errgroup"
)

// each does something n times, by so many at once, each of which has a state of its own.
func each[S any](ctx context.Context, n, at int, begin func(context.Context) (S, error), do func(context.Context, S, int) error) (time.Duration, error) {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	states := make([]S, at)
	for i := range states {
		var err error
		if states[i], err = begin(ctx); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	for _, s := range states {
		group.Go(func() error {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := do(ctx, s, int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(start), err
}

// byGoMail sends mails with the library, whose parts are those of Kaeru's mails.
func byGoMail(ctx context.Context, address string, n, at int) (time.Duration, error) {
	host, port, err := hostPort(address)
	if err != nil {
		return 0, err
	}
	begin := func(ctx context.Context) (*gomail.Client, error) {
		c, err := gomail.NewClient(host, gomail.WithPort(port), gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithHELO("shop.example"))
		if err != nil {
			return nil, fmt.Errorf("make a mail client: %w", err)
		}
		err = c.DialWithContext(ctx)
		return c, err
	}
	return each(ctx, n, at, begin, func(_ context.Context, c *gomail.Client, i int) error {
		m := gomail.NewMsg()
		m.Subject("Hello " + customerID(i))
		if err := m.From("news@shop.example"); err != nil {
			return err
		}
		if err := m.To(customerID(i) + "@customer.example"); err != nil {
			return err
		}
		m.SetBodyString(gomail.TypeTextHTML, personal(i))
		return c.Send(m)
	})
}

// pipe is a connection to the sink.
type pipe struct {
	net.Conn
	in *bufio.Reader
}

// byHand writes mails onto the wire with as little as there can be: one buffer, an envelope in one write, and no
// encoding, which a mail with a line of 1,000 characters would need.
func byHand(ctx context.Context, address string, n, at int) (time.Duration, error) {
	begin := func(ctx context.Context) (*pipe, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		p := &pipe{conn, bufio.NewReader(conn)}
		if err := p.expect(1); err != nil {
			return nil, err
		}
		if _, err := p.Write([]byte("EHLO shop.example\r\n")); err != nil {
			return nil, err
		}
		err = p.expect(3)
		return p, err
	}
	return each(ctx, n, at, begin, func(_ context.Context, p *pipe, i int) error {
		to := customerID(i) + "@customer.example"
		if _, err := p.Write([]byte("MAIL FROM:<news@shop.example>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n")); err != nil {
			return err
		}
		if err := p.expect(3); err != nil {
			return err
		}
		var mail bytes.Buffer
		mail.WriteString("From: news@shop.example\r\nTo: " + to + "\r\nSubject: Hello " + customerID(i) + "\r\nMessage-ID: <" + uuid.NewString() +
			"@shop.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n")
		mail.WriteString(personal(i))
		mail.WriteString("\r\n.\r\n")
		if _, err := p.Write(mail.Bytes()); err != nil {
			return err
		}
		return p.expect(1)
	})
}

// expect reads answers, all of which are good.
func (p *pipe) expect(lines int) error {
	for range lines {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if line[0] != '2' && line[0] != '3' {
			return fmt.Errorf("the sink answered %q", line)
		}
	}
	return nil
}

// bySDK pushes with LINE's SDK, with as many connections kept as there are pushes at once.
func bySDK(ctx context.Context, address string, n, at int) (time.Duration, error) {
	transport := &http.Transport{MaxIdleConns: at, MaxIdleConnsPerHost: at}
	defer transport.CloseIdleConnections()
	api, err := messaging_api.NewMessagingApiAPI("token", messaging_api.WithEndpoint("http://"+address), messaging_api.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		return 0, fmt.Errorf("make a LINE client: %w", err)
	}
	none := func(context.Context) (struct{}, error) { return struct{}{}, nil }
	return each(ctx, n, at, none, func(_ context.Context, _ struct{}, i int) error {
		_, err := api.PushMessage(&messaging_api.PushMessageRequest{
			To: lineUserID(i), Messages: []messaging_api.MessageInterface{&messaging_api.TextMessage{Text: "Hello " + customerID(i) + pushText}},
		}, uuid.NewString())
		return err
	})
}

func hostPort(address string) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("the sink's address: %w", err)
	}
	port, err := strconv.Atoi(text)
	return host, port, err
}

// encoded is a text as JSON.
func encoded(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts always are
	}
	return string(out)
}
