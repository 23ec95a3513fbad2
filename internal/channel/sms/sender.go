// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sms sends text messages through Twilio.
package sms

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

const (
	// DefaultEndpoint is Twilio's own.
	DefaultEndpoint = "https://api.twilio.com"
	defaultTimeout  = 15 * time.Second
)

// Config is a Twilio account and what it sends from.
type Config struct {
	// Endpoint is the API's base URL; empty for DefaultEndpoint.
	Endpoint   string
	AccountSID string
	// AuthToken, or APIKeySID and APIKeySecret.
	AuthToken               string
	APIKeySID, APIKeySecret string
	// From is a number or an alphanumeric sender; exactly one of it and MessagingServiceSID is set.
	From, MessagingServiceSID string
	// Concurrency is how many messages are sent at a time at most; 0 for 8. It is the number of
	// connections that are kept.
	Concurrency int
	// Timeout is for one request; 0 for 15 seconds.
	Timeout time.Duration
	// LookupDelays are the waits before each look for a message whose outcome was lost; none for
	// 1, 3 and 6 seconds.
	LookupDelays []time.Duration
}

// Sender sends through one Twilio account.
type Sender struct {
	config    Config
	user      string
	password  string
	transport *http.Transport
	http      *http.Client
}

var _ channel.Sender = (*Sender)(nil)

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	keySID     = regexp.MustCompile(`^SK[0-9a-fA-F]{32}$`)
	// The SDK refuses any other character before it sends.
	secret = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
)

// New makes a sender. It does not speak to Twilio.
func New(c Config) (*Sender, error) {
	endpoint, err := c.validate()
	if err != nil {
		return nil, err
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if len(c.LookupDelays) == 0 {
		c.LookupDelays = []time.Duration{time.Second, 3 * time.Second, 6 * time.Second}
	}
	s := &Sender{config: c, user: c.AccountSID, password: c.AuthToken, transport: wire.NewTransport(c.Concurrency)}
	if c.APIKeySID != "" {
		s.user, s.password = c.APIKeySID, c.APIKeySecret
	}
	s.http = wire.Client(s.transport, endpoint)
	return s, nil
}

func (c Config) validate() (*url.URL, error) {
	switch {
	case !accountSID.MatchString(c.AccountSID):
		return nil, errors.New("accountSID is not one of Twilio's: it is AC and 32 hexadecimal digits")
	case c.APIKeySID == "" && c.AuthToken == "":
		return nil, errors.New("authToken is empty: put authToken, or apiKeySID and apiKeySecret, into the Secret")
	case c.APIKeySID == "" && !secret.MatchString(c.AuthToken):
		return nil, errors.New("authToken holds characters that no auth token has: copy it again, without spaces or line breaks")
	case c.APIKeySID != "" && !keySID.MatchString(c.APIKeySID):
		return nil, errors.New("apiKeySID is not one of Twilio's: it is SK and 32 hexadecimal digits")
	case c.APIKeySID != "" && !secret.MatchString(c.APIKeySecret):
		return nil, errors.New("apiKeySecret is empty or holds characters that no secret has: copy it again, without spaces or line breaks")
	case (c.From == "") == (c.MessagingServiceSID == ""):
		return nil, errors.New("write exactly one of from and messagingServiceSID")
	}
	endpoint, err := wire.Endpoint(c.Endpoint, DefaultEndpoint)
	if err == nil && endpoint.Path != "" && endpoint.Path != "/" {
		return nil, errors.New("endpoint has a path, and Twilio's API has none before its own: write it like " + DefaultEndpoint)
	}
	return endpoint, err
}

// call is the SDK for one request: it has no contexts, so its HTTP client brings one.
func (s *Sender) call(ctx context.Context) *api.ApiService {
	hc := *s.http
	hc.Transport = injected{ctx: ctx, base: s.http.Transport}
	c := &client.Client{Credentials: client.NewCredentials(s.user, s.password), HTTPClient: &hc}
	c.SetAccountSid(s.config.AccountSID)
	return api.NewApiServiceWithClient(c)
}

type injected struct {
	ctx  context.Context
	base http.RoundTripper
}

func (i injected) RoundTrip(req *http.Request) (*http.Response, error) {
	return i.base.RoundTrip(req.WithContext(i.ctx))
}

// Close ends idle connections.
func (s *Sender) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Send creates the message. Twilio has no idempotency, so when the answer is lost it looks for the
// message before it says Unknown.
func (s *Sender) Send(ctx context.Context, m *channel.Message, begin channel.Begin) channel.Outcome {
	if err := check(m); err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: err.Error()}
	}
	if err := ctx.Err(); err != nil {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonInterrupted, Detail: err.Error()}
	}
	since := time.Now()
	x := s.create(ctx, m, begin)
	switch {
	case x.Ambiguous(), x.Status >= 500, x.Status == http.StatusRequestTimeout:
		return s.find(ctx, m, since, "the answer was lost: "+s.words(m, x))
	case x.Status == 0:
		return s.unsent(ctx, m, x)
	case x.Status < 300:
		return s.taken(ctx, m, x, since)
	}
	return s.refused(m, x)
}

func (s *Sender) create(ctx context.Context, m *channel.Message, begin channel.Begin) *wire.Exchange {
	p := &api.CreateMessageParams{}
	p.SetTo(m.To)
	p.SetBody(m.SMS.Text)
	// A messaging service would write some characters otherwise, and the parts were counted as they are.
	p.SetSmartEncoded(false)
	if m.SMS.ValidFor > 0 {
		p.SetValidityPeriod(validity(m.SMS.ValidFor))
	}
	if m.SMS.StatusCallback != "" {
		p.SetStatusCallback(m.SMS.StatusCallback)
	}
	if s.config.MessagingServiceSID != "" {
		p.SetMessagingServiceSid(s.config.MessagingServiceSID)
	} else {
		p.SetFrom(s.config.From)
	}
	out, cancel := wire.Linger(ctx, s.config.Timeout)
	defer cancel()
	out, x := wire.With(out, ctx, begin)
	// The SDK knows neither the status nor the words of an error that is not JSON; the exchange does.
	if _, err := s.call(out).CreateMessage(p); err != nil && x.Err == nil && x.Status == 0 {
		x.Err = err
	}
	return x
}

func check(m *channel.Message) error {
	switch {
	case m.SMS == nil || m.Email != nil || m.Line != nil:
		return errors.New("the message is not a text message")
	case m.To == "":
		return errors.New("the message has no number")
	case m.SMS.Text == "":
		return errors.New("the message has no text")
	}
	return nil
}
