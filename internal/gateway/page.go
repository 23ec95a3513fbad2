// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"

	"golang.org/x/text/language"

	"github.com/kaeru-dev/kaeru/internal/store"
)

type pageName int

const (
	pageAsk pageName = iota
	pageDone
	pageInvalid
	pageLater
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

var (
	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
	languages    = language.NewMatcher([]language.Tag{language.English, language.Japanese})
	// pagePolicy lets a page have its own style and its form, and nothing else.
	pagePolicy = func() string {
		sum := sha256.Sum256([]byte(pageCSS))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	}()
)

// wording is what a page says in one language. {from} is "from the shop", {what} the channel's messages.
type wording struct {
	titles, texts map[pageName]string
	button, from  string
	what          map[string]string
	anything      string // where the channel is not known
}

var wordings = map[string]wording{
	"en": {
		titles: map[pageName]string{
			pageAsk: "Unsubscribe?", pageDone: "You are unsubscribed", pageInvalid: "This link is not valid", pageLater: "Just a moment",
		},
		texts: map[pageName]string{
			pageAsk:     "You will get no more {what}{from}.",
			pageDone:    "You will get no more {what}{from}. One that is already on its way may still arrive.",
			pageInvalid: "It may be incomplete. Please open it from the message again.",
			pageLater:   "That did not work just now. Please try again in a minute.",
		},
		button: "Unsubscribe", from: " from {shop}", anything: "messages",
		what: map[string]string{store.ChannelEmail: "emails", store.ChannelLINE: "LINE messages", store.ChannelSMS: "text messages"},
	},
	"ja": {
		titles: map[pageName]string{
			pageAsk: "配信を停止しますか？", pageDone: "配信を停止しました", pageInvalid: "このリンクは無効です", pageLater: "しばらくお待ちください",
		},
		texts: map[pageName]string{
			pageAsk:     "{from}{what}の配信を停止します。",
			pageDone:    "{from}{what}の配信を停止しました。行き違いで届く場合がありますが、ご了承ください。",
			pageInvalid: "リンクが途中で切れている可能性があります。お手数ですが、メッセージからもう一度開いてください。",
			pageLater:   "ただいま処理できませんでした。1分ほどしてから、もう一度お試しください。",
		},
		button: "配信を停止する", from: "{shop}からの", anything: "メッセージ",
		what: map[string]string{store.ChannelEmail: "メール", store.ChannelLINE: "LINEメッセージ", store.ChannelSMS: "SMS"},
	},
}

func (w wording) say(text, shop, kind string) string {
	from, what := "", w.what[kind]
	if what == "" {
		what = w.anything
	}
	if shop != "" {
		from = strings.ReplaceAll(w.from, "{shop}", shop)
	}
	// One pass, so that a shop's name is never read as a placeholder.
	return strings.NewReplacer("{from}", from, "{what}", what).Replace(text)
}

func (g *Gateway) page(w http.ResponseWriter, r *http.Request, status int, name pageName, ns, kind string) {
	var shop Shop
	if ns != "" {
		shop = g.Shop(ns)
	}
	lang := chooseLanguage(r.Header.Get("Accept-Language"), shop.Language)
	words := wordings[lang]
	data := struct {
		Lang, Title, Text, Button string
		Style                     template.CSS
	}{Lang: lang, Title: words.titles[name], Text: words.say(words.texts[name], shop.Name, kind), Style: template.CSS(pageCSS)} //nolint:gosec // ours
	if name == pageAsk {
		data.Button = words.button
	}
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, data); err != nil {
		g.Log.Error(err, "Could not write a page")
		http.Error(w, "something went wrong here", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// chooseLanguage is what the browser prefers among what pages have; else the shop's; else English.
func chooseLanguage(accept, shop string) string {
	if len(accept) <= 200 {
		if tags, _, err := language.ParseAcceptLanguage(accept); err == nil && len(tags) > 0 {
			if tag, _, confidence := languages.Match(tags...); confidence >= language.High {
				base, _ := tag.Base()
				return base.String()
			}
		}
	}
	if base, _, _ := strings.Cut(strings.ToLower(shop), "-"); base == "ja" {
		return "ja"
	}
	return "en"
}
