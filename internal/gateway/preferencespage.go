// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// pageBox is something to tick: a channel, or a purpose of it.
type pageBox struct {
	Name, ID, Label, Note string
	Purpose, On           bool
}

type pageChannel struct {
	Name, Address string
	Boxes         []pageBox
}

type pageOption struct{ Value, Label string }

// preferencesPage shows what is known, with the channels that the customer has an address for.
func (g *Gateway) preferencesPage(w http.ResponseWriter, r *http.Request, ns string, who preferences) {
	shop, lang := g.speak(r, ns)
	words := wordings[lang]
	data := struct {
		Lang, Shop, Notice, Frequency, Switch, SwitchTo string
		Words                                           map[string]string
		Channels                                        []pageChannel
		Frequencies                                     []pageOption
		Style                                           template.CSS
	}{
		Lang: lang, Shop: shop.Name, Notice: words.notices[r.URL.Query().Get("notice")], Frequency: who.frequency,
		SwitchTo: otherLanguage[lang], Words: words.preferences, Style: template.CSS(pageCSS), //nolint:gosec // ours
	}
	data.Switch = wordings[data.SwitchTo].language
	if !slices.Contains(frequencies, data.Frequency) {
		data.Frequency = frequencyAll // as the engine reads it
	}
	for _, f := range frequencies {
		data.Frequencies = append(data.Frequencies, pageOption{f, words.frequencies[f]})
	}
	for _, channel := range []string{store.ChannelEmail, store.ChannelLINE, store.ChannelSMS} {
		address := who.address(channel)
		if address == "" {
			continue
		}
		c := pageChannel{Name: words.channels[channel], Address: masked(channel, address)}
		box := pageBox{Name: channel, ID: channel, Label: words.boxes[channel], On: who.granted[channel]}
		if who.suppressed[channel] {
			box.Note = words.suppressed
		}
		c.Boxes = append(c.Boxes, box)
		for _, p := range shop.Purposes {
			name := channel + "/" + p.Name
			c.Boxes = append(c.Boxes, pageBox{Name: name, ID: strings.ReplaceAll(name, "/", "-"), Label: p.LabelIn(lang), Purpose: true, On: !who.withdrawn[name]})
		}
		data.Channels = append(data.Channels, c)
	}
	g.render(w, preferencesTemplate, http.StatusOK, data)
}
