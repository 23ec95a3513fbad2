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

	"github.com/kaeru-dev/kaeru/internal/content"
)

type pageName int

const (
	pageAsk pageName = iota
	pageDone
	pageInvalid
	pageLater
	pageUnread
)

//go:embed page.html
var pageHTML string

//go:embed preferences.html
var preferencesHTML string

//go:embed page.css
var pageCSS string

var (
	pageTemplate        = template.Must(template.New("page").Parse(pageHTML))
	preferencesTemplate = template.Must(template.New("preferences").Parse(preferencesHTML))

	languages = language.NewMatcher([]language.Tag{language.English, language.Japanese})
	// pagePolicy lets a page have its own style and its form, and nothing else.
	pagePolicy = func() string {
		sum := sha256.Sum256([]byte(pageCSS))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	}()
)

func (g *Gateway) page(w http.ResponseWriter, r *http.Request, status int, name pageName, ns string) {
	g.writePage(w, r, status, name, ns, "", "", "")
}

// linkedPage is a page about a message, from which more can be done.
func (g *Gateway) linkedPage(w http.ResponseWriter, r *http.Request, name pageName, m message, claims content.Claims) {
	manage, err := g.Links.Sign(content.Preferences, claims)
	if err != nil {
		g.Log.Error(err, "Could not make a link")
		g.tryAgain(w, r)
		return
	}
	undo := ""
	if name == pageDone {
		undo = r.PathValue("token") + "/undo"
	}
	g.writePage(w, r, http.StatusOK, name, m.ns, m.kind, "../p/"+manage, undo)
}

func (g *Gateway) writePage(w http.ResponseWriter, r *http.Request, status int, name pageName, ns, kind, manageAt, undoAt string) {
	shop, lang := g.speak(r, ns)
	words := wordings[lang]
	data := struct {
		Lang, Title, Text, Button, Shop string
		Manage, ManageAt, Undo, UndoAt  string
		Switch, SwitchTo                string
		Style                           template.CSS
	}{Lang: lang, Title: words.titles[name], Text: words.say(words.texts[name], shop.Name, kind), Shop: shop.Name, Style: template.CSS(pageCSS)} //nolint:gosec // ours
	if name == pageAsk {
		data.Button = words.button
	}
	if manageAt != "" {
		data.Manage, data.ManageAt = words.manage, manageAt+"?lang="+lang
	}
	if undoAt != "" {
		data.Undo, data.UndoAt = words.undo, undoAt+"?lang="+lang
	}
	if r.Method != http.MethodPost { // whose answer no link leads to
		data.SwitchTo = otherLanguage[lang]
		data.Switch = wordings[data.SwitchTo].language
	}
	g.render(w, pageTemplate, status, data)
}

func (g *Gateway) render(w http.ResponseWriter, t *template.Template, status int, data any) {
	var body bytes.Buffer
	if err := t.Execute(&body, data); err != nil {
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

// otherLanguage is what pages can be switched to.
var otherLanguage = map[string]string{"en": "ja", "ja": "en"}

// speak gives a namespace's shop, and the language of the page: the one that was chosen on it, or the
// browser's.
func (g *Gateway) speak(r *http.Request, ns string) (shop Shop, lang string) {
	if ns != "" {
		shop = g.Shop(ns)
	}
	if lang = r.URL.Query().Get("lang"); otherLanguage[lang] != "" {
		return shop, lang
	}
	return shop, chooseLanguage(r.Header.Get("Accept-Language"), shop.Language)
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
