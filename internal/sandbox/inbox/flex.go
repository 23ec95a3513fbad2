// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import "strconv"

// LINE's keywords and the sizes they are drawn at.
var (
	bubbleWidths = map[string]string{
		"nano": "120px", "micro": "160px", "deca": "220px", "hecto": "241px", "kilo": "260px", "mega": "300px", "giga": "386px",
	}
	spaces    = map[string]string{"none": "0px", "xs": "2px", "sm": "4px", "md": "8px", "lg": "12px", "xl": "16px", "xxl": "20px"}
	textSizes = map[string]string{
		"xxs": "11px", "xs": "13px", "sm": "14px", "md": "16px", "lg": "19px", "xl": "22px", "xxl": "29px", "3xl": "35px", "4xl": "48px", "5xl": "74px",
	}
	imageSizes = map[string]string{
		"xxs": "40px", "xs": "60px", "sm": "80px", "md": "100px", "lg": "120px", "xl": "140px", "xxl": "160px",
		"3xl": "180px", "4xl": "200px", "5xl": "220px", "full": "100%",
	}
	radii   = map[string]string{"none": "0px", "xs": "2px", "sm": "4px", "md": "8px", "lg": "12px", "xl": "16px", "xxl": "20px"}
	borders = map[string]string{"none": "0px", "light": "0.5px", "normal": "1px", "medium": "2px", "semi-bold": "3px", "bold": "4px"}
)

// maxDepth is deeper than what LINE takes; a message in a journal may be anything.
const maxDepth = 80

func flex(contents object) *node {
	if contents.text("type") != "carousel" {
		return bubble(contents)
	}
	row := div("carousel")
	for _, b := range contents.list("contents") {
		row.Kids = append(row.Kids, bubble(b))
	}
	return row
}

func bubble(b object) *node {
	var s style
	width := b.text("size")
	if bubbleWidths[width] == "" {
		width = "mega"
	}
	s.scale("width", width, bubbleWidths)
	out := &node{Class: "flex-bubble", Style: s.css()}
	if b.text("direction") == "rtl" {
		out.Class += " rtl"
	}
	for _, name := range []string{"header", "hero", "body", "footer"} {
		part := b.object(name)
		if part == nil {
			continue
		}
		look := b.object("styles").object(name)
		var s style
		s.set("background-color", look.text("backgroundColor"), isColour)
		if look.is("separator") {
			s.WriteString("border-top:1px solid #d4d6da;")
			s.set("border-top-color", look.text("separatorColor"), isColour)
		}
		out.Kids = append(out.Kids, &node{Class: "flex-" + name, Style: s.css(), Kids: []*node{component(part, "vertical", "", 0)}})
	}
	tap(out, b.object("action"))
	return out
}

// component draws one part of a box; spacing is what the box puts before it.
func component(o object, layout, spacing string, depth int) *node {
	if depth > maxDepth {
		return words("missing", "…")
	}
	var s style
	place(&s, o, layout, spacing)
	var n *node
	switch o.text("type") {
	case "box":
		n = box(o, &s, depth)
	case "text":
		n = flexText(o, &s)
	case "image":
		n = flexImage(o, &s)
	case "icon":
		s.scale("width", orElse(o.text("size"), "md"), textSizes)
		n = picture("flex-icon", o.text("url"), "")
	case "button":
		n = button(o, &s)
	case "separator":
		s.set("border-color", o.text("color"), isColour)
		n = div("flex-separator " + orElse(layoutClass[layout], "down"))
	case "video":
		n = div("flex-video", picture("picture", o.text("previewUrl"), "Video"), words("play", "▶"))
		ratio(&s, o.text("aspectRatio"), "1:1")
	case "spacer":
		s.scale("flex", orElse(o.text("size"), "md"), spaces)
		n = div("flex-spacer")
	default: // filler
		n = div("flex-filler")
	}
	n.Style = s.css()
	if o.text("type") != "button" {
		tap(n, o.object("action"))
	}
	return n
}

// layoutClass is how the parts of a box follow each other.
var layoutClass = map[string]string{"horizontal": "across", "baseline": "across base", "vertical": "down"}

// place sets how a part shares its box's room and where it stands.
func place(s *style, o object, layout, spacing string) {
	grow, given := o.number("flex")
	if !given && layout != "vertical" && o.text("type") != "icon" && o.text("type") != "separator" {
		grow = 1
	}
	if grow > 0 {
		s.set("flex", strconv.FormatFloat(grow, 'f', -1, 64), isNumber)
	} else {
		s.WriteString("flex:none;")
	}
	side := "margin-top"
	if layout != "vertical" {
		side = "margin-inline-start"
	}
	s.scale(side, orElse(o.text("margin"), spacing), spaces)
	gravity := map[string]string{"top": "flex-start", "center": "center", "bottom": "flex-end"}
	if layout == "horizontal" {
		s.set("align-self", gravity[o.text("gravity")], isWord)
	}
	if o.text("position") == "absolute" {
		s.WriteString("position:absolute;")
	}
	for name, property := range map[string]string{
		"offsetTop": "top", "offsetBottom": "bottom", "offsetStart": "inset-inline-start", "offsetEnd": "inset-inline-end",
	} {
		s.scale(property, o.text(name), spaces)
	}
}

func box(o object, s *style, depth int) *node {
	layout := o.text("layout")
	n := div("flex-box " + orElse(layoutClass[layout], "down"))
	s.scale("padding", o.text("paddingAll"), spaces)
	s.scale("padding-top", o.text("paddingTop"), spaces)
	s.scale("padding-bottom", o.text("paddingBottom"), spaces)
	s.scale("padding-inline-start", o.text("paddingStart"), spaces)
	s.scale("padding-inline-end", o.text("paddingEnd"), spaces)
	s.set("background-color", o.text("backgroundColor"), isColour)
	if g := o.object("background"); isAngle.MatchString(g.text("angle")) && isColour.MatchString(g.text("startColor")) && isColour.MatchString(g.text("endColor")) {
		s.WriteString("background-image:linear-gradient(" + g.text("angle") + "," + g.text("startColor") + "," + g.text("endColor") + ");")
	}
	s.scale("border-width", orElse(o.text("borderWidth"), "none"), borders)
	s.set("border-color", o.text("borderColor"), isColour)
	s.scale("border-radius", o.text("cornerRadius"), radii)
	for name, property := range map[string]string{"width": "width", "maxWidth": "max-width", "height": "height", "maxHeight": "max-height"} {
		s.set(property, o.text(name), isLength)
	}
	s.set("justify-content", o.text("justifyContent"), isWord)
	s.set("align-items", o.text("alignItems"), isWord)
	spacing := ""
	for _, kid := range o.list("contents") {
		n.Kids = append(n.Kids, component(kid, orElse(layout, "vertical"), spacing, depth+1))
		spacing = o.text("spacing")
	}
	return n
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
