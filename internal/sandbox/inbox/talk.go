// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/sandbox/links"
)

// talk draws the message objects of one push, as a talk shows them.
func talk(raw json.RawMessage) []*node {
	var messages []object
	if err := json.Unmarshal(raw, &messages); err != nil {
		return []*node{words("missing", "This message cannot be read: "+err.Error())}
	}
	var out []*node
	for _, m := range messages {
		out = append(out, lineMessage(m))
		if items := m.object("quickReply").list("items"); len(items) > 0 {
			row := div("quick-reply")
			for _, item := range items {
				action := item.object("action")
				chip := words("chip", action.text("label"))
				tap(chip, action)
				row.Kids = append(row.Kids, chip)
			}
			out = append(out, row)
		}
	}
	return out
}

func lineMessage(m object) *node {
	switch kind := m.text("type"); kind {
	case "text":
		return linked("bubble", emojis(m.text("text"), len(m.list("emojis"))))
	case "textV2":
		return linked("bubble", substitute(m))
	case "sticker":
		return words("sticker", fmt.Sprintf("Sticker\n%s / %s", m.text("packageId"), m.text("stickerId")))
	case "image":
		n := picture("photo", m.text("previewImageUrl"), "Picture")
		n.Href = webOnly(m.text("originalContentUrl"))
		return n
	case "video":
		n := div("photo video", picture("picture", m.text("previewImageUrl"), "Video"), words("play", "▶"))
		n.Href = webOnly(m.text("originalContentUrl"))
		return n
	case "audio":
		length, _ := m.number("duration")
		return words("bubble audio", fmt.Sprintf("▶  %d:%02d", int(length)/60000, int(length)/1000%60))
	case "location":
		return div("bubble place", words("strong", m.text("title")), words("", m.text("address")))
	case "imagemap":
		return imagemap(m)
	case "template":
		return lineTemplate(m.object("template"))
	case "flex":
		return flex(m.object("contents"))
	case "coupon":
		return div("bubble place", words("strong", "Coupon"), words("", m.text("couponId")))
	default:
		return words("bubble", "["+kind+"]")
	}
}

func webOnly(s string) string {
	if isWeb(s) {
		return s
	}
	return ""
}

// linked is text whose addresses can be followed.
func linked(class, text string) *node {
	n := div(class)
	for _, address := range links.Text(text) {
		before, after, found := strings.Cut(text, address)
		if !found {
			continue
		}
		n.Kids = append(n.Kids, words("run", before), &node{Class: "link", Href: address, Text: address})
		text = after
	}
	n.Kids = append(n.Kids, words("run", text))
	return n
}

// emojis stands a smile in for each of LINE's own, which are written as $.
func emojis(text string, count int) string { return strings.Replace(text, "$", "☺", count) }

var placeholder = regexp.MustCompile(`\{[A-Za-z0-9_]{1,20}\}`)

func substitute(m object) string {
	return placeholder.ReplaceAllStringFunc(m.text("text"), func(s string) string {
		switch m.object("substitution").object(strings.Trim(s, "{}")).text("type") {
		case "mention":
			return "@…"
		case "emoji":
			return "☺"
		}
		return s
	})
}

// imagemap puts links over the areas of the picture that LINE takes at 1040 wide.
func imagemap(m object) *node {
	size := m.object("baseSize")
	width, _ := size.number("width")
	height, _ := size.number("height")
	if width <= 0 || height <= 0 {
		width, height = 1040, 1040
	}
	n := div("imagemap", picture("picture", strings.TrimRight(m.text("baseUrl"), "/")+"/1040", m.text("altText")))
	var s style
	s.WriteString(fmt.Sprintf("aspect-ratio:%.0f/%.0f;", width, height))
	n.Style = s.css()
	for _, a := range m.list("actions") {
		area := a.object("area")
		x, _ := area.number("x")
		y, _ := area.number("y")
		w, _ := area.number("width")
		h, _ := area.number("height")
		var s style
		fmt.Fprintf(&s, "left:%.2f%%;top:%.2f%%;width:%.2f%%;height:%.2f%%;", 100*x/width, 100*y/height, 100*w/width, 100*h/height)
		spot := &node{Class: "spot", Style: s.css(), Href: webOnly(a.text("linkUri")), Title: orElse(a.text("label"), a.text("text"))}
		n.Kids = append(n.Kids, spot)
	}
	return n
}

func lineTemplate(t object) *node {
	switch t.text("type") {
	case "carousel":
		row := div("carousel")
		for _, c := range t.list("columns") {
			row.Kids = append(row.Kids, column(c, t.text("imageSize"), t.text("imageAspectRatio")))
		}
		return row
	case "image_carousel":
		row := div("carousel")
		for _, c := range t.list("columns") {
			action := c.object("action")
			n := div("column square", picture("picture cover", c.text("imageUrl"), action.text("label")))
			if label := action.text("label"); label != "" {
				n.Kids = append(n.Kids, words("caption", label))
			}
			tap(n, action)
			row.Kids = append(row.Kids, n)
		}
		return row
	case "confirm":
		n := column(t, "", "")
		n.Class += " confirm"
		return n
	default:
		return column(t, t.text("imageSize"), t.text("imageAspectRatio"))
	}
}

// column draws a picture, a title, a text and their buttons, one below the other.
func column(t object, size, aspect string) *node {
	n := div("column")
	if src := t.text("thumbnailImageUrl"); src != "" {
		class, shape := "picture cover", " wide"
		if size == "contain" {
			class = "picture"
		}
		if aspect == "square" {
			shape = " square"
		}
		thumb := div("thumb"+shape, picture(class, src, ""))
		var s style
		s.set("background-color", t.text("imageBackgroundColor"), isColour)
		thumb.Style = s.css()
		n.Kids = append(n.Kids, thumb)
	}
	said := div("said")
	if title := t.text("title"); title != "" {
		said.Kids = append(said.Kids, words("strong", title))
	}
	said.Kids = append(said.Kids, words("", t.text("text")))
	tap(said, t.object("defaultAction"))
	actions := div("actions")
	for _, a := range t.list("actions") {
		b := words("choice", a.text("label"))
		tap(b, a)
		actions.Kids = append(actions.Kids, b)
	}
	n.Kids = append(n.Kids, said, actions)
	return n
}
