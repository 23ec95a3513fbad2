// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"regexp"
	"slices"
	"strings"

	"github.com/osteele/liquid/parser"
)

// ends are the tags that end a block's body, by the block.
var ends = map[string][]string{
	"":        nil,
	"if":      {"elsif", "else", "endif"},
	"unless":  {"elsif", "else", "endunless"},
	"case":    {"when", "else", "endcase"},
	"for":     {"else", "endfor"},
	"capture": {"endcapture"},
	tagLink:   {tagEndLink},
}

const knownTags = "assign, break, capture, case, comment, continue, cycle, for, if, raw, unless"

// block reads nodes up to a tag that ends the block, which it gives back, or to the end of all.
func (c *compiler) block(name string) ([]node, *parser.Token, error) {
	if c.depth++; c.depth > maxDepth {
		return nil, nil, errorf(c.line(), "tags are nested more than %d deep", maxDepth)
	}
	defer func() { c.depth-- }()
	var nodes []node
	for c.next < len(c.tokens) {
		t := &c.tokens[c.next]
		c.next++
		switch t.Type {
		case parser.TextTokenType:
			nodes = append(nodes, text(t.Source))
		case parser.ObjTokenType:
			o, err := c.output(t)
			if err != nil {
				return nil, nil, err
			}
			nodes = append(nodes, o)
		case parser.TagTokenType:
			if slices.Contains(ends[name], t.Name) {
				return nodes, t, nil
			}
			n, err := c.tag(t)
			if err != nil {
				return nil, nil, err
			}
			if n != nil {
				nodes = append(nodes, n)
			}
		}
	}
	return nodes, nil, nil
}

func (c *compiler) line() int {
	if c.next > 0 && c.next <= len(c.tokens) {
		return c.tokens[c.next-1].SourceLoc.LineNo
	}
	return 1
}

const crossedLink = "an address must begin and end between the same tags: put if and for around the whole address or inside of it"

func unexpected(t *parser.Token) string {
	if t.Name == tagLink || t.Name == tagEndLink {
		return crossedLink
	}
	return t.Name + " has no tag that it belongs to"
}

func unclosed(open, end *parser.Token, name string) error {
	if end != nil {
		return nil
	}
	if open.Name == tagLink {
		return errorf(open.SourceLoc.LineNo, "%s", unexpected(open))
	}
	return errorf(open.SourceLoc.LineNo, "%s is not closed: write {%% end%s %%}", name, name)
}

func (c *compiler) tag(t *parser.Token) (node, error) {
	switch t.Name {
	case "if", "unless":
		return c.conditional(t)
	case "case":
		return c.choice(t)
	case "for":
		return c.loop(t)
	case "assign":
		return c.assign(t)
	case "capture":
		return c.capture(t)
	case "cycle":
		y, err := parseCycle(t.Args)
		if err != nil {
			return nil, errorf(t.SourceLoc.LineNo, "%s", err)
		}
		group := y.Group
		if group == "" {
			group = strings.Join(y.Values, "\x00")
		}
		return &cycle{group: group, values: y.Values}, nil
	case "break", "continue":
		if c.loops == 0 {
			return nil, errorf(t.SourceLoc.LineNo, "%s stands outside of for", t.Name)
		}
		if t.Name == "break" {
			return jump(breaking), nil
		}
		return jump(continuing), nil
	case tagLink:
		return c.link(t)
	case tagPixel:
		return pixel{}, nil
	case "include", "render", "layout", "section":
		return nil, errorf(t.SourceLoc.LineNo, "%s is not supported: a template reads no other file", t.Name)
	}
	for _, e := range ends {
		if c.inLink && slices.Contains(e, t.Name) {
			return nil, errorf(t.SourceLoc.LineNo, "%s", crossedLink)
		}
		if slices.Contains(e, t.Name) {
			return nil, errorf(t.SourceLoc.LineNo, "%s", unexpected(t))
		}
	}
	return nil, errorf(t.SourceLoc.LineNo, "unknown tag %s: templates know %s", t.Name, knownTags)
}

// lastFilter matches the filters that say how an output is written rather than what.
var lastFilter = regexp.MustCompile(`\|\s*(raw|escape|escape_once|newline_to_br|json)\s*$`)

func (c *compiler) output(t *parser.Token) (node, error) {
	source := strings.TrimSpace(t.Args)
	o := &output{}
	// In markup, escaping is done anyway, and line breaks become markup after it.
	if m := lastFilter.FindStringSubmatchIndex(source); m != nil {
		switch filter := source[m[2]:m[3]]; {
		case filter == "raw":
			o.raw, source = true, source[:m[0]]
		case filter == "json":
			o.raw = c.json // a whole value is made of it
		case c.escape && filter == "newline_to_br":
			o.br, source = true, source[:m[0]]
		case c.escape:
			source = source[:m[0]]
		}
	}
	e, a, err := c.expression(source, t.SourceLoc.LineNo)
	if err != nil {
		return nil, err
	}
	o.expression, o.trusted = e, c.scope.trusts(a.paths)
	return o, nil
}

func (c *compiler) conditional(t *parser.Token) (node, error) {
	var out conditional
	test, _, err := c.expression(t.Args, t.SourceLoc.LineNo)
	if err != nil {
		return nil, err
	}
	current := branch{test: test, negate: t.Name == "unless"}
	for seenElse := false; ; {
		body, end, err := c.block(t.Name)
		if err == nil {
			err = unclosed(t, end, t.Name)
		}
		if err != nil {
			return nil, err
		}
		current.body = body
		out = append(out, current)
		switch {
		case strings.HasPrefix(end.Name, "end"):
			return out, nil
		case seenElse:
			return nil, errorf(end.SourceLoc.LineNo, "%s comes after else", end.Name)
		case end.Name == "else":
			seenElse, current = true, branch{}
		default:
			if test, _, err = c.expression(end.Args, end.SourceLoc.LineNo); err != nil {
				return nil, err
			}
			current = branch{test: test}
		}
	}
}

func (c *compiler) choice(t *parser.Token) (node, error) {
	of, _, err := c.expression(t.Args, t.SourceLoc.LineNo)
	if err != nil {
		return nil, err
	}
	out := &choice{of: of}
	body, end, err := c.block("case")
	if err == nil {
		err = unclosed(t, end, "case")
	}
	if err != nil {
		return nil, err
	}
	for _, n := range body {
		if s, ok := n.(text); !ok || strings.TrimSpace(string(s)) != "" {
			return nil, errorf(t.SourceLoc.LineNo, "case must be followed by when")
		}
	}
	for end.Name != "endcase" {
		var current choiceCase
		if end.Name == "when" {
			if current.when, err = c.whens(end); err != nil {
				return nil, err
			}
		}
		if current.body, end, err = c.block("case"); err == nil {
			err = unclosed(t, end, "case")
		}
		if err != nil {
			return nil, err
		}
		out.cases = append(out.cases, current)
	}
	return out, nil
}

// whens reads the alternatives of a when: "a", "b" or "a" or "b".
func (c *compiler) whens(t *parser.Token) ([]*expression, error) {
	lexemes, err := lex(t.Args)
	if err != nil {
		return nil, errorf(t.SourceLoc.LineNo, "%s", err)
	}
	var out []*expression
	start := 0
	for i := 0; i <= len(lexemes); i++ {
		end, next := len(t.Args), len(t.Args)
		if i < len(lexemes) {
			l := lexemes[i]
			if !(l.kind == lexMark && l.text == "," || l.kind == lexOperator && l.text == "or") {
				continue
			}
			end, next = l.start, l.start+len(l.text)
		}
		e, _, err := c.expression(t.Args[start:end], t.SourceLoc.LineNo)
		if err != nil {
			return nil, err
		}
		out, start = append(out, e), next
	}
	return out, nil
}
