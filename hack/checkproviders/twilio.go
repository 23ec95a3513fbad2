// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/sms"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

const (
	phone   = "+819012345678"
	from    = "+815012345678"
	service = "MG0123456789abcdef0123456789abcdef"
	link    = "https://shop.example/s/Ab3dE5"
)

func twilioOperations() []operation {
	number, alpha, through := sms.Config{From: from}, sms.Config{From: "KAERU"}, sms.Config{MessagingServiceSID: service}
	return []operation{
		{name: "check: account", do: func(ctx context.Context, endpoint string) error {
			s, err := twilioSender(endpoint, number)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			_, err = s.Check(ctx)
			return err
		}},
		{name: "create, from a number", do: texted(number, "")},
		{name: "create, from letters", do: texted(alpha, "")},
		{name: "create, through a messaging service", do: texted(through, "")},
		{name: "create, with a status callback", do: texted(number, "http://127.0.0.1:9/v1/webhooks/sms/shop/sms-main?m=1#rc=5&rp=all")},
		{name: "list: look a message up", do: func(ctx context.Context, endpoint string) error {
			s, err := twilioSender(endpoint, number)
			if err != nil {
				return err
			}
			defer func() { _ = s.Close() }()
			if o := s.Resolve(ctx, text("")); o.End != channel.Sent || o.ProviderID == "" {
				return fmt.Errorf("it ended %s: %s %s", o.End, o.Reason, o.Detail)
			}
			return nil
		}},
		{name: "fetch", do: func(_ context.Context, endpoint string) error {
			sdk, err := twilioSDK(endpoint)
			if err != nil {
				return err
			}
			list, err := sdk.ListMessage((&api.ListMessageParams{}).SetTo(phone).SetLimit(1))
			if err != nil || len(list) == 0 {
				return fmt.Errorf("there is none to fetch: %w", err)
			}
			_, err = sdk.FetchMessage(*list[0].Sid, nil)
			return err
		}},
		{name: "create, with a messaging service that cannot be", wrong: true, do: func(_ context.Context, endpoint string) error {
			sdk, err := twilioSDK(endpoint)
			if err != nil {
				return err
			}
			_, err = sdk.CreateMessage((&api.CreateMessageParams{}).SetTo(phone).SetBody("t").SetMessagingServiceSid("MG1"))
			return err
		}},
	}
}

func twilioSender(endpoint string, c sms.Config) (*sms.Sender, error) {
	c.Endpoint, c.AccountSID, c.AuthToken = endpoint, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken
	c.LookupDelays = []time.Duration{time.Millisecond}
	return sms.New(c)
}

func text(callback string) *channel.Message {
	return &channel.Message{
		Key: uuid.New(), Customer: "c1", To: phone,
		SMS: &channel.SMS{Text: "お知らせ " + link, Link: link, StatusCallback: callback},
	}
}

func texted(c sms.Config, callback string) func(context.Context, string) error {
	return func(ctx context.Context, endpoint string) error {
		s, err := twilioSender(endpoint, c)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		if o := s.Send(ctx, text(callback), begun); o.End != channel.Sent || o.ProviderID == "" {
			return fmt.Errorf("it ended %s: %s %s", o.End, o.Reason, o.Detail)
		}
		return nil
	}
}

// elsewhere sends the SDK's requests, whose host is fixed, to Prism.
type elsewhere struct{ to *url.URL }

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = e.to.Scheme, e.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

func twilioSDK(endpoint string) (*api.ApiService, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	c := &client.Client{
		Credentials: client.NewCredentials(sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken),
		HTTPClient:  &http.Client{Transport: elsewhere{to}, Timeout: 30 * time.Second},
	}
	c.SetAccountSid(sandbox.DefaultTwilioSID)
	return api.NewApiServiceWithClient(c), nil
}
