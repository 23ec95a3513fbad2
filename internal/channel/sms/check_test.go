// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/channeltest"
)

func TestCheck(t *testing.T) {
	account := `{"sid":"` + sid + `","friendly_name":"Kaeru Shop","status":"`
	key := func(c *Config) {
		c.AuthToken, c.APIKeySID, c.APIKeySecret = "", "SK0123456789abcdef0123456789abcdef", "s3cr3tKey"
	}
	tests := map[string]struct {
		change    func(*Config)
		account   http.HandlerFunc
		list      http.HandlerFunc
		name      string
		permanent bool
		reason    string
	}{
		"active":              {account: answering(200, account+`active"}`), name: "Kaeru Shop (" + sid + ")"},
		"suspended":           {account: answering(200, account+`suspended"}`), permanent: true, reason: channel.ReasonPermissionDenied},
		"key sees no account": {change: key, account: refusing(401, 20003, "Authenticate"), list: listing(), name: sid},
		"key is wrong":        {change: key, account: refusing(401, 20003, "Authenticate"), list: refusing(401, 20003, "Authenticate"), permanent: true, reason: channel.ReasonCredentialsInvalid},
		"token is wrong":      {account: refusing(401, 20003, "Authenticate "+token), permanent: true, reason: channel.ReasonCredentialsInvalid},
		"403":                 {account: answering(403, ""), permanent: true, reason: channel.ReasonPermissionDenied},
		"404":                 {account: refusing(404, 20404, "not found"), permanent: true, reason: channel.ReasonConfigurationWrong},
		"not Twilio":          {account: answering(200, "<h1>Welcome</h1>"), permanent: true, reason: channel.ReasonConfigurationWrong},
		"429":                 {account: refusing(429, 20429, "Too Many Requests"), reason: channel.ReasonRateLimited},
		"503":                 {account: answering(503, "<h1>Unavailable</h1>"), reason: channel.ReasonProviderFailing},
		"cut":                 {account: cutting, reason: channel.ReasonProviderUnreachable},
		"no answer":           {account: silent, reason: channel.ReasonProviderUnreachable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := channeltest.NewServer(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/Messages.json") {
					tt.list(w, r)
					return
				}
				tt.account(w, r)
			})
			c := config(srv.URL)
			if name == "no answer" {
				c.Timeout = hurry
			}
			if tt.change != nil {
				tt.change(&c)
			}
			a, err := sender(t, c).Check(t.Context())
			if tt.reason == "" {
				if err != nil || a.Name != tt.name || a.Quota != nil {
					t.Errorf("%+v %v", a, err)
				}
				return
			}
			var e *channel.CheckError
			if !errors.As(err, &e) {
				t.Fatalf("%v is no CheckError", err)
			}
			if e.Permanent != tt.permanent || e.Reason != tt.reason || e.Message == "" {
				t.Errorf("%+v", e)
			}
			channeltest.NoneOf(t, e.Message, token, "s3cr3tKey")
		})
	}
}

func TestNew(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		ok     bool
	}{
		"usual":              {func(*Config) {}, true},
		"Twilio's endpoint":  {func(c *Config) { c.Endpoint = "" }, true},
		"no account":         {func(c *Config) { c.AccountSID = "shop" }, false},
		"no token":           {func(c *Config) { c.AuthToken = "" }, false},
		"token with newline": {func(c *Config) { c.AuthToken = token + "\n" }, false},
		"no secret":          {func(c *Config) { c.APIKeySID = "SK0123456789abcdef0123456789abcdef" }, false},
		"bad key":            {func(c *Config) { c.APIKeySID, c.APIKeySecret = "key", "s" }, false},
		"no sender":          {func(c *Config) { c.From = "" }, false},
		"two senders":        {func(c *Config) { c.MessagingServiceSID = "MG1" }, false},
		"endpoint's path":    {func(c *Config) { c.Endpoint = "https://proxy.example/twilio" }, false},
		"plain http":         {func(c *Config) { c.Endpoint = "http://api.twilio.com" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config("http://127.0.0.1:1")
			tt.change(&c)
			_, err := New(c)
			if (err == nil) != tt.ok {
				t.Error(err)
			}
			if err != nil {
				channeltest.NoneOf(t, err.Error(), token)
			}
		})
	}
}
