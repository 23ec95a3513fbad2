// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

// newTLS is the address of a server whose certificate nobody knows.
func newTLS(t *testing.T) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(answering(200, nil, `{}`))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.URL
}

func account(quota string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/bot/info":
			_, _ = io.WriteString(w, `{"userId":"U1","basicId":"@123abcde","displayName":"Kaeru Shop","chatMode":"bot","markAsReadMode":"auto"}`)
		case "/v2/bot/message/quota":
			_, _ = io.WriteString(w, quota)
		case "/v2/bot/message/quota/consumption":
			_, _ = io.WriteString(w, `{"totalUsage":12044}`)
		default:
			http.NotFound(w, r)
		}
	}
}

func TestCheck(t *testing.T) {
	a, err := sender(t, channeltest.NewServer(t, account(`{"type":"limited","value":30000}`)).URL).Check(t.Context())
	if err != nil || a.Name != "Kaeru Shop (@123abcde)" || a.Quota == nil || a.Quota.Limit == nil || *a.Quota.Limit != 30000 || a.Quota.Used != 12044 {
		t.Errorf("%+v %v", a, err)
	}
	a, err = sender(t, channeltest.NewServer(t, account(`{"type":"none"}`)).URL).Check(t.Context())
	if err != nil || a.Quota == nil || a.Quota.Limit != nil || a.Quota.Used != 12044 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestCheckErrors(t *testing.T) {
	tests := map[string]struct {
		handler   http.HandlerFunc
		permanent bool
		reason    string
	}{
		"401": {answering(401, nil, `{"message":"Authentication failed due to the following reason: invalid token `+token+`"}`),
			true, channel.ReasonCredentialsInvalid},
		"403":        {answering(403, nil, `{"message":"Access to this API is not available for your account"}`), true, channel.ReasonPermissionDenied},
		"404":        {answering(404, nil, `nothing here`), true, channel.ReasonConfigurationWrong},
		"not LINE":   {answering(200, nil, `<h1>Welcome to nginx</h1>`), true, channel.ReasonConfigurationWrong},
		"redirect":   {answering(301, map[string]string{"Location": "/"}, ``), true, channel.ReasonConfigurationWrong},
		"rate limit": {answering(429, nil, `{"message":"The API rate limit has been exceeded. Try again later."}`), false, channel.ReasonRateLimited},
		"500":        {answering(500, nil, `oops`), false, channel.ReasonProviderFailing},
		"cut":        {cutting, false, channel.ReasonProviderUnreachable},
		"no answer":  {slow, false, channel.ReasonProviderUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			timeout := patience
			if name == "no answer" {
				timeout = hurry
			}
			_, err := patient(t, channeltest.NewServer(t, tt.handler).URL, timeout).Check(t.Context())
			var e *channel.CheckError
			if !errors.As(err, &e) {
				t.Fatalf("%v is no CheckError", err)
			}
			if e.Permanent != tt.permanent || e.Reason != tt.reason || e.Message == "" {
				t.Errorf("%+v", e)
			}
			channeltest.NoneOf(t, e.Message, token)
		})
	}
}

func TestNew(t *testing.T) {
	tests := map[string]struct {
		config Config
		ok     bool
	}{
		"usual":               {Config{ChannelAccessToken: token}, true},
		"no token":            {Config{}, false},
		"loopback":            {Config{ChannelAccessToken: token, Endpoint: "http://127.0.0.1:4010"}, true},
		"plain http far away": {Config{ChannelAccessToken: token, Endpoint: "http://api.line.me"}, false},
		"no URL":              {Config{ChannelAccessToken: token, Endpoint: "api.line.me"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := New(tt.config)
			if (err == nil) != tt.ok {
				t.Error(err)
			}
		})
	}
}

func TestNextMonth(t *testing.T) {
	// In Japan the new month has begun already.
	got := nextMonth(time.Date(2026, 11, 30, 15, 30, 0, 0, time.UTC))
	if want := time.Date(2026, 12, 31, 15, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("%v, want %v", got.UTC(), want)
	}
}
