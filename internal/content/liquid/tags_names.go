// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"regexp"
	"strings"

	"github.com/osteele/liquid/parser"
)

var assignment = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_-]*)\s*=([^=].*)$`)

func (c *compiler) assign(t *parser.Token) (node, error) {
	m := assignment.FindStringSubmatch(strings.TrimSpace(t.Args))
	if m == nil {
		return nil, errorf(t.SourceLoc.LineNo, "assign is written {%% assign name = value %%}")
	}
	e, a, err := c.expression(m[2], t.SourceLoc.LineNo)
	if err == nil {
		err = c.name(m[1], t.SourceLoc.LineNo)
	}
	if err != nil {
		return nil, err
	}
	c.scope.set(m[1], c.scope.trusts(a.paths))
	return &assign{name: m[1], value: e, strict: len(a.calls) > 0}, nil
}

// name refuses to hide the data behind a variable of the template's own.
func (c *compiler) name(name string, line int) error {
	if _, ok := variables[name]; ok || name == "forloop" {
		return errorf(line, "%s is a variable of Kaeru's: choose another name", name)
	}
	return nil
}

var captureName = regexp.MustCompile(`^["']?([a-zA-Z_][a-zA-Z0-9_-]*)["']?$`)

func (c *compiler) capture(t *parser.Token) (node, error) {
	m := captureName.FindStringSubmatch(strings.TrimSpace(t.Args))
	if m == nil {
		return nil, errorf(t.SourceLoc.LineNo, "capture is written {%% capture name %%}")
	}
	if err := c.name(m[1], t.SourceLoc.LineNo); err != nil {
		return nil, err
	}
	body, end, err := c.block("capture")
	if err == nil {
		err = unclosed(t, end, "capture")
	}
	if err != nil {
		return nil, err
	}
	c.scope.set(m[1], trustedBody(body))
	return &capture{name: m[1], body: body}, nil
}

// trustedBody says whether all that nodes write was written by the shop.
func trustedBody(nodes []node) bool {
	for _, n := range nodes {
		switch n := n.(type) {
		case *output:
			if !n.trusted {
				return false
			}
		case conditional:
			for _, b := range n {
				if !trustedBody(b.body) {
					return false
				}
			}
		case *choice:
			for _, b := range n.cases {
				if !trustedBody(b.body) {
					return false
				}
			}
		case *loop:
			if !trustedBody(n.body) || !trustedBody(n.otherwise) {
				return false
			}
		}
	}
	return true
}

func (c *compiler) link(t *parser.Token) (node, error) {
	if c.inLink {
		return nil, errorf(t.SourceLoc.LineNo, "%s", unexpected(t))
	}
	c.inLink = true
	defer func() { c.inLink = false }()
	l := &link{index: c.links}
	c.links++
	body, end, err := c.block(tagLink)
	if err == nil {
		err = unclosed(t, end, "link")
	}
	if err != nil {
		return nil, err
	}
	if c.escape {
		unescapeAll(body)
	}
	l.body = body
	return l, nil
}
