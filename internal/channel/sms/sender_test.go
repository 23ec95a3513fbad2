// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

func TestMain(m *testing.M) { channeltest.Main(m) }

const (
	sid      = "AC0123456789abcdef0123456789abcdef"
	token    = "s3cr3tAuthToken0000000000000000"
	number   = "+819012345678"
	customer = "customer-4711"
	link     = "https://shop.example/l/Zx81"
	text     = "クーポン AUTUMN15 は明日まで " + link
)

func message() *channel.Message {
	return &channel.Message{Key: uuid.New(), Customer: customer, To: number,
		SMS: &channel.SMS{Text: text, Link: link, StatusCallback: "https://crm.shop.example/v1/webhooks/twilio?d=1"}}
}

// patience is long where an answer comes, and short where none does.
const (
	patience = 20 * time.Second
	hurry    = 200 * time.Millisecond
)

func config(endpoint string) Config {
	return Config{Endpoint: endpoint, AccountSID: sid, AuthToken: token, From: "+815012345678",
		Timeout: patience, LookupDelays: []time.Duration{time.Millisecond, time.Millisecond}}
}

func sender(t *testing.T, c Config) *Sender {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type want struct {
	end            channel.End
	reason, id     string
	parts          int
	suppress, slow bool
	pause          string
	after          time.Duration
}

func checkOutcome(t *testing.T, o channel.Outcome, w want) {
	t.Helper()
	got := want{end: o.End, reason: o.Reason, id: o.ProviderID, parts: o.Parts, suppress: o.Suppress, slow: o.Slow, after: o.RetryAfter}
	if o.Pause != nil {
		got.pause = o.Pause.Reason
	}
	if got != w {
		t.Errorf("got  %+v\nwant %+v\ndetail %q", got, w, o.Detail)
	}
	if o.End != channel.Sent && o.Detail == "" {
		t.Error("an outcome that is not Sent needs a detail")
	}
	channeltest.NoneOf(t, o.Detail+o.Reason, token, number, number[1:], "9012345678", customer, link, text, "AUTUMN15 は明日まで")
}

// twilio answers creations with create and lists with list.
func twilio(create, list http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_ = r.ParseForm()
			create(w, r)
			return
		}
		list(w, r)
	}
}

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refusing(status, code int, words string) http.HandlerFunc {
	return answering(status, fmt.Sprintf(`{"code":%d,"message":%q,"status":%d}`, code, words, status))
}

func listing(messages ...string) http.HandlerFunc {
	return answering(200, `{"messages":[`+strings.Join(messages, ",")+`]}`)
}

func cutting(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

const created = `{"sid":"SM1","status":"queued","num_segments":"2","error_code":null}`

func resource(id, status, code string) string {
	return fmt.Sprintf(`{"sid":%q,"status":%q,"num_segments":"1","error_code":%s,"direction":"outbound-api","body":%q}`, id, status, code, text)
}

func TestOutcomes(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) { panic("looked up without need") }
	other := `{"sid":"SM9","status":"delivered","body":"クーポン https://shop.example/l/other"}`
	lost := want{end: channel.Unknown, reason: channel.ReasonOutcomeLost}
	found := want{end: channel.Sent, id: "SM2", parts: 1}
	tests := map[string]struct {
		create, list http.HandlerFunc
		want         want
	}{
		"sent":                     {answering(201, created), never, want{end: channel.Sent, id: "SM1", parts: 2}},
		"sent by a service":        {answering(201, `{"sid":"SM1","status":"accepted","num_segments":"0"}`), never, want{end: channel.Sent, id: "SM1"}},
		"sent, answer unreadable":  {answering(201, `{"sid":`), listing(resource("SM2", "sent", "null")), found},
		"sent, answer lost":        {answering(201, `{"sid":`), listing(other), want{end: channel.Sent}},
		"cut, and taken":           {cutting, listing(other, resource("SM2", "queued", "null")), found},
		"cut, and not shown":       {cutting, listing(other), lost},
		"no answer, and taken":     {silent, listing(resource("SM2", "sent", "null")), found},
		"503 in HTML, and taken":   {answering(503, "<h1>Unavailable</h1>"), listing(resource("SM2", "delivered", "null")), found},
		"500 in JSON, not shown":   {refusing(500, 20500, "An internal server error has occurred"), listing(), lost},
		"taken, and undelivered":   {cutting, listing(resource("SM2", "undelivered", "30005")), want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, id: "SM2", parts: 1, suppress: true}},
		"lookup fails":             {cutting, answering(500, "oops"), want{end: channel.Unknown, reason: channel.ReasonProviderFailing}},
		"lookup cut":               {cutting, cutting, want{end: channel.Unknown, reason: channel.ReasonProviderUnreachable}},
		"lookup refused":           {cutting, refusing(429, 20429, "Too Many Requests"), want{end: channel.Unknown, reason: channel.ReasonRateLimited}},
		"429":                      {refusing(429, 20429, "Too Many Requests"), never, want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"429 in HTML":              {answering(429, "<h1>slow down</h1>"), never, want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"401":                      {refusing(401, 20003, "Authenticate "+token), never, want{end: channel.Retry, reason: channel.ReasonCredentialsInvalid, pause: channel.ReasonCredentialsInvalid}},
		"401 in HTML":              {answering(401, ""), never, want{end: channel.Retry, reason: channel.ReasonCredentialsInvalid, pause: channel.ReasonCredentialsInvalid}},
		"403":                      {answering(403, ""), never, want{end: channel.Retry, reason: channel.ReasonPermissionDenied, pause: channel.ReasonPermissionDenied}},
		"404":                      {refusing(404, 20404, "not found"), never, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"redirect":                 {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, never, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"opted out":                {refusing(400, 21610, "Attempt to send to unsubscribed recipient"), never, want{end: channel.Failed, reason: channel.ReasonRecipientOptedOut, suppress: true}},
		"invalid number":           {refusing(400, 21211, "Invalid 'To' Phone Number: "+number), never, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"number written otherwise": {refusing(400, 21211, "Invalid 'To' Phone Number: 81-90-1234-5678 for "+text), never, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"not a mobile":             {refusing(400, 21614, "not a mobile number"), never, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"landline":                 {refusing(400, 21635, "landline"), never, want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"region":                   {refusing(400, 21408, "Permission not enabled"), never, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"unroutable":               {refusing(400, 21612, "not reachable"), never, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"bad sender":               {refusing(400, 21212, "invalid From"), never, want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"too long":                 {refusing(400, 21617, "exceeds 1600"), never, want{end: channel.Failed, reason: channel.ReasonContentTooLarge}},
		"queue full":               {refusing(429, 21611, "queue"), never, want{end: channel.Retry, reason: channel.ReasonQueueFull, slow: true, after: time.Minute}},
		"too many replies":         {refusing(400, 14107, "rate"), never, want{end: channel.Retry, reason: channel.ReasonTooManyToOne, after: 30 * time.Second}},
		"the day is full":          {refusing(429, 63038, "daily limit"), never, want{end: channel.Retry, reason: channel.ReasonQuotaExhausted, pause: channel.ReasonQuotaExhausted}},
		"another code":             {refusing(400, 29999, "something new"), never, want{end: channel.Failed, reason: channel.ReasonRefused}},
		"another status":           {answering(418, "teapot"), never, want{end: channel.Failed, reason: channel.ReasonRefused}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, twilio(tt.create, tt.list))
			times, c := 0, config(srv.URL)
			if strings.HasPrefix(name, "no answer") {
				c.Timeout = hurry
			}
			o := sender(t, c).Send(t.Context(), message(), func(context.Context) error { times++; return nil })
			checkOutcome(t, o, tt.want)
			if times != 1 {
				t.Errorf("begun %d times, want once", times)
			}
		})
	}
}

func TestUndelivered(t *testing.T) {
	tests := map[int]struct {
		reason   string
		suppress bool
	}{
		30003: {channel.ReasonRecipientUnreachable, false},
		30004: {channel.ReasonContentFiltered, false},
		30005: {channel.ReasonRecipientInvalid, true},
		30006: {channel.ReasonRecipientInvalid, true},
		30007: {channel.ReasonContentFiltered, false},
		30008: {channel.ReasonRecipientUnreachable, false},
		21610: {channel.ReasonRecipientOptedOut, true},
		21408: {channel.ReasonRefused, false},
		0:     {channel.ReasonRefused, false},
	}
	for code, tt := range tests {
		o := Undelivered(code)
		if o.End != channel.Failed || o.Reason != tt.reason || o.Suppress != tt.suppress || o.Pause != nil {
			t.Errorf("%d: %+v", code, o)
		}
	}
}

func TestNotSent(t *testing.T) {
	never := channeltest.NewServer(t, func(http.ResponseWriter, *http.Request) { t.Error("Twilio was called") })
	untrusted := httptest.NewUnstartedServer(answering(201, created))
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx      context.Context
		endpoint string
		begin    channel.Begin
		change   func(*channel.Message)
		want     want
	}{
		"nothing listens": {endpoint: "http://" + channeltest.ClosedPort(t), want: want{end: channel.Retry, reason: channel.ReasonProviderUnreachable}},
		"untrusted":       {endpoint: untrusted.URL, want: want{end: channel.Retry, reason: channel.ReasonTLSFailed, pause: channel.ReasonTLSFailed}},
		"begin fails": {endpoint: never.URL, begin: func(context.Context) error { return errors.New("the lease is lost") },
			want: want{end: channel.Retry, reason: channel.ReasonNotBegun}},
		"context ended": {ctx: ended, endpoint: never.URL, want: want{end: channel.Retry, reason: channel.ReasonInterrupted}},
		"no content":    {endpoint: never.URL, change: func(m *channel.Message) { m.SMS = nil }, want: want{end: channel.Failed, reason: channel.ReasonMessageInvalid}},
		"no text":       {endpoint: never.URL, change: func(m *channel.Message) { m.SMS.Text = "" }, want: want{end: channel.Failed, reason: channel.ReasonMessageInvalid}},
		"no number":     {endpoint: never.URL, change: func(m *channel.Message) { m.To = "" }, want: want{end: channel.Failed, reason: channel.ReasonMessageInvalid}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := message()
			if tt.change != nil {
				tt.change(m)
			}
			if tt.ctx == nil {
				tt.ctx = t.Context()
			}
			checkOutcome(t, sender(t, config(tt.endpoint)).Send(tt.ctx, m, tt.begin), tt.want)
		})
	}
}

func TestRequest(t *testing.T) {
	type sent struct {
		path, user, password string
		form                 map[string]string
	}
	key := "SK0123456789abcdef0123456789abcdef"
	tests := map[string]struct {
		change func(*Config)
		want   sent
	}{
		"auth token and number": {func(*Config) {}, sent{user: sid, password: token, form: map[string]string{"From": "+815012345678"}}},
		"API key and service": {func(c *Config) {
			c.AuthToken, c.APIKeySID, c.APIKeySecret = "", key, "s3cr3tKey"
			c.From, c.MessagingServiceSID = "", "MG0123456789abcdef0123456789abcdef"
		}, sent{user: key, password: "s3cr3tKey", form: map[string]string{"MessagingServiceSid": "MG0123456789abcdef0123456789abcdef"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got sent
			srv := channeltest.NewServer(t, twilio(func(w http.ResponseWriter, r *http.Request) {
				got.path = r.URL.Path
				got.user, got.password, _ = r.BasicAuth()
				got.form = map[string]string{}
				for k := range r.PostForm {
					got.form[k] = r.PostForm.Get(k)
				}
				answering(201, created)(w, r)
			}, nil))
			c := config(srv.URL)
			tt.change(&c)
			m := message()
			if o := sender(t, c).Send(t.Context(), m, nil); o.End != channel.Sent {
				t.Fatal(o)
			}
			tt.want.path = "/2010-04-01/Accounts/" + sid + "/Messages.json"
			tt.want.form["To"], tt.want.form["Body"], tt.want.form["StatusCallback"] = number, text, m.SMS.StatusCallback
			tt.want.form["SmartEncoded"] = "false"
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
		})
	}
}

func TestErrorsKeepTheConnection(t *testing.T) {
	// 503 in HTML is what the SDK leaves open.
	html := answering(503, strings.Repeat("<p>Unavailable</p>", 5000))
	srv := channeltest.NewServer(t, twilio(html, html))
	s := sender(t, config(srv.URL))
	for range 30 {
		if o := s.Send(t.Context(), message(), nil); o.Reason != channel.ReasonProviderFailing {
			t.Fatal(o)
		}
	}
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestConcurrentSends(t *testing.T) {
	srv := channeltest.NewServer(t, twilio(answering(201, created), nil))
	s := sender(t, config(srv.URL))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
					t.Error(o)
				}
			}
		})
	}
	wg.Wait()
	if n := srv.Connections(); n > 16 {
		t.Errorf("%d connections for 8 at a time", n)
	}
}

func TestLookupEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := channeltest.NewServer(t, twilio(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		cutting(w, r)
	}, listing()))
	c := config(srv.URL)
	c.LookupDelays = []time.Duration{time.Hour, time.Hour}
	start := time.Now()
	checkOutcome(t, sender(t, c).Send(ctx, message(), nil), want{end: channel.Unknown, reason: channel.ReasonOutcomeLost})
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}
