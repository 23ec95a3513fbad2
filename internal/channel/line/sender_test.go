// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
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
	token    = "s3cr3tChannelAccessToken/+="
	userID   = "U0123456789abcdef0123456789abcdef"
	customer = "customer-4711"
	text     = "山田さん、次のお買い物で使えるクーポンです"
)

func message() *channel.Message {
	return &channel.Message{
		Key: uuid.New(), Customer: customer, To: userID,
		Line: &channel.Line{Messages: []json.RawMessage{json.RawMessage(`{"type":"text","text":"` + text + `"}`)}},
	}
}

// patience is long where an answer comes, and short where none does.
const (
	patience = 20 * time.Second
	hurry    = 200 * time.Millisecond
)

func sender(t *testing.T, endpoint string) *Sender { return patient(t, endpoint, patience) }

func patient(t *testing.T, endpoint string, timeout time.Duration) *Sender {
	t.Helper()
	s, err := New(Config{Endpoint: endpoint, ChannelAccessToken: token, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// begun counts how often a sending was begun.
type begun struct{ times int }

func (b *begun) begin(context.Context) error { b.times++; return nil }

func clean(t *testing.T, o channel.Outcome) {
	t.Helper()
	channeltest.NoneOf(t, o.Detail+o.Reason, token, userID, customer, text, "山田さん、次のお買い物で")
}

func answering(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func cutting(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func slow(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

type want struct {
	end                       channel.End
	reason, id                string
	suppress, slow, ambiguous bool
	pause                     string
	after                     time.Duration
}

func check(t *testing.T, o channel.Outcome, w want) {
	t.Helper()
	got := want{end: o.End, reason: o.Reason, id: o.ProviderID, suppress: o.Suppress, slow: o.Slow, ambiguous: o.Ambiguous, after: o.RetryAfter}
	if o.Pause != nil {
		got.pause = o.Pause.Reason
	}
	if got != w {
		t.Errorf("got  %+v\nwant %+v\ndetail %q", got, w, o.Detail)
	}
	if o.End != channel.Sent && o.Detail == "" {
		t.Error("an outcome that is not Sent needs a detail")
	}
	clean(t, o)
}

func TestOutcomes(t *testing.T) {
	html := map[string]string{"Content-Type": "text/html"}
	request := map[string]string{"X-Line-Request-Id": "req-1"}
	tests := map[string]struct {
		handler http.HandlerFunc
		want    want
	}{
		"sent": {answering(200, request, `{"sentMessages":[{"id":"461230966842064897","quoteToken":"q"}]}`),
			want{end: channel.Sent, id: "461230966842064897"}},
		"sent, though the body is none":  {answering(200, request, `gone`), want{end: channel.Sent, id: "req-1"}},
		"sent, though the body is empty": {answering(200, request, `{}`), want{end: channel.Sent, id: "req-1"}},
		"repeated key": {answering(409, map[string]string{"X-Line-Accepted-Request-Id": "req-0"},
			`{"message":"The retry key is already accepted","sentMessages":[{"id":"42"}]}`), want{end: channel.Sent, id: "42"}},
		"repeated key without messages": {answering(409, map[string]string{"X-Line-Accepted-Request-Id": "req-0"},
			`{"message":"The retry key is already accepted"}`), want{end: channel.Sent, id: "req-0"}},
		"409 that is not about the key": {answering(409, nil, `conflict`),
			want{end: channel.Retry, reason: channel.ReasonProviderFailing, ambiguous: true}},
		"rate limit": {answering(429, nil, `{"message":"The API rate limit has been exceeded. Try again later."}`),
			want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"concurrent operations": {answering(429, nil, `{"message":"Your request exceeded the concurrent operation limit."}`),
			want{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}},
		"monthly limit": {answering(429, nil, `{"message":"You have reached your monthly limit."}`),
			want{end: channel.Retry, reason: channel.ReasonQuotaExhausted, pause: channel.ReasonQuotaExhausted}},
		"unknown user": {answering(400, nil, `{"message":"Failed to send messages"}`),
			want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"malformed user id": {answering(400, nil, `{"message":"The property, 'to', in the request body is invalid (line: -, column: -)"}`),
			want{end: channel.Failed, reason: channel.ReasonRecipientInvalid, suppress: true}},
		"content": {answering(400, nil, `{"message":"The request body has 1 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"}]}`),
			want{end: channel.Failed, reason: channel.ReasonContentRefused}},
		"content quoted back": {answering(400, nil, `{"message":"The request body has 1 error(s): `+text+` to `+userID+` with `+token+`"}`),
			want{end: channel.Failed, reason: channel.ReasonContentRefused}},
		"bad retry key": {answering(400, nil, `{"message":"The retry key is invalid"}`),
			want{end: channel.Failed, reason: channel.ReasonRefused}},
		"400 in HTML": {answering(400, html, `<h1>Bad Request</h1>`), want{end: channel.Failed, reason: channel.ReasonRefused}},
		"401": {answering(401, nil, `{"message":"Authentication failed due to the following reason: invalid token."}`),
			want{end: channel.Retry, reason: channel.ReasonCredentialsInvalid, pause: channel.ReasonCredentialsInvalid}},
		"403": {answering(403, nil, `{"message":"Access to this API is not available for your account"}`),
			want{end: channel.Retry, reason: channel.ReasonPermissionDenied, pause: channel.ReasonPermissionDenied}},
		"404": {answering(404, nil, `{"message":"Not found"}`),
			want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"redirect": {answering(302, map[string]string{"Location": "/elsewhere"}, ``),
			want{end: channel.Retry, reason: channel.ReasonConfigurationWrong, pause: channel.ReasonConfigurationWrong}},
		"413":         {answering(413, nil, `{"message":"too large"}`), want{end: channel.Failed, reason: channel.ReasonContentTooLarge}},
		"another 4xx": {answering(410, nil, `{"message":"Gone"}`), want{end: channel.Failed, reason: channel.ReasonRefused}},
		"500": {answering(500, nil, `{"message":"The server encountered an unexpected error"}`),
			want{end: channel.Retry, reason: channel.ReasonProviderFailing, ambiguous: true}},
		"503 in HTML that says when": {answering(503, map[string]string{"Retry-After": "7"}, `<h1>Unavailable</h1>`),
			want{end: channel.Retry, reason: channel.ReasonProviderFailing, ambiguous: true, after: 7 * time.Second}},
		"connection cut": {cutting, want{end: channel.Retry, reason: channel.ReasonProviderUnreachable, ambiguous: true}},
		"no answer":      {slow, want{end: channel.Retry, reason: channel.ReasonProviderUnreachable, ambiguous: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, tt.handler)
			var b begun
			timeout := patience
			if name == "no answer" {
				timeout = hurry
			}
			check(t, patient(t, srv.URL, timeout).Send(t.Context(), message(), b.begin), tt.want)
			if b.times != 1 {
				t.Errorf("begun %d times, want once", b.times)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	m, s := message(), sender(t, "http://"+channeltest.ClosedPort(t))
	check(t, s.Send(t.Context(), m, nil), want{end: channel.Retry, reason: channel.ReasonProviderUnreachable})
	// What an earlier attempt left open stays open.
	m.Line.Since = time.Now().Add(-time.Hour)
	check(t, s.Resolve(t.Context(), m), want{end: channel.Retry, reason: channel.ReasonProviderUnreachable, ambiguous: true})
}

func TestUntrustedCertificate(t *testing.T) {
	check(t, sender(t, newTLS(t)).Send(t.Context(), message(), nil),
		want{end: channel.Retry, reason: channel.ReasonTLSFailed, pause: channel.ReasonTLSFailed})
}

func TestRequest(t *testing.T) {
	var header http.Header
	var body []byte
	srv := channeltest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, `{"sentMessages":[{"id":"1"}]}`)
	})
	s, m := sender(t, srv.URL), message()
	raw := `{"type":"coupon","couponId":"c-1","future":{"field":[1,2]}}`
	m.Line.Messages = append(m.Line.Messages, json.RawMessage(raw))
	if o := s.Send(t.Context(), m, nil); o.End != channel.Sent {
		t.Fatal(o)
	}
	if got := header.Get("X-Line-Retry-Key"); got != m.Key.String() {
		t.Errorf("retry key %q, want %q", got, m.Key)
	}
	if got := header.Get("Authorization"); got != "Bearer "+token {
		t.Errorf("authorization %q", got)
	}
	want := `{"to":"` + userID + `","notificationDisabled":false,"customAggregationUnits":[],"messages":[{"type":"text","text":"` + text + `"},` + raw + `]}`
	var a, b any
	if json.Unmarshal(body, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || !equal(a, b) {
		t.Errorf("body %s\nwant %s", body, want)
	}
	m.Line.Unit, m.Line.NotificationDisabled = "autumn_1", true
	s.Send(t.Context(), m, nil)
	if !strings.Contains(string(body), `"customAggregationUnits":["autumn_1"]`) || !strings.Contains(string(body), `"notificationDisabled":true`) {
		t.Errorf("body %s", body)
	}
}

func equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestRefusedHere(t *testing.T) {
	srv := channeltest.NewServer(t, func(http.ResponseWriter, *http.Request) { t.Error("LINE was called") })
	tests := map[string]func(*channel.Message){
		"no content":   func(m *channel.Message) { m.Line = nil },
		"two contents": func(m *channel.Message) { m.SMS = &channel.SMS{} },
		"no key":       func(m *channel.Message) { m.Key = uuid.Nil },
		"no address":   func(m *channel.Message) { m.To = "" },
		"no objects":   func(m *channel.Message) { m.Line.Messages = nil },
		"six objects":  func(m *channel.Message) { m.Line.Messages = make([]json.RawMessage, 6) },
		"not JSON":     func(m *channel.Message) { m.Line.Messages[0] = json.RawMessage(`{"type":` + text) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			m := message()
			change(m)
			var b begun
			check(t, sender(t, srv.URL).Send(t.Context(), m, b.begin), want{end: channel.Failed, reason: channel.ReasonMessageInvalid})
			if b.times != 0 {
				t.Error("it was begun")
			}
		})
	}
}

func TestBeginFails(t *testing.T) {
	srv := channeltest.NewServer(t, func(http.ResponseWriter, *http.Request) { t.Error("LINE was called") })
	o := sender(t, srv.URL).Send(t.Context(), message(), func(context.Context) error { return errors.New("the lease is lost") })
	check(t, o, want{end: channel.Retry, reason: channel.ReasonNotBegun})
	if o.Detail != "the lease is lost" {
		t.Errorf("detail %q", o.Detail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o = sender(t, srv.URL).Send(ctx, message(), nil)
	if o.End != channel.Retry || o.Reason != channel.ReasonInterrupted || o.Ambiguous {
		t.Errorf("%+v", o)
	}
}

func TestAnswerIsAwaitedAfterTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := channeltest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		time.Sleep(50 * time.Millisecond)
		_, _ = io.WriteString(w, `{"sentMessages":[{"id":"1"}]}`)
	})
	check(t, sender(t, srv.URL).Send(ctx, message(), nil), want{end: channel.Sent, id: "1"})
}

// A push that LINE refused long ago, as with the month's limit reached, is simply sent.
func TestSendAfterAnOldRefusal(t *testing.T) {
	m := message()
	m.Line.Since = time.Now().Add(-20 * 24 * time.Hour)
	limit := channeltest.NewServer(t, answering(429, nil, `{"message":"You have reached your monthly limit."}`))
	check(t, sender(t, limit.URL).Send(t.Context(), m, nil),
		want{end: channel.Retry, reason: channel.ReasonQuotaExhausted, pause: channel.ReasonQuotaExhausted})
	open := channeltest.NewServer(t, answering(200, nil, `{"sentMessages":[{"id":"1"}]}`))
	check(t, sender(t, open.URL).Send(t.Context(), m, nil), want{end: channel.Sent, id: "1"})
}

func TestResolve(t *testing.T) {
	calls := 0
	srv := channeltest.NewServer(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.Header().Set("X-Line-Accepted-Request-Id", "req-0")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"message":"The retry key is already accepted","sentMessages":[{"id":"7"}]}`)
	})
	s := sender(t, srv.URL)
	tests := map[string]struct {
		since time.Time
		want  want
		calls int
	}{
		"an hour ago": {time.Now().Add(-time.Hour), want{end: channel.Sent, id: "7"}, 1},
		"a day ago":   {time.Now().Add(-24 * time.Hour), want{end: channel.Unknown, reason: channel.ReasonOutcomeLost}, 0},
		"not known":   {time.Time{}, want{end: channel.Unknown, reason: channel.ReasonOutcomeLost}, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			calls = 0
			m := message()
			m.Line.Since = tt.since
			check(t, s.Resolve(t.Context(), m), tt.want)
			if calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
		})
	}
}

func TestErrorsKeepTheConnection(t *testing.T) {
	srv := channeltest.NewServer(t, answering(503, map[string]string{"Content-Type": "text/html"}, strings.Repeat("<p>Unavailable</p>", 5000)))
	s := sender(t, srv.URL)
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
	srv := channeltest.NewServer(t, answering(200, nil, `{"sentMessages":[{"id":"1"}]}`))
	s := sender(t, srv.URL)
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
