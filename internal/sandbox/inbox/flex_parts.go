// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"regexp"
	"strconv"
	"strings"
)

func flexText(o object, s *style) *node {
	n := words("flex-text", o.text("text"))
	font(s, o)
	align := map[string]string{"start": "start", "center": "center", "end": "end"}
	s.set("text-align", align[o.text("align")], isWord)
	s.set("padding-bottom", o.text("lineSpacing"), isLength)
	switch lines, limited := o.number("maxLines"); {
	case !o.is("wrap"):
		n.Class += " one-line"
	case limited && lines >= 1:
		n.Class += " some-lines"
		s.set("-webkit-line-clamp", strconv.Itoa(int(lines)), isNumber)
	}
	for _, span := range o.list("contents") {
		var inner style
		font(&inner, span)
		n.Kids = append(n.Kids, &node{Class: "flex-span", Style: inner.css(), Text: span.text("text")})
	}
	if len(n.Kids) > 0 {
		n.Text = ""
	}
	return n
}

func font(s *style, o object) {
	s.scale("font-size", o.text("size"), textSizes)
	s.set("color", o.text("color"), isColour)
	if o.text("weight") == "bold" {
		s.WriteString("font-weight:700;")
	}
	if o.text("style") == "italic" {
		s.WriteString("font-style:italic;")
	}
	s.set("text-decoration", o.text("decoration"), isWord)
}

func flexImage(o object, s *style) *node {
	n := picture("flex-image", o.text("url"), "")
	s.scale("width", orElse(o.text("size"), "md"), imageSizes)
	ratio(s, o.text("aspectRatio"), "1:1")
	s.set("background-color", o.text("backgroundColor"), isColour)
	if o.text("aspectMode") == "cover" {
		n.Class += " cover"
	}
	side := map[string]string{"start": "flex-start", "center": "center", "end": "flex-end"}
	if s.set("align-self", side[orElse(o.text("align"), "center")], isWord); o.text("size") != "full" {
		n.Class += " sized"
	}
	return n
}

var isRatio = regexp.MustCompile(`^[0-9]{1,5}(\.[0-9]{1,3})?:[0-9]{1,5}(\.[0-9]{1,3})?$`)

func ratio(s *style, value, otherwise string) {
	if !isRatio.MatchString(value) {
		value = otherwise
	}
	s.WriteString("aspect-ratio:" + strings.Replace(value, ":", "/", 1) + ";")
}

func button(o object, s *style) *node {
	action := o.object("action")
	n := words("flex-button", action.text("label"))
	switch o.text("style") {
	case "primary":
		n.Class += " primary"
		s.set("background-color", o.text("color"), isColour)
	case "secondary":
		n.Class += " secondary"
		s.set("background-color", o.text("color"), isColour)
	default:
		s.set("color", o.text("color"), isColour)
	}
	if o.text("height") == "sm" {
		n.Class += " small"
	}
	tap(n, action)
	return n
}

// tap makes a part do on a click what LINE would do on a tap, as far as a
// browser can, and otherwise say what it would be.
func tap(n *node, action object) {
	if action == nil {
		return
	}
	n.Class += " tap"
	switch action.text("type") {
	case "uri":
		if uri := action.text("uri"); isWeb(uri) {
			n.Href = uri
		} else {
			n.Title = "Opens " + uri
		}
	case "message":
		n.Title = "Sends “" + action.text("text") + "”"
	case "postback":
		n.Title = "Posts back " + action.text("data")
	case "clipboard":
		n.Title = "Copies “" + action.text("clipboardText") + "”"
	default:
		n.Title = action.text("type")
	}
}
