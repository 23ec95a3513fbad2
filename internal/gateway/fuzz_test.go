// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// FuzzRequest: whatever is asked for, by anybody, the answer is one that is meant, and nothing is written.
func FuzzRequest(f *testing.F) {
	fx := newSQLite(f)
	id := fx.message("email", "mail", "sent")
	for _, path := range []string{
		"/", "/healthz", "/s/abc", "/o/", "/l/%00", "/u/../l/x", "/v1/webhooks/sms/shop/sms-main?m=x", "/v1/webhooks/line/shop/line-main",
		fx.token(content.Click, id)[:40], "/l/AQ", "/p/AQ", fx.token(content.Preferences, id)[:30], "/u/AQ/undo", "//s//", "/s/%2e%2e",
	} {
		f.Add(http.MethodGet, path, "", browser, "ja")
		f.Add(http.MethodPost, path, "MessageSid=SM1&MessageStatus=delivered", "", "*;q=0")
	}
	f.Fuzz(func(t *testing.T, method, path, body, agent, language string) {
		fx.TB = t
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" || !strings.HasPrefix(path, "/") {
			t.Skip()
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		r.Header.Set("User-Agent", agent)
		r.Header.Set("Accept-Language", language)
		if w := fx.do(r); w.Code >= 500 || w.Code == http.StatusFound {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if n := fx.count(`SELECT (SELECT COUNT(*) FROM receipts) + (SELECT COUNT(*) FROM consents) + (SELECT COUNT(*) FROM follows)`); n != 0 {
			t.Errorf("%d rows were written", n)
		}
	})
}

// FuzzTwilioCallback: what has a signature is written, whatever it says, and takes nothing back.
func FuzzTwilioCallback(f *testing.F) {
	fx := newSQLite(f)
	id := fx.message("sms", "sms-main", "sent")
	fx.callback(id, "SM0", "delivered", "")
	before := fx.marks(id)
	f.Add("SM1", "undelivered", "30005", "+819012345678", true)
	f.Add("", "", "", "", false)
	f.Add("SM\x00", "\xff\xfe", "21610", "'; DROP TABLE messages", true)
	f.Add("SM0", "delivered", "x", "tel:", true)
	f.Fuzz(func(t *testing.T, sid, status, code, to string, byKey bool) {
		fx.TB = t
		v := url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "ErrorCode": {code}, "To": {to}}
		path := smsPath
		if byKey {
			path += "?m=" + id.String()
		}
		got := fx.sendCallback(path, signTwilio(secret, publicURL+path, v), v)
		if got != http.StatusNoContent && got != http.StatusBadRequest {
			t.Errorf("status %d", got)
		}
		if after := fx.marks(id); after.state != "sent" || after.delivered != before.delivered || after.bounced != "" {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}

// FuzzLINEWebhook: what has LINE's signature is taken, whatever it says, and all that comes out of it a store
// can hold.
func FuzzLINEWebhook(f *testing.F) {
	fx := newSQLite(f)
	f.Add(`{"destination":"U0","events":[` + event("follow", 1) + `,` + event("unfollow", -1) + `]}`)
	f.Add(`{"events":null}`)
	f.Add(`{"events":[null,1,"x",{"type":7},{"type":"follow","source":{"type":"user","userId":"\ud800"}}]}`)
	f.Add(`{"events":[` + said("01A", 1, `{"type":"text","id":"1","text":"a\u0000b","quoteToken":"q"}`) + `,` +
		said("01B", 2, `{"type":"location","id":"2","latitude":1e300,"longitude":-0}`) + `]}`)
	f.Add(`{"events":[` + about("postback", "01C", 3, `"replyToken":"r","postback":{"data":"a=1&\"=2&%zz","params":{"date":"2026-01-01"}}`) + `]}`)
	f.Add(`{"events":[` + about("unsend", "01D", 4, `"unsend":{"messageId":"1"}`) + `,` +
		about("accountLink", "01E", 99999999999999999, `"link":{"result":"ok","nonce":"n"}`) + `]}`)
	f.Fuzz(func(t *testing.T, body string) {
		fx.TB = t
		if got := fx.webhook(linePath, body, signLINE(secret, body)); got != http.StatusOK && got != http.StatusBadRequest {
			t.Errorf("status %d", got)
		}
		received, err := parseLINE([]byte(body))
		if err != nil && len(received) > 0 {
			t.Errorf("%d events and %v", len(received), err)
		}
		for _, e := range received {
			if _, err := store.NormalizeAddress(store.ChannelLINE, e.user); err != nil || !utf8.ValidString(e.user) {
				t.Errorf("user %q: %v", e.user, err)
			}
		}
	})
}

// FuzzClean: what strangers say can be stored.
func FuzzClean(f *testing.F) {
	f.Add("Mozilla/5.0")
	f.Add(strings.Repeat("日本語", 100))
	f.Add("\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if len(got) > maxDetail || !utf8.ValidString(got) || strings.Contains(got, "\x00") {
			t.Errorf("clean(%q) = %q", s, got)
		}
	})
}

// FuzzRedirect: a target is one header line, and still leads to the same host.
func FuzzRedirect(f *testing.F) {
	f.Add("https://shop.example/商品?a=1")
	f.Add("https://shop.example/\r\nSet-Cookie: a=b")
	f.Add("HTTP://user@shop.example:80/%zz#x")
	f.Fuzz(func(t *testing.T, target string) {
		got := asciiURL(target)
		for _, c := range []byte(got) {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("asciiURL(%q) = %q", target, got)
			}
		}
		want, err := url.Parse(target)
		if err != nil || strings.ContainsFunc(want.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			t.Skip()
		}
		if have, err := url.Parse(got); err != nil || have.Host != want.Host || have.Scheme != want.Scheme {
			t.Errorf("%q became %q: %v", target, got, err)
		}
	})
}

// FuzzToken: a signed link leads where it was signed to, and a changed one nowhere.
func FuzzToken(f *testing.F) {
	fx := newSQLite(f)
	f.Add("https://shop.example/a?b=c", 3, byte('A'))
	f.Fuzz(func(t *testing.T, target string, at int, to byte) {
		fx.TB = t
		token, err := fx.signer.Sign(content.Click, content.Claims{Namespace: "shop", Message: uuid.Nil, URL: target})
		if err != nil {
			t.Skip()
		}
		changed := []byte(token)
		if at = max(at, -at); at < 0 || changed[at%len(changed)] == to {
			t.Skip()
		}
		changed[at%len(changed)] = to
		r := request(http.MethodGet, "/", "")
		r.URL.Path = "/l/" + string(changed)
		if w := fx.do(r); w.Code == http.StatusFound {
			t.Errorf("%q leads to %s", changed, w.Header().Get("Location"))
		}
	})
}
