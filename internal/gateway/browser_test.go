// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/testenv/chromium"
)

// TestCustomersPagesInABrowser goes through the pages without JavaScript as customers do, in both
// languages, on a phone and on a desktop.
func TestCustomersPagesInABrowser(t *testing.T) {
	looking := chromium.Start(t)
	screens := map[string]chromium.Screen{"phone": chromium.Phone, "desktop": chromium.Desktop, "dark": chromium.Phone}
	dark := screens["dark"]
	dark.Dark = true
	screens["dark"] = dark
	words := map[string]map[string]string{
		"en": {"title": "Your messages", "saved": "Saved.", "stopped": "You are unsubscribed from everything.", "undone": "You are subscribed again.", "ask": "Unsubscribe?", "done": "You are unsubscribed", "invalid": "This link is not valid"},
		"ja": {"title": "配信設定", "saved": "設定を保存しました。", "stopped": "すべての配信を停止しました。", "undone": "配信を再開しました。", "ask": "配信を停止しますか？", "done": "配信を停止しました", "invalid": "このリンクは無効です"},
	}
	for lang, words := range words {
		for name, screen := range screens {
			t.Run(lang+" "+name, func(t *testing.T) {
				f := newSQLite(t)
				f.anna()
				f.exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'sms', '+819012345678', 'Undelivered', 0)`)
				server := httptest.NewServer(f.gateway)
				t.Cleanup(server.Close)
				id := f.message("email", "mail", "sent")
				p := looking.Page(t, screen, lang, false)
				shot := func(what string) {
					t.Helper()
					p.Screenshot(what + "-" + lang + "-" + name)
					p.Accessible(what)
				}
				wants := func(selector, want string) {
					t.Helper()
					if got := p.Text(selector); got != want {
						t.Errorf("%s says %q, want %q", selector, got, want)
					}
				}

				p.Open(server.URL + f.token(content.Preferences, id))
				wants("h1", words["title"])
				shot("preferences")
				p.Click("#email-news")
				p.Click("label[for=line]")
				p.Click("label[for=f-weekly]")
				p.Submit("form button:not(.quiet)")
				wants("[role=status]", words["saved"])
				shot("saved")
				if diff := cmp.Diff([]string{"email granted import", "email/news withdrawn preferences", "line withdrawn preferences", "line/tips withdrawn import"}, f.said()); diff != "" {
					t.Error(diff)
				}
				if got := f.frequency(); got != "weekly" {
					t.Errorf("frequency %q", got)
				}
				var on []string
				p.Ask(`[...document.querySelectorAll("input:checked")].map(i => i.id)`, &on)
				if diff := cmp.Diff([]string{"email", "email-tips", "line-news", "sms-news", "sms-tips", "f-weekly"}, on); diff != "" {
					t.Errorf("the page shows %s", diff)
				}

				p.Open(server.URL + f.token(content.Unsubscribe, id))
				wants("h1", words["ask"])
				shot("unsubscribe")
				if got := f.consent("email"); got != "granted import -1h0m0s" {
					t.Errorf("looking changed it: %s", got)
				}
				p.Submit("button")
				wants("h1", words["done"])
				shot("unsubscribed")
				if got := f.consent("email"); got != "withdrawn unsubscribe 0s" {
					t.Errorf("consent %q", got)
				}
				p.Submit("button.quiet")
				wants("[role=status]", words["undone"])
				if got := f.consent("email"); got != "granted unsubscribe undone 0s" {
					t.Errorf("consent %q", got)
				}

				// By the keyboard alone: the last but one that Tab comes to is the button that ends everything.
				p.Keys(kb.Shift, false)
				p.Ask(`document.querySelector("section button").focus()`, nil)
				p.Keys(kb.Enter, true)
				wants("[role=status]", words["stopped"])
				shot("stopped")
				if n := f.count(`SELECT COUNT(*) FROM consents WHERE customer_id = 'anna' AND state = 'withdrawn'`); n != 3 {
					t.Errorf("%d channels are withdrawn", n)
				}

				// The other language, and back.
				p.Submit("footer a")
				var spoken string
				p.Ask(`document.documentElement.lang`, &spoken)
				if spoken != otherLanguage[lang] {
					t.Errorf("the page speaks %s", spoken)
				}
				p.Open(server.URL + "/p/AAAA")
				wants("h1", words["invalid"])
				shot("invalid")
			})
		}
	}
}
