// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package line sends messages through the LINE Messaging API.
package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

const (
	// DefaultEndpoint is LINE's own.
	DefaultEndpoint = "https://api.line.me"
	defaultTimeout  = 15 * time.Second
	// keyLife is how long LINE remembers a retry key, less an hour for what the clocks differ and
	// for requests under way.
	keyLife     = 23 * time.Hour
	maxMessages = 5
)

// Config is a LINE channel.
type Config struct {
	// Endpoint is the API's base URL; empty for DefaultEndpoint.
	Endpoint string
	// ChannelAccessToken is a long-lived token. Without it, tokens are issued to the channel with ChannelID: by
	// ChannelSecret, or by PrivateKey (a JSON Web Key, or PEM) with KeyID.
	ChannelAccessToken       string
	ChannelID, ChannelSecret string
	PrivateKey, KeyID        string
	// TokenKind is what PrivateKey gets: TokenStateless, which is usual, or TokenV21.
	TokenKind string
	// Concurrency is how many messages are sent at a time at most; 0 for 8. It is the number of
	// connections that are kept.
	Concurrency int
	// Timeout is for one request; 0 for 15 seconds.
	Timeout time.Duration
	// Clock says when tokens are over; nil for real time.
	Clock clock.PassiveClock
}

// Sender sends through one LINE channel.
type Sender struct {
	api       messaging_api.MessagingApiAPI
	transport *http.Transport
	tokens    *tokens
	timeout   time.Duration
}

var _ channel.Sender = (*Sender)(nil)

// New makes a sender. It does not speak to LINE.
func New(c Config) (*Sender, error) {
	if c.ChannelAccessToken == "" && c.ChannelID == "" {
		return nil, errors.New("channelAccessToken is empty: put the channel access token of the LINE channel into the Secret, or channelID with what issues tokens")
	}
	endpoint, err := wire.Endpoint(c.Endpoint, DefaultEndpoint)
	if err != nil {
		return nil, err
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 8
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	transport := wire.NewTransport(c.Concurrency)
	t := &tokens{clock: c.Clock, current: c.ChannelAccessToken}
	if c.ChannelAccessToken == "" {
		if t.issuer, err = newIssuer(c, endpoint.String(), transport); err != nil {
			return nil, err
		}
	}
	// The SDK wants a token, which authorized replaces.
	api, err := messaging_api.NewMessagingApiAPI("none",
		messaging_api.WithHTTPClient(wire.Client(&authorized{transport, t}, nil)), messaging_api.WithEndpoint(endpoint.String()))
	if err != nil {
		return nil, fmt.Errorf("making the LINE client: %w", err)
	}
	return &Sender{api: *api, transport: transport, tokens: t, timeout: c.Timeout}, nil
}

// call returns the API for one request. The SDK's WithContext changes what it is called on, so every
// request has its own copy.
func (s *Sender) call(ctx context.Context) *messaging_api.MessagingApiAPI {
	api := s.api
	return api.WithContext(ctx)
}

// Close ends idle connections, and the token if it is one of few.
func (s *Sender) Close() error {
	err := s.tokens.end()
	s.transport.CloseIdleConnections()
	return err
}

// Send pushes the message under its key, which LINE keeps for a day. Whoever calls Send knows that
// LINE does not have the message; an earlier attempt that was refused does not count, however old.
func (s *Sender) Send(ctx context.Context, m *channel.Message, begin channel.Begin) channel.Outcome {
	return s.push(ctx, m, begin, false)
}

// Resolve pushes again under the same key: LINE takes the message if it does not have it, and says
// so if it has. A message without Since is too old to tell.
func (s *Sender) Resolve(ctx context.Context, m *channel.Message) channel.Outcome {
	switch {
	case m.Line == nil, m.Line.ReplyToken != "": // refused below, or known by its token
	case m.Line.Since.IsZero():
		return lost("when its sending was begun is not known")
	case time.Since(m.Line.Since) > keyLife:
		return lost("LINE no longer knows the retry key")
	}
	return s.push(ctx, m, nil, true)
}

// push sends. With begun, LINE may have the message already, and no answer short of a final one
// changes that.
func (s *Sender) push(ctx context.Context, m *channel.Message, begin channel.Begin, begun bool) channel.Outcome {
	req, err := request(m)
	if err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: err.Error()}
	}
	if ctx.Err() != nil {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonInterrupted, Ambiguous: begun, Detail: ctx.Err().Error()}
	}
	if _, err := s.tokens.get(ctx); err != nil {
		return s.noToken(ctx, m, err, begun)
	}
	if m.Line.ReplyToken != "" {
		return s.reply(ctx, m, req, begin, begun)
	}
	out, cancel := wire.Linger(ctx, s.timeout)
	defer cancel()
	out, x := wire.With(out, ctx, begin)
	// The SDK's error says less than the exchange: a 2xx it cannot decode is an error to it, too.
	_, res, err := s.call(out).PushMessageWithHttpInfo(req, m.Key.String()) //nolint:bodyclose // the SDK has read and closed it
	if !x.Tried {
		return s.unencoded(m, err)
	}
	var sent []messaging_api.SentMessage
	if res != nil {
		sent = res.SentMessages
	}
	o := s.judge(ctx, m, x, sent)
	if o.End == channel.Retry && begun {
		o.Ambiguous = true
	}
	return o
}

func (s *Sender) unencoded(m *channel.Message, err error) channel.Outcome {
	return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid,
		Detail: channel.Redact("the message could not be encoded: "+errorText(err), content(m), s.private(m)...)}
}

func lost(why string) channel.Outcome {
	return channel.Outcome{End: channel.Unknown, Reason: channel.ReasonOutcomeLost, Detail: why}
}

func errorText(err error) string {
	if err == nil {
		return "no request was made"
	}
	return err.Error()
}

// object passes one of LINE's message objects through the SDK as it is.
type object struct{ json.RawMessage }

// GetType makes it a messaging_api.MessageInterface. The SDK asks only those it made itself.
func (object) GetType() string { return "" }

func request(m *channel.Message) (*messaging_api.PushMessageRequest, error) {
	switch {
	case m.Line == nil || m.Email != nil || m.SMS != nil:
		return nil, errors.New("the message is not one for LINE")
	case m.Key == uuid.Nil:
		return nil, errors.New("the message has no key")
	case m.To == "":
		return nil, errors.New("the message has no LINE user id")
	case len(m.Line.Messages) == 0 || len(m.Line.Messages) > maxMessages:
		return nil, fmt.Errorf("the message has %d message objects: LINE takes 1 to %d", len(m.Line.Messages), maxMessages)
	}
	req := &messaging_api.PushMessageRequest{
		To: m.To, NotificationDisabled: m.Line.NotificationDisabled,
		CustomAggregationUnits: []string{}, // nil becomes null, which LINE refuses
	}
	for i, raw := range m.Line.Messages {
		if !json.Valid(raw) {
			return nil, fmt.Errorf("message object %d is not JSON", i+1)
		}
		req.Messages = append(req.Messages, object{raw})
	}
	if m.Line.Unit != "" {
		req.CustomAggregationUnits = []string{m.Line.Unit}
	}
	return req, nil
}

// private are the values that no detail may hold.
func (s *Sender) private(m *channel.Message) []string {
	return append(s.tokens.secrets(), m.To, m.Customer, m.Line.ReplyToken)
}

func content(m *channel.Message) string {
	var all []byte
	for _, raw := range m.Line.Messages {
		all = append(append(all, raw...), '\n')
	}
	return string(all)
}
