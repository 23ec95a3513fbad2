// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

func (c *checker) message(at string, m map[string]any) {
	switch c.oneOf(at, m, "text", "textV2", "sticker", "image", "video", "audio", "location", "imagemap", "template", "flex", "coupon") {
	case "text", "textV2":
		c.text(at, m, "text", 5000)
	case "sticker":
		c.text(at, m, "packageId", 0)
		c.text(at, m, "stickerId", 0)
	case "image", "video":
		c.url(at, m, "originalContentUrl", "https")
		c.url(at, m, "previewImageUrl", "https")
	case "audio":
		c.url(at, m, "originalContentUrl", "https")
		c.number(at, m, "duration")
	case "location":
		c.text(at, m, "title", 100)
		c.text(at, m, "address", 100)
		c.number(at, m, "latitude")
		c.number(at, m, "longitude")
	case "imagemap":
		c.imagemap(at, m)
	case "template":
		c.text(at, m, "altText", 1500)
		if t := c.object(at, m, "template"); t != nil {
			c.template(at+".template", t)
		}
	case "flex":
		c.text(at, m, "altText", 1500)
		if f := c.object(at, m, "contents"); f != nil {
			c.container(at+".contents", f)
		}
	case "coupon":
		c.text(at, m, "couponId", 0)
		c.optionalText(at, m, "deliveryTag", 30)
	}
	c.extras(at, m)
}

// extras are what every message may carry.
func (c *checker) extras(at string, m map[string]any) {
	if m["quickReply"] != nil {
		if q := c.object(at, m, "quickReply"); q != nil {
			c.list(at+".quickReply", q, "items", 1, 13, func(at string, item map[string]any) {
				if a := c.object(at, item, "action"); a != nil {
					c.action(at+".action", a, 20)
				}
			})
		}
	}
	if m["sender"] != nil {
		if s := c.object(at, m, "sender"); s != nil {
			c.optionalText(at+".sender", s, "name", 20)
			c.optionalText(at+".sender", s, "iconUrl", 2000)
		}
	}
}

func (c *checker) imagemap(at string, m map[string]any) {
	c.url(at, m, "baseUrl", "https")
	c.text(at, m, "altText", 1500)
	if size := c.object(at, m, "baseSize"); size != nil {
		c.number(at+".baseSize", size, "width")
		c.number(at+".baseSize", size, "height")
	}
	c.list(at, m, "actions", 0, 50, func(at string, a map[string]any) {
		switch c.oneOf(at, a, "uri", "message", "clipboard") {
		case "uri":
			c.url(at, a, "linkUri", "http", "https", "line", "tel")
		case "message":
			c.text(at, a, "text", 400)
		case "clipboard":
			c.text(at, a, "clipboardText", 1000)
		}
		if area := c.object(at, a, "area"); area != nil {
			for _, name := range []string{"x", "y", "width", "height"} {
				c.number(at+".area", area, name)
			}
		}
	})
	if _, ok := m["actions"]; !ok {
		c.add(at+".actions", textEmpty)
	}
}

func (c *checker) template(at string, t map[string]any) {
	switch c.oneOf(at, t, "buttons", "confirm", "carousel", "image_carousel") {
	case "buttons":
		limit := 160
		if t["title"] != nil || t["thumbnailImageUrl"] != nil {
			limit = 60
		}
		c.column(at, t, limit, 1, 4)
	case "confirm":
		c.text(at, t, "text", 240)
		c.list(at, t, "actions", 2, 2, c.templateAction)
	case "carousel":
		c.list(at, t, "columns", 1, 10, func(at string, col map[string]any) {
			limit := 120
			if col["title"] != nil || col["thumbnailImageUrl"] != nil {
				limit = 60
			}
			c.column(at, col, limit, 1, 3)
		})
	case "image_carousel":
		c.list(at, t, "columns", 1, 10, func(at string, col map[string]any) {
			c.url(at, col, "imageUrl", "https")
			if a := c.object(at, col, "action"); a != nil {
				c.templateAction(at+".action", a)
			}
		})
	}
}

func (c *checker) column(at string, m map[string]any, limit, min, max int) {
	c.text(at, m, "text", limit)
	c.optionalText(at, m, "title", 40)
	if m["thumbnailImageUrl"] != nil {
		c.url(at, m, "thumbnailImageUrl", "https")
	}
	if m["defaultAction"] != nil {
		if a := c.object(at, m, "defaultAction"); a != nil {
			c.action(at+".defaultAction", a, 0)
		}
	}
	c.list(at, m, "actions", min, max, c.templateAction)
}

func (c *checker) templateAction(at string, a map[string]any) { c.action(at, a, 20) }

// action checks what a tap does; label is the length a required label may have,
// 0 where it is optional.
func (c *checker) action(at string, a map[string]any, label int) {
	t := c.oneOf(at, a, "uri", "postback", "message", "datetimepicker", "camera", "cameraRoll", "location", "clipboard", "richmenuswitch")
	if label > 0 {
		c.text(at, a, "label", label)
	}
	switch t {
	case "uri":
		c.text(at, a, "uri", 1000)
		if s, _ := a["uri"].(string); s != "" {
			c.url(at, a, "uri", "http", "https", "line", "tel", "mailto")
		}
	case "postback":
		c.text(at, a, "data", 300)
	case "message":
		c.text(at, a, "text", 300)
	case "datetimepicker":
		c.text(at, a, "data", 300)
		c.text(at, a, "mode", 0)
		c.enum(at, a, "mode", "date", "time", "datetime")
	case "clipboard":
		c.text(at, a, "clipboardText", 1000)
	case "richmenuswitch":
		c.text(at, a, "data", 300)
		c.text(at, a, "richMenuAliasId", 32)
	}
}
