// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

const (
	maxBubbles = 12
	// maxDepth is more than any real message needs and less than a stack takes.
	maxDepth = 64

	placed = " position offsetTop offsetBottom offsetStart offsetEnd margin "
)

func (c *checker) container(at string, f map[string]any) {
	switch c.oneOf(at, f, "bubble", "carousel") {
	case "bubble":
		c.bubble(at, f)
	case "carousel":
		c.unknown(at, f, "contents")
		c.list(at, f, "contents", 1, maxBubbles, func(at string, b map[string]any) {
			if c.oneOf(at, b, "bubble") != "" {
				c.bubble(at, b)
			}
		})
	}
}

func (c *checker) bubble(at string, b map[string]any) {
	c.unknown(at, b, "direction styles header hero body footer size action")
	c.enum(at, b, "size", "nano", "micro", "deca", "hecto", "kilo", "mega", "giga")
	c.enum(at, b, "direction", "ltr", "rtl")
	for _, block := range []string{"header", "body", "footer"} {
		if b[block] != nil {
			if o := c.object(at, b, block); o != nil && c.oneOf(at+"."+block, o, "box") != "" {
				c.box(at+"."+block, o, 1)
			}
		}
	}
	if b["hero"] != nil {
		if o := c.object(at, b, "hero"); o != nil && c.oneOf(at+".hero", o, "box", "image", "video") != "" {
			c.component(at+".hero", o, 1)
		}
	}
	c.tap(at, b)
}

func (c *checker) tap(at string, m map[string]any) {
	if m["action"] != nil {
		if a := c.object(at, m, "action"); a != nil {
			c.action(at+".action", a, 0)
		}
	}
}

func (c *checker) box(at string, b map[string]any, depth int) {
	if depth > maxDepth {
		c.add(at, "Nested too deeply")
		return
	}
	c.unknown(at, b, "layout flex contents spacing backgroundColor borderColor borderWidth cornerRadius width maxWidth height maxHeight"+
		" paddingAll paddingTop paddingBottom paddingStart paddingEnd action justifyContent alignItems background"+placed)
	c.text(at, b, "layout", 0)
	c.enum(at, b, "layout", "horizontal", "vertical", "baseline")
	if _, ok := b["contents"]; !ok {
		c.add(at+".contents", textEmpty)
	}
	layout := b["layout"]
	c.list(at, b, "contents", 0, 1000, func(at string, o map[string]any) {
		types := []string{"box", "button", "image", "text", "separator", "filler", "spacer"}
		if layout == "baseline" {
			types = []string{"icon", "text", "filler", "spacer"}
		}
		if c.oneOf(at, o, types...) != "" {
			c.component(at, o, depth+1)
		}
	})
	c.tap(at, b)
}

// component checks one whose type is known to be allowed where it stands.
func (c *checker) component(at string, o map[string]any, depth int) {
	switch o["type"] {
	case "box":
		c.box(at, o, depth)
		return
	case "button":
		c.unknown(at, o, "flex color style action gravity height adjustMode scaling"+placed)
		c.enum(at, o, "style", "primary", "secondary", "link")
		c.enum(at, o, "height", "sm", "md")
		if a := c.object(at, o, "action"); a != nil {
			c.action(at+".action", a, 40)
		}
		return
	case "image":
		c.unknown(at, o, "url flex align gravity size aspectRatio aspectMode backgroundColor action animated"+placed)
		c.url(at, o, "url", "https")
		c.enum(at, o, "aspectMode", "fit", "cover")
	case "video":
		c.unknown(at, o, "url previewUrl altContent aspectRatio action")
		c.url(at, o, "url", "https")
		c.url(at, o, "previewUrl", "https")
		if alt := c.object(at, o, "altContent"); alt != nil && c.oneOf(at+".altContent", alt, "box", "image") != "" {
			c.component(at+".altContent", alt, depth+1)
		}
	case "icon":
		c.unknown(at, o, "url size aspectRatio scaling"+placed)
		c.url(at, o, "url", "https")
	case "text":
		c.flexText(at, o)
	case "separator":
		c.unknown(at, o, "margin color")
	case "filler":
		c.unknown(at, o, "flex")
	case "spacer":
		c.unknown(at, o, "size")
	}
	c.tap(at, o)
}

func (c *checker) flexText(at string, o map[string]any) {
	c.unknown(at, o, "text flex size align gravity color weight style decoration wrap lineSpacing action maxLines contents adjustMode scaling"+placed)
	c.enum(at, o, "weight", "regular", "bold")
	c.enum(at, o, "align", "start", "end", "center")
	spans, _ := o["contents"].([]any)
	if len(spans) == 0 {
		c.text(at, o, "text", 0)
		return
	}
	c.list(at, o, "contents", 1, 1000, func(at string, s map[string]any) {
		if c.oneOf(at, s, "span") != "" {
			c.unknown(at, s, "text size color weight style decoration")
			c.text(at, s, "text", 0)
		}
	})
}
