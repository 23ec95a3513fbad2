// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"html"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// markLinks puts marks around the values of href that lead somewhere else.
func markLinks(source string) string {
	tags := liquid.Tags(source)
	var b strings.Builder
	at := 0
	for _, v := range hrefs(source, tags) {
		value := strings.TrimSpace(source[v.Start:v.End])
		if !isHTTP(value) && !strings.HasPrefix(value, "{{") && !strings.HasPrefix(value, "{%") {
			continue
		}
		b.WriteString(source[at:v.Start])
		b.WriteString(liquid.LinkStart)
		b.WriteString(source[v.Start:v.End])
		b.WriteString(liquid.LinkEnd)
		at = v.End
	}
	b.WriteString(source[at:])
	return b.String()
}

// addPixel puts the mark of the picture at the end of the body.
func addPixel(source string) string {
	i := strings.LastIndex(asciiLower(source), "</body")
	if i < 0 {
		return source + liquid.PixelMark
	}
	return source[:i] + liquid.PixelMark + source[i:]
}

// addPreheader puts what a mail client shows beside the subject at the start of the body, where the
// opened mail does not show it.
func addPreheader(source, preheader string) string {
	div := preheaderStyle + escapeAround(preheader) + `</div>`
	if i := strings.Index(asciiLower(source), "<body"); i >= 0 {
		s := scanner{source: source, tags: liquid.Tags(source), at: i + 1}
		s.element(nil)
		return source[:s.at] + div + source[s.at:]
	}
	return div + source
}

// escapeAround escapes a text, but not its tags.
func escapeAround(text string) string {
	var b strings.Builder
	at := 0
	for _, t := range liquid.Tags(text) {
		b.WriteString(html.EscapeString(text[at:t.Start]))
		b.WriteString(text[t.Start:t.End])
		at = t.End
	}
	b.WriteString(html.EscapeString(text[at:]))
	return b.String()
}

// asciiLower keeps every byte where it is, which strings.ToLower does not.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// hrefs finds the values of href in a template's markup. The markup need not be whole: it is read
// as far as elements and attributes go, over the templates' tags, and inside of the comments that
// Outlook reads.
func hrefs(source string, tags []liquid.Span) []liquid.Span {
	s := scanner{source: source, tags: tags}
	var out []liquid.Span
	for s.at < len(s.source) {
		rest := s.source[s.at:]
		switch {
		case s.skipTag():
		case strings.HasPrefix(rest, "<!--[if"):
			s.at += len("<!--[if")
		case strings.HasPrefix(rest, "<!-->"):
			s.at += len("<!-->")
		case strings.HasPrefix(rest, "<!--"):
			s.to("-->")
		case strings.HasPrefix(rest, "<") && len(rest) > 1 && isASCIILetter(rest[1]):
			s.at++
			s.element(func(element, attribute string, value liquid.Span) {
				if attribute == "href" && element != "link" && element != "base" && value.Start >= 0 {
					out = append(out, value)
				}
			})
		default:
			s.at++
		}
	}
	return out
}

type scanner struct {
	source string
	tags   []liquid.Span
	at     int
	tag    int // the first of tags that does not end before at
}

// skipTag goes over a tag of the template's that begins here.
func (s *scanner) skipTag() bool {
	for s.tag < len(s.tags) && s.tags[s.tag].End <= s.at {
		s.tag++
	}
	if s.tag < len(s.tags) && s.tags[s.tag].Start == s.at {
		s.at = s.tags[s.tag].End
		return true
	}
	return false
}

func (s *scanner) to(end string) {
	if i := strings.Index(s.source[s.at:], end); i >= 0 {
		s.at += i + len(end)
		return
	}
	s.at = len(s.source)
}

// until goes on to one of the characters in stop.
func (s *scanner) until(stop string) liquid.Span {
	start := s.at
	for s.at < len(s.source) {
		if s.skipTag() {
			continue
		}
		if strings.IndexByte(stop, s.source[s.at]) >= 0 {
			break
		}
		s.at++
	}
	return liquid.Span{Start: start, End: s.at}
}

func (s *scanner) space() {
	for s.at < len(s.source) && strings.IndexByte(" \t\r\n\f", s.source[s.at]) >= 0 {
		s.at++
	}
}

// element reads a start tag from its name to behind its >, and tells of its attributes. What is
// between <style> or <script> and its end is no markup, and skipped.
func (s *scanner) element(tell func(element, attribute string, value liquid.Span)) {
	s.skipRaw(s.startTag(tell))
}

// noValue is the place of the value of an attribute without one.
var noValue = liquid.Span{Start: -1, End: -1}

// startTag reads a start tag from its name to behind its >.
func (s *scanner) startTag(tell func(element, attribute string, value liquid.Span)) (element string) {
	name := s.until(" \t\r\n\f/>")
	element = strings.ToLower(s.source[name.Start:name.End])
	for s.at < len(s.source) {
		if strings.IndexByte(" \t\r\n\f/", s.source[s.at]) >= 0 {
			s.at++
			continue
		}
		if s.source[s.at] == '>' {
			s.at++
			break
		}
		if s.skipTag() {
			continue
		}
		attribute := s.until(" \t\r\n\f=/>")
		if attribute.Start == attribute.End {
			s.at++ // a stray =
			continue
		}
		s.space()
		value := noValue
		if s.at < len(s.source) && s.source[s.at] == '=' {
			s.at++
			s.space()
			value = s.attributeValue()
		}
		if tell != nil {
			tell(element, strings.ToLower(s.source[attribute.Start:attribute.End]), value)
		}
	}
	return element
}

// skipRaw goes to the end tag of an element that holds no markup.
func (s *scanner) skipRaw(element string) {
	if element == "style" || element == "script" {
		s.at += endTag(s.source[s.at:], element)
	}
}

// endTag is where an element that holds no markup ends.
func endTag(s, element string) int {
	for at := 0; ; at++ {
		i := strings.Index(s[at:], "</")
		if i < 0 {
			return len(s)
		}
		if at += i; hasPrefixFold(s[at+2:], element) {
			return at
		}
	}
}

func (s *scanner) attributeValue() liquid.Span {
	if s.at < len(s.source) && (s.source[s.at] == '"' || s.source[s.at] == '\'') {
		quote := s.source[s.at : s.at+1]
		s.at++
		value := s.until(quote)
		s.at = min(s.at+1, len(s.source))
		return value
	}
	return s.until(" \t\r\n\f>")
}

func isASCIILetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
