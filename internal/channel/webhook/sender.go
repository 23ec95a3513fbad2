// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package webhook calls systems of the shop's, as https://www.standardwebhooks.com has it: the id of a
// call stays the same however often it is repeated, so that who is called can tell.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
	"github.com/kaeru-dev/kaeru/internal/version"
)

// Config is how calls are made.
type Config struct {
	// Secret signs the calls: the key's bytes, or its text as whsec_ and base64. Empty for unsigned.
	Secret []byte
	// Allowed are the hosts that may be called.
	Allowed Hosts
	// Concurrency is how many calls are made at a time at most; 0 for 8.
	Concurrency int
}

// Sender makes calls with one signature.
type Sender struct {
	signer    *standardwebhooks.Webhook
	allowed   Hosts
	transport *http.Transport
	http      *http.Client
}

var _ channel.Sender = (*Sender)(nil)

const (
	// leastSecret and mostSecret are the bytes of a key, as the specification has them.
	leastSecret, mostSecret = 24, 64
	secretPrefix            = "whsec_"
)

// New makes a sender. It calls nobody.
func New(c Config) (*Sender, error) {
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	s := &Sender{allowed: c.Allowed, transport: wire.NewTransport(c.Concurrency)}
	s.http = wire.Client(s.transport, nil)
	if len(c.Secret) == 0 {
		return s, nil
	}
	key := c.Secret
	if text, ok := strings.CutPrefix(strings.TrimSpace(string(key)), secretPrefix); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, errors.New("the key begins with whsec_ and goes on with what is no base64")
		}
	}
	if len(key) < leastSecret || len(key) > mostSecret {
		return nil, fmt.Errorf("the key has %d bytes, and a key has %d to %d: make one with openssl rand -hex 32", len(key), leastSecret, mostSecret)
	}
	var err error
	s.signer, err = standardwebhooks.NewWebhookRaw(key)
	return s, err
}

// Send makes the call.
func (s *Sender) Send(ctx context.Context, m *channel.Message, begin channel.Begin) channel.Outcome {
	if m.Webhook == nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: "the message is not a webhook"}
	}
	out, cancel := wire.Linger(ctx, m.Webhook.Timeout)
	defer cancel()
	out, x := wire.With(out, ctx, begin)
	req, err := s.request(out, m)
	if err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: err.Error()}
	}
	if err := ctx.Err(); err != nil {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonInterrupted, Detail: err.Error()}
	}
	// What came of it is in the exchange, with the body read and closed.
	if res, err := s.http.Do(req); err == nil {
		_ = res.Body.Close()
	}
	return judge(ctx, x)
}

// Resolve makes the call again: its id says that it is the same one.
func (s *Sender) Resolve(ctx context.Context, m *channel.Message) channel.Outcome {
	return s.Send(ctx, m, nil)
}

// Check asks nobody: whom a call goes to is the message's.
func (s *Sender) Check(context.Context) (channel.Account, error) { return channel.Account{}, nil }

// Close ends idle connections.
func (s *Sender) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

func (s *Sender) request(ctx context.Context, m *channel.Message) (*http.Request, error) {
	w := m.Webhook
	u, err := url.Parse(w.URL)
	if err != nil || u.Host == "" {
		return nil, errors.New("the address is no URL")
	}
	if !s.allowed.Allow(u) {
		return nil, fmt.Errorf("webhooks to %s are not allowed", u.Hostname())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(w.Body))
	if err != nil {
		return nil, errors.New("the address is no URL")
	}
	now, id := time.Now(), "msg_"+m.Key.String()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Kaeru/"+version.Version())
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if s.signer != nil {
		signature, err := s.signer.Sign(id, now, w.Body)
		if err != nil {
			return nil, errors.New("the call cannot be signed")
		}
		req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	return req, nil
}
