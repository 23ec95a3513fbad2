// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const linePath = "/v1/webhooks/line/shop/line-main"

func signLINE(key, body string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func (f *fixture) webhook(path, body, signature string) int {
	f.Helper()
	r := request(http.MethodPost, path, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Line-Signature", signature)
	return f.do(r).Code
}

// about is one event of a webhook, about lineUser.
func about(kind, id string, at int64, rest string) string {
	if rest != "" {
		rest = "," + rest
	}
	return fmt.Sprintf(`{"type":%q,"timestamp":%d,"mode":"active","webhookEventId":%q,"deliveryContext":{"isRedelivery":false},"source":{"type":"user","userId":%q}%s}`,
		kind, at, id, lineUser, rest)
}

func event(kind string, at int64) string {
	rest := ""
	if kind == "follow" {
		rest = `"follow":{"isUnblocked":true}`
	}
	return about(kind, fmt.Sprintf("01%s%d", kind, at), at, rest)
}

// said is a message of lineUser's.
func said(id string, at int64, message string) string {
	return about("message", id, at, `"replyToken":"reply-`+id+`","message":`+message)
}

func TestFollows(t *testing.T) {
	const message = `{"type":"message","timestamp":5,"mode":"active","webhookEventId":"01H","deliveryContext":{"isRedelivery":false},"replyToken":"r","source":{"type":"user","userId":"U1"},"message":{"type":"text","id":"1","text":"hi","quoteToken":"q"}}`
	cases := map[string]struct {
		before   string     // the reason of a suppression that is there
		webhooks [][]string // the events of each
		want     string     // the reason at the end
	}{
		"no events":                        {webhooks: [][]string{{}}},
		"unfollow":                         {webhooks: [][]string{{event("unfollow", 10)}}, want: "Unfollowed"},
		"and follow again":                 {webhooks: [][]string{{event("unfollow", 10)}, {event("follow", 20)}}},
		"the older one arrives later":      {webhooks: [][]string{{event("follow", 20)}, {event("unfollow", 10)}}},
		"the older follow arrives later":   {webhooks: [][]string{{event("unfollow", 20)}, {event("follow", 10)}}, want: "Unfollowed"},
		"redelivered after a newer one":    {webhooks: [][]string{{event("unfollow", 10)}, {event("follow", 20)}, {event("unfollow", 10)}}},
		"both at once":                     {webhooks: [][]string{{event("unfollow", 10), event("follow", 11), event("unfollow", 12)}}, want: "Unfollowed"},
		"an invalid address follows":       {before: "RecipientInvalid", webhooks: [][]string{{event("follow", 10)}}},
		"an operator's suppression stays":  {before: "Operator", webhooks: [][]string{{event("unfollow", 10)}, {event("follow", 20)}}, want: "Operator"},
		"what customers write is not ours": {webhooks: [][]string{{message}}},
		"an event of tomorrow":             {webhooks: [][]string{{`{"type":"teleport","source":{"type":"user","userId":"U1"}}`, event("unfollow", 10)}}, want: "Unfollowed"},
		"events of a shape nobody knows":   {webhooks: [][]string{{`{"type":"follow","timestamp":"soon"}`, `7`, `null`, `{}`, `{"type":"unfollow","source":{"type":"robot"}}`, event("unfollow", 10)}}, want: "Unfollowed"},
		"an unfollow without a user":       {webhooks: [][]string{{`{"type":"unfollow","timestamp":1}`, `{"type":"unfollow","timestamp":1,"source":{"type":"group","groupId":"C1"}}`}}},
		"a user whom no store could hold":  {webhooks: [][]string{{`{"type":"unfollow","timestamp":1,"source":{"type":"user","userId":"\u0000"}}`}}},
	}
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				if tt.before != "" {
					f.exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'line', $1, $2, 0)`, lineUser, tt.before)
				}
				for _, events := range tt.webhooks {
					body := `{"destination":"U0","events":[` + strings.Join(events, ",") + `]}`
					if got := f.webhook(linePath, body, signLINE(secret, body)); got != http.StatusOK {
						f.Errorf("status %d", got)
					}
				}
				want := 0
				if tt.want != "" {
					want = 1
					if f.count(`SELECT COUNT(*) FROM suppressions WHERE ns = 'shop' AND channel = 'line' AND address = $1 AND reason = $2`, lineUser, tt.want) != 1 {
						f.Errorf("the user is not suppressed for %s", tt.want)
					}
				}
				if got := f.count(`SELECT COUNT(*) FROM suppressions`); got != want {
					f.Errorf("%d suppressions, want %d", got, want)
				}
			})
		}
	})
}

func TestLINESignatures(t *testing.T) {
	f := newSQLite(t)
	body := `{"destination":"U0","events":[` + event("unfollow", 10) + `]}`
	good := signLINE(secret, body)
	for name, tt := range map[string]struct {
		path, body, signature string
		want                  int
	}{
		"none":                       {linePath, body, "", http.StatusForbidden},
		"not base64":                 {linePath, body, "%", http.StatusForbidden},
		"another key's":              {linePath, body, signLINE("other", body), http.StatusForbidden},
		"of another body":            {linePath, body + " ", good, http.StatusForbidden},
		"a channel that is not":      {"/v1/webhooks/line/shop/none", body, good, http.StatusNotFound},
		"a channel of Twilio's":      {"/v1/webhooks/line/shop/sms-main", body, good, http.StatusNotFound},
		"a channel without a secret": {"/v1/webhooks/line/shop/half-made", body, signLINE("", body), http.StatusNotFound},
		"another shop's":             {"/v1/webhooks/line/mall/line-main", body, good, http.StatusNotFound},
		"not JSON":                   {linePath, "hello", signLINE(secret, "hello"), http.StatusBadRequest},
		"too long":                   {linePath, strings.Repeat(" ", maxWebhook+1), good, http.StatusBadRequest},
	} {
		if got := f.webhook(tt.path, tt.body, tt.signature); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	if n := f.count(`SELECT COUNT(*) FROM suppressions`); n != 0 {
		t.Errorf("%d suppressions", n)
	}
	if got := f.webhook(linePath, body, good); got != http.StatusOK {
		t.Errorf("a good signature: status %d", got)
	}
}
