// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// A mail is shown in a frame without scripts, under the page's content
// policy; taking out what could do harm comes on top of both.
var (
	dropped = []string{
		"script", "noscript", "iframe", "frame", "frameset", "object", "embed", "applet", "base", "link", "meta",
		"svg", "math", "template", "audio", "video", "input", "textarea", "select", "button", "dialog", "portal",
	}
	addresses = []string{"href", "src", "background", "poster", "cite", "longdesc", "xlink:href"}
	removed   = []string{"srcset", "srcdoc", "action", "formaction", "ping", "target", "rel", "autofocus", "tabindex", "id", "name", "http-equiv"}
)

// sanitise returns a mail's HTML without what could act by itself. Links open
// in a new window.
func sanitise(source string) string {
	doc, err := html.Parse(strings.NewReader(source))
	if err != nil {
		return html.EscapeString(source)
	}
	clean(doc)
	var out strings.Builder
	if err := html.Render(&out, doc); err != nil {
		return html.EscapeString(source)
	}
	return out.String()
}

func clean(n *html.Node) {
	// Siblings are read first: removing a node loses its own.
	for kid := n.FirstChild; kid != nil; {
		next := kid.NextSibling
		switch {
		case kid.Type == html.CommentNode, kid.Type == html.ElementNode && slices.Contains(dropped, kid.Data), kid.Namespace != "":
			n.RemoveChild(kid)
		default:
			if kid.Type == html.ElementNode {
				cleanAttributes(kid)
			}
			clean(kid)
		}
		kid = next
	}
}

func cleanAttributes(n *html.Node) {
	kept := n.Attr[:0]
	for _, a := range n.Attr {
		key := strings.ToLower(a.Key)
		switch {
		case strings.HasPrefix(key, "on"), slices.Contains(removed, key):
		case slices.Contains(addresses, key) && !harmless(a.Val, key):
		default:
			kept = append(kept, a)
		}
	}
	n.Attr = kept
	if n.Data == "a" || n.Data == "area" {
		n.Attr = append(n.Attr, html.Attribute{Key: "target", Val: "_blank"}, html.Attribute{Key: "rel", Val: "noopener noreferrer"})
	}
}

func harmless(address, attribute string) bool {
	// Browsers skip white space and control characters in a scheme.
	compact := strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, strings.ToLower(address))
	for _, scheme := range []string{"http:", "https:", "mailto:", "tel:", "#"} {
		if strings.HasPrefix(compact, scheme) {
			return true
		}
	}
	return attribute != "href" && strings.HasPrefix(compact, "data:image/") && !strings.HasPrefix(compact, "data:image/svg")
}
