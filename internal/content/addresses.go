// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// schemes are what an address that comes of a value may begin with, beside http.
var schemes = map[string]bool{"mailto": true, "tel": true, "sms": true, "line": true}

// link gives the address to write for an href or a uri action.
func (m *message) link(address string, index int) string {
	address = strings.TrimSpace(address)
	if isHTTP(address) && index < 0 {
		return address // the shop's name is not lent to it
	}
	if isHTTP(address) {
		return m.track(address, index)
	}
	if end := strings.IndexAny(address, ":/?#"); end >= 0 && address[end] == ':' && !schemes[strings.ToLower(address[:end])] {
		return "#"
	}
	return address
}

// track makes one link of one address: what stands in the HTML and in the text is the same.
func (m *message) track(address string, index int) string {
	if known, ok := m.tracked[address]; ok {
		return known
	}
	if m.tracked == nil {
		m.tracked = map[string]string{}
	}
	link := m.links.track(address, index)
	m.tracked[address] = link
	return link
}

// rewrite replaces the addresses in a rendered text. An address whose host is in what a customer has
// written, all of it or a part, is not the shop's and stays as it is: the shop's name is not lent to it.
func rewrite(res liquid.Result, replace func(address string, index int) string) string {
	text := res.Text
	var b strings.Builder
	at, index := 0, 0
	for from := 0; ; {
		i := strings.Index(text[from:], "http")
		if i < 0 {
			break
		}
		start := from + i
		if !isHTTP(text[start:]) {
			from = start + len("http")
			continue
		}
		end := start + addressLength(text[start:])
		from = end
		if untrusted(res.Untrusted, start, start+liquid.HostEnd(text[start:end])) || strings.HasSuffix(text[start:end], "//") {
			continue
		}
		if at == 0 {
			b.Grow(len(text) + len(text)/2)
		}
		b.WriteString(text[at:start])
		b.WriteString(replace(text[start:end], index))
		at = end
		index++
	}
	if at == 0 {
		return text
	}
	b.WriteString(text[at:])
	return b.String()
}

// untrusted says whether a customer may have written something between from and to.
func untrusted(spans []liquid.Span, from, to int) bool {
	for _, s := range spans {
		if s.Start < to && from < s.End {
			return true
		}
	}
	return false
}

// addressLength is how far an address reaches in running text: to the first character that none can
// hold, without the punctuation of the sentence around it.
func addressLength(s string) int {
	end := 0
	for end < len(s) && s[end] > ' ' && s[end] < 0x7f && strings.IndexByte("\"<>\\^`{|}", s[end]) < 0 {
		end++
	}
	for end > 0 {
		switch last := s[end-1]; {
		case strings.IndexByte(".,;:!?'", last) >= 0,
			last == ')' && strings.Count(s[:end], "(") < strings.Count(s[:end], ")"),
			last == ']' && strings.Count(s[:end], "[") < strings.Count(s[:end], "]"):
			end--
			continue
		}
		break
	}
	return end
}
