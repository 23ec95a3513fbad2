// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"
	twilioclient "github.com/twilio/twilio-go/client"
	twilioapi "github.com/twilio/twilio-go/rest/api/v2010"
	gomail "github.com/wneessen/go-mail"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

const user = "U0123456789abcdef0123456789abcdef"

func start(t testing.TB, c sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.Start(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func lineAPI(t testing.TB, s *sandbox.Sandbox, token string) *messaging_api.MessagingApiAPI {
	t.Helper()
	api, err := messaging_api.NewMessagingApiAPI(token, messaging_api.WithEndpoint(s.URLs().LINE))
	if err != nil {
		t.Fatal(err)
	}
	return api
}

func pushText(api *messaging_api.MessagingApiAPI, to, text, key string) (*http.Response, *messaging_api.PushMessageResponse, error) {
	return api.PushMessageWithHttpInfo(&messaging_api.PushMessageRequest{
		To:                     to,
		Messages:               []messaging_api.MessageInterface{messaging_api.TextMessage{Text: text}},
		CustomAggregationUnits: []string{},
	}, key)
}

// rewrite sends the Twilio SDK's requests, whose host is fixed, to the sandbox.
type rewrite struct{ base *url.URL }

func (r rewrite) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host = r.base.Scheme, r.base.Host
	return http.DefaultTransport.RoundTrip(req)
}

func twilioAPI(t testing.TB, s *sandbox.Sandbox, name, password string) *twilioapi.ApiService {
	t.Helper()
	base, err := url.Parse(s.URLs().Twilio)
	if err != nil {
		t.Fatal(err)
	}
	c := &twilioclient.Client{
		Credentials: twilioclient.NewCredentials(name, password),
		HTTPClient:  &http.Client{Transport: rewrite{base}, Timeout: 10 * time.Second},
	}
	c.SetAccountSid(sandbox.DefaultTwilioSID)
	return twilioapi.NewApiServiceWithClient(c)
}

func sms(to, body string) *twilioapi.CreateMessageParams {
	p := &twilioapi.CreateMessageParams{}
	p.SetTo(to).SetFrom("+815012345678").SetBody(body)
	return p
}

func twilioCode(t *testing.T, err error) (status, code int) {
	t.Helper()
	var rest *twilioclient.TwilioRestError
	if !errors.As(err, &rest) {
		t.Fatalf("want a Twilio error, got %v", err)
	}
	return rest.Status, rest.Code
}

func mailTo(t testing.TB, to, subject, text string) *gomail.Msg {
	t.Helper()
	m := gomail.NewMsg()
	for _, err := range []error{m.From("Kaeru Shop <news@shop.example>"), m.To(to)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m.Subject(subject)
	m.SetBodyString(gomail.TypeTextPlain, text)
	return m
}

func mailClient(t testing.TB, address string, options ...gomail.Option) *gomail.Client {
	t.Helper()
	u, err := url.Parse("smtp://" + address)
	if err != nil {
		t.Fatal(err)
	}
	port := 0
	for _, d := range u.Port() {
		port = port*10 + int(d-'0')
	}
	c, err := gomail.NewClient(u.Hostname(), append([]gomail.Option{
		gomail.WithPort(port), gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithTimeout(5 * time.Second),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func messages(t *testing.T, s *sandbox.Sandbox, q sandbox.Query) []sandbox.Message {
	t.Helper()
	all, err := s.Client().All(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within 5 seconds", what)
		}
	}
}

func TestEveryChannelArrives(t *testing.T) {
	s := start(t, sandbox.Config{SentAfter: sandbox.Duration(time.Millisecond), DeliveredAfter: sandbox.Duration(time.Millisecond)})
	key := uuid.NewString()
	if _, _, err := pushText(lineAPI(t, s, sandbox.DefaultLINEToken), user, "こんにちは https://shop.example/a をどうぞ", key); err != nil {
		t.Fatal(err)
	}
	m := mailTo(t, "taro@example.jp", "使い心地はいかがですか", "詳しくは https://shop.example/b まで")
	m.SetMessageIDWithValue("k1@shop.example")
	m.SetListUnsubscribe("<https://shop.example/u/1>")
	m.AddAlternativeString(gomail.TypeTextHTML, `<p>やあ <a href="https://shop.example/c?x=1&amp;y=2">見る</a><img src="https://shop.example/o.gif"></p>`)
	auth := []gomail.Option{gomail.WithSMTPAuth(gomail.SMTPAuthPlainNoEnc), gomail.WithUsername(sandbox.DefaultSMTPUser), gomail.WithPassword(sandbox.DefaultSMTPPassword)}
	if err := mailClient(t, s.URLs().SMTP, auth...).DialAndSend(m); err != nil {
		t.Fatal(err)
	}
	sent, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(sms("+819012345678", "明日まで https://shop.example/d"))
	if err != nil {
		t.Fatal(err)
	}

	all := messages(t, s, sandbox.Query{})
	if len(all) != 3 {
		t.Fatalf("%d messages arrived, want 3", len(all))
	}
	line, mail, text := all[0], all[1], all[2]
	if line.Channel != "line" || line.Key != key || line.To != user || len(line.Links) != 1 || line.Links[0] != "https://shop.example/a" {
		t.Errorf("LINE message: %+v", line)
	}
	if mail.Channel != "email" || mail.Key != "k1@shop.example" || mail.To != "taro@example.jp" || mail.Subject != "使い心地はいかがですか" {
		t.Errorf("mail: %+v", mail)
	}
	if len(mail.Links) != 2 || mail.Links[0] != "https://shop.example/c?x=1&y=2" || mail.Links[1] != "https://shop.example/b" {
		t.Errorf("mail's links: %q", mail.Links)
	}
	if len(mail.Images) != 1 || mail.Headers["List-Unsubscribe"][0] != "<https://shop.example/u/1>" {
		t.Errorf("mail's images %q and headers %q", mail.Images, mail.Headers)
	}
	if text.Channel != "sms" || text.Key != *sent.Sid || text.SMS.Segments != 1 || text.Links[0] != "https://shop.example/d" {
		t.Errorf("SMS: %+v", text)
	}
}
