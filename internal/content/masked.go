// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// masked is a source whose template tags are covered, byte by byte, so that markup can be read around
// them and every place is where it was.
type masked struct {
	source, text string
	tags         []liquid.Span
}

func mask(source string) *masked {
	m := &masked{source: source, tags: liquid.Tags(source)}
	b := []byte(source)
	for _, t := range m.tags {
		for i := t.Start; i < t.End; i++ {
			b[i] = 'x'
		}
	}
	m.text = string(b)
	return m
}

// element is a start tag.
type element struct {
	name             string
	start, head, end int // of <, behind the name, behind >
	style            styleValue
	alt              bool // whether it has alt
	open             bool // a tag of the template's may bring it attributes
}

// styleValue is what an element's style attribute says.
type styleValue struct {
	liquid.Span
	there   bool
	quote   byte // 0 where there is none
	unknown bool // its attributes are known only when the mail is rendered
}

// elements finds the start tags outside of comments.
func (m *masked) elements() []element {
	var out []element
	s := scanner{source: m.text}
	for s.at < len(s.source) {
		rest := s.source[s.at:]
		switch {
		case strings.HasPrefix(rest, "<!--"):
			s.to("-->")
		case strings.HasPrefix(rest, "<") && len(rest) > 1 && isASCIILetter(rest[1]):
			e := element{start: s.at}
			s.at++
			if e.head = strings.IndexAny(s.source[s.at:], " \t\r\n\f/>"); e.head < 0 {
				e.head = len(s.source) - s.at
			}
			e.head += s.at
			e.name = strings.ToLower(s.source[s.at:e.head])
			var values []liquid.Span
			s.startTag(func(_, name string, value liquid.Span) {
				values = append(values, value)
				switch name {
				case "style":
					e.style.unknown = e.style.there || value == noValue // two of them, or one that says nothing
					e.style.Span, e.style.there, e.style.quote = value, true, quoteBefore(m.text, value)
				case "alt":
					e.alt = true
				}
			})
			e.end = s.at
			s.skipRaw(e.name)
			e.open = m.tagsBetween(liquid.Span{Start: e.start, End: e.end}, values)
			e.style.unknown = e.style.unknown || e.open
			out = append(out, e)
		default:
			s.at++
		}
	}
	return out
}

func quoteBefore(text string, v liquid.Span) byte {
	if v.Start > 0 {
		if q := text[v.Start-1]; q == '"' || q == '\'' {
			return q
		}
	}
	return 0
}

// tagsBetween finds template tags in a start tag that are in no attribute's value: they may bring
// attributes.
func (m *masked) tagsBetween(of liquid.Span, values []liquid.Span) bool {
	for _, t := range m.tagsIn(of) {
		inside := false
		for _, v := range values {
			inside = inside || v.Start <= t.Start && t.End <= v.End
		}
		if !inside {
			return true
		}
	}
	return false
}

// tagsIn are the template's tags that begin in a part of the source.
func (m *masked) tagsIn(of liquid.Span) []liquid.Span {
	begin := func(t liquid.Span, at int) int { return t.Start - at }
	first, _ := slices.BinarySearchFunc(m.tags, of.Start, begin)
	last, _ := slices.BinarySearchFunc(m.tags, of.End, begin)
	return m.tags[first:last]
}

// inlinable says whether the rules of a <style> hold for everyone.
func (m *masked) inlinable(e *element) bool {
	if e.style.unknown {
		return false
	}
	attributes := strings.ToLower(m.text[e.head:e.end])
	if strings.Contains(attributes, "data-embed") || strings.Contains(attributes, "media") && !strings.Contains(attributes, `media="all"`) {
		return false
	}
	for _, t := range m.tagsIn(liquid.Span{Start: e.end, End: e.end + endTag(m.text[e.end:], "style")}) {
		if strings.HasPrefix(m.source[t.Start:], "{%") {
			return false
		}
	}
	return true
}

// styleEdit is the edit that writes declarations into an element: what rules say, then what the element says
// itself, then what rules say is important.
func (e *element) styleEdit(source string, of []weighted) edit {
	var before, after []string
	for _, d := range of {
		if d.important {
			after = append(after, d.property+":"+d.value)
		} else {
			before = append(before, d.property+":"+d.value)
		}
	}
	own := ""
	if e.style.there {
		own = strings.TrimSuffix(strings.TrimSpace(source[e.style.Start:e.style.End]), ";")
	}
	var all []string
	for _, part := range []string{escapeAround(strings.Join(before, ";")), own, escapeAround(strings.Join(after, ";"))} {
		if part != "" {
			all = append(all, part)
		}
	}
	value := strings.Join(all, ";")
	switch {
	case !e.style.there:
		return edit{liquid.Span{Start: e.head, End: e.head}, ` style="` + value + `"`}
	case e.style.quote == 0:
		return edit{e.style.Span, `"` + value + `"`}
	}
	return edit{e.style.Span, value}
}
