// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/net/html"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// consent is anna's consent to mail, as "state source minutes".
func (f *fixture) consent(channel string) string {
	f.Helper()
	var state, source string
	var at int64
	err := f.st.QueryRow(f.Context(), `SELECT state, source, changed_at FROM consents WHERE ns = 'shop' AND customer_id = 'anna' AND channel = $1`, channel).
		Scan(&state, &source, &at)
	if store.IsNotFound(err) {
		return ""
	}
	if err != nil {
		f.Fatal(err)
	}
	return state + " " + source + " " + store.Time(at).Sub(start).String()
}

func (f *fixture) consented(channel, state, source string, at time.Time) {
	f.Helper()
	f.exec(`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ('shop', 'anna', $1, $2, $3, $4)
ON CONFLICT (ns, customer_id, channel) DO UPDATE SET state = excluded.state, source = excluded.source, changed_at = excluded.changed_at`,
		channel, state, source, store.Millis(at))
}

func (f *fixture) post(path, contentType, body string) int {
	f.Helper()
	r := request(http.MethodPost, path, body)
	r.Header.Set("Content-Type", contentType)
	return f.do(r).Code
}

const form = "application/x-www-form-urlencoded"

func TestUnsubscribe(t *testing.T) {
	const oneClick = "List-Unsubscribe=One-Click"
	const multipart = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n"
	cases := map[string]struct {
		before [2]string // state and source
		post   [2]string // content type and body; none means GET and HEAD
		want   string
	}{
		"looking changes nothing":        {before: [2]string{"granted", "import"}, want: "granted import -1h0m0s"},
		"one click":                      {before: [2]string{"granted", "import"}, post: [2]string{form, oneClick}, want: "withdrawn unsubscribe 0s"},
		"one click as RFC 8058 prefers":  {before: [2]string{"granted", "import"}, post: [2]string{"multipart/form-data; boundary=b", multipart}, want: "withdrawn unsubscribe 0s"},
		"no consent known":               {post: [2]string{form, oneClick}, want: "withdrawn unsubscribe 0s"},
		"withdrawn already":              {before: [2]string{"withdrawn", "unsubscribe"}, post: [2]string{form, oneClick}, want: "withdrawn unsubscribe -1h0m0s"},
		"withdrawn by a file":            {before: [2]string{"withdrawn", "import"}, post: [2]string{form, oneClick}, want: "withdrawn unsubscribe 0s"},
		"a body that nobody understands": {before: [2]string{"granted", "import"}, post: [2]string{"text/plain", "\x00\xff"}, want: "withdrawn unsubscribe 0s"},
	}
	f := newSQLite(t)
	for name, tt := range cases {
		f.run(name, func(f *fixture) {
			id := f.message("email", "mail", "sent")
			if tt.before[0] != "" {
				f.consented("email", tt.before[0], tt.before[1], start.Add(-time.Hour))
			}
			f.consented("line", "granted", "import", start)
			path := f.token(content.Unsubscribe, id)
			if tt.post[0] == "" {
				wantStatus(f, f.get(path), http.StatusOK)
				wantStatus(f, f.do(request(http.MethodHead, path, "")), http.StatusOK)
			} else if got := f.post(path, tt.post[0], tt.post[1]); got != http.StatusOK {
				f.Errorf("status %d", got)
			}
			if got := f.consent("email"); got != tt.want {
				f.Errorf("consent %q, want %q", got, tt.want)
			}
			if got := f.consent("line"); got != "granted import 0s" {
				f.Errorf("the consent to another channel is %q", got)
			}
		})
	}
}

func TestUnsubscribeOnceTwiceAndAfterConsentWasGivenAgain(t *testing.T) {
	stores(t, func(f *fixture) {
		id := f.message("sms", "sms-main", "sent")
		path := f.token(content.Unsubscribe, id)
		post := func() {
			f.Helper()
			if got := f.post(path, form, "List-Unsubscribe=One-Click"); got != http.StatusOK {
				f.Errorf("status %d", got)
			}
		}
		post()
		f.clock.SetTime(start.Add(time.Hour))
		post()
		if got := f.consent("sms"); got != "withdrawn unsubscribe 0s" {
			f.Errorf("consent %q", got)
		}
		if diff := cmp.Diff([]string{"shop/second"}, f.notified); diff != "" {
			f.Errorf("notified: %s", diff)
		}
		f.consented("sms", "granted", "preferences", start.Add(time.Hour))
		f.clock.SetTime(start.Add(2 * time.Hour))
		post()
		if got := f.consent("sms"); got != "withdrawn unsubscribe 2h0m0s" {
			f.Errorf("consent %q", got)
		}
		if got := f.receipts(id); got != "unsubscribed" {
			f.Errorf("receipts %s", got)
		}
	})
}

func TestUnsubscribeWithALinkThatIsNotValid(t *testing.T) {
	f := newSQLite(t)
	for name, path := range map[string]string{
		"of another kind":              "/u" + strings.TrimPrefix(f.token(content.Open, f.message("email", "mail", "sent")), "/o"),
		"of a message that is deleted": f.token(content.Unsubscribe, uuid.New()),
	} {
		wantStatus(t, f.get(path), http.StatusNotFound)
		if got := f.post(path, form, "List-Unsubscribe=One-Click"); got != http.StatusNotFound {
			t.Errorf("%s: status %d", name, got)
		}
	}
	if n := f.count(`SELECT COUNT(*) FROM consents`); n != 0 {
		t.Errorf("%d consents", n)
	}
}

func TestPageIsCalmAndSpeaksTheReadersLanguage(t *testing.T) {
	f := newSQLite(t)
	path := f.token(content.Unsubscribe, f.message("email", "mail", "sent"))
	for accept, want := range map[string][]string{
		"ja,en-US;q=0.8":    {`<html lang="ja">`, "&lt;shop {what}&gt;からのメールの配信を停止します。", "配信を停止する"},
		"en-GB,en;q=0.9":    {`<html lang="en">`, "You will get no more emails from &lt;shop {what}&gt;.", ">Unsubscribe<"},
		"de-DE, ja;q=0.5":   {`<html lang="ja">`},
		"de-DE":             {`<html lang="en">`},
		"":                  {`<html lang="en">`},
		"\x00;;q=,":         {`<html lang="en">`},
		"*":                 {`<html lang="en">`},
		"ja-JP-u-ca-x;q=1,": {`<html lang="`},
	} {
		r := request(http.MethodGet, path, "")
		r.Header.Set("Accept-Language", accept)
		w := f.do(r)
		wantStatus(t, w, http.StatusOK)
		for _, words := range want {
			if !strings.Contains(w.Body.String(), words) {
				t.Errorf("%q: no %q in %s", accept, words, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), "<script") || strings.Contains(w.Body.String(), "ZgotmplZ") {
			t.Errorf("%q: %s", accept, w.Body)
		}
		if _, err := html.Parse(w.Body); err != nil {
			t.Error(err)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", w.Header())
		}
	}
	for shop, want := range map[string]string{"ja": "ja", "ja-JP": "ja", "en": "en", "fr": "en", "": "en"} {
		if got := chooseLanguage("fr", shop); got != want {
			t.Errorf("a shop of language %q speaks %q to a Frenchman, want %q", shop, got, want)
		}
	}
	for lang, words := range wordings {
		for _, page := range []pageName{pageAsk, pageDone, pageInvalid, pageLater} {
			for _, kind := range append([]string{""}, store.Channels...) {
				text := words.say(words.texts[page], "Frog", kind)
				if words.titles[page] == "" || text == "" || strings.Contains(text, "{") {
					t.Errorf("%s: page %d about %q says %q", lang, page, kind, text)
				}
			}
		}
	}
}
