// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"regexp"
	"strings"

	"github.com/osteele/liquid/parser"
)

// Marks are characters that the templates' source may hold in place of tags nobody can write:
// around the value of an href, and where the picture of an open is to stand. They are
// noncharacters, which no text holds.
const (
	LinkStart = "\uFDD0"
	LinkEnd   = "\uFDD1"
	PixelMark = "\uFDD2"
)

// Options are how a template is compiled.
type Options struct {
	// Escape is for markup: outputs are escaped, unless their last filter is raw.
	Escape bool
	// JSON is for the text of a JSON document: outputs are escaped as strings in one are, without the
	// quotes, unless their last filter is raw or json.
	JSON bool
	// Marks says that the source holds marks. Without, they are refused.
	Marks  bool
	Limits Limits
}

// Template is compiled and safe for concurrent use.
type Template struct {
	nodes  []node
	escape bool
	json   bool
	limits Limits
	used   map[string]bool
}

// Uses says whether the template reads a variable, such as "links" or "links.unsubscribe".
func (t *Template) Uses(path string) bool { return t.used[path] }

// Static says that the template is the same for everyone.
func (t *Template) Static() bool {
	for _, n := range t.nodes {
		if _, ok := n.(text); !ok {
			return false
		}
	}
	return true
}

const (
	maxDepth  = 32
	maxSource = 1 << 20
)

type compiler struct {
	tokens []parser.Token
	next   int
	scope  *scope
	escape bool
	json   bool
	loops  int
	depth  int
	links  int
	inLink bool
}

// Compile reads a template. Errors are *Error, with the line of source.
func Compile(source string, o Options) (*Template, error) {
	if len(source) > maxSource {
		return nil, errorf(1, "the template has more than %d bytes", maxSource)
	}
	if i := strings.IndexAny(source, LinkStart+LinkEnd+PixelMark); i >= 0 && !o.Marks {
		return nil, errorf(1+strings.Count(source[:i], "\n"), "the character U+FDD0, U+FDD1 or U+FDD2 is not text")
	}
	tokens, err := scan(source, o.Marks)
	if err != nil {
		return nil, err
	}
	c := &compiler{tokens: tokens, scope: newScope(), escape: o.Escape, json: o.JSON}
	nodes, end, err := c.block("")
	if err != nil {
		return nil, err
	}
	if end != nil {
		return nil, errorf(end.SourceLoc.LineNo, "%s", unexpected(end))
	}
	return &Template{
		nodes:  nodes,
		escape: o.Escape,
		json:   o.JSON,
		limits: o.Limits,
		used:   c.scope.used,
	}, nil
}

// Tags finds the tags and outputs of a source, in order, as the places where they stand.
func Tags(source string) []Span {
	var out []Span
	at := 0
	for _, t := range parser.Scan(source, parser.SourceLoc{}, nil) {
		switch t.Type {
		case parser.ObjTokenType, parser.TagTokenType:
			out = append(out, Span{at, at + len(t.Source)})
		}
		at += len(t.Source)
	}
	return out
}

var mark = regexp.MustCompile("[" + LinkStart + LinkEnd + PixelMark + "]")

// The tags that marks become; their names cannot be written.
const (
	tagLink    = "\uFDD0"
	tagEndLink = "\uFDD1"
	tagPixel   = "\uFDD2"
)

// scan splits a source, applies the dashes that trim white space, drops comments, and splits texts
// at their marks.
func scan(source string, marks bool) ([]parser.Token, error) {
	var out []parser.Token
	trimNext := false
	comment, raw := 0, 0 // the line of the one that is open
	for _, t := range parser.Scan(source, parser.SourceLoc{LineNo: 1}, nil) {
		switch {
		case comment > 0:
			if t.Type == parser.TagTokenType && t.Name == "endcomment" {
				comment = 0
			}
			continue
		case raw > 0:
			if t.Type == parser.TagTokenType && t.Name == "endraw" {
				raw = 0
			} else if t.Type != parser.TrimLeftTokenType && t.Type != parser.TrimRightTokenType {
				out = append(out, parser.Token{Type: parser.TextTokenType, SourceLoc: t.SourceLoc, Source: t.Source})
			}
			continue
		case t.Type == parser.TagTokenType && t.Name == "comment":
			comment = t.SourceLoc.LineNo
			continue
		case t.Type == parser.TagTokenType && t.Name == "raw":
			raw = t.SourceLoc.LineNo
			continue
		}
		switch t.Type {
		case parser.TrimLeftTokenType:
			if n := len(out); n > 0 && out[n-1].Type == parser.TextTokenType {
				out[n-1].Source = strings.TrimRight(out[n-1].Source, " \t\r\n")
			}
		case parser.TrimRightTokenType:
			trimNext = true
		case parser.TextTokenType:
			if i := strings.Index(t.Source, "{{"); i >= 0 {
				return nil, errorf(t.SourceLoc.LineNo+strings.Count(t.Source[:i], "\n"), "an output that begins with {{ is not closed with }} on the same line")
			}
			if i := strings.Index(t.Source, "{%"); i >= 0 {
				return nil, errorf(t.SourceLoc.LineNo+strings.Count(t.Source[:i], "\n"), "a tag that begins with {%% is not closed with %%}")
			}
			if trimNext {
				t.Source = strings.TrimLeft(t.Source, " \t\r\n")
			}
			trimNext = false
			out = append(out, splitMarks(t, marks)...)
		default:
			trimNext = false
			out = append(out, t)
		}
	}
	if line := max(comment, raw); line > 0 {
		return nil, errorf(line, "comment or raw is not closed")
	}
	return out, nil
}

func splitMarks(t parser.Token, marks bool) []parser.Token {
	if !marks {
		return []parser.Token{t}
	}
	var out []parser.Token
	at := 0
	piece := func(end int) {
		if at < end {
			p := t
			p.Source = t.Source[at:end]
			out = append(out, p)
		}
	}
	for _, m := range mark.FindAllStringIndex(t.Source, -1) {
		piece(m[0])
		out = append(out, parser.Token{Type: parser.TagTokenType, SourceLoc: t.SourceLoc, Name: t.Source[m[0]:m[1]]})
		at = m[1]
	}
	piece(len(t.Source))
	return out
}
