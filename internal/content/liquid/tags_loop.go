// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"slices"

	"github.com/osteele/liquid/parser"
)

func (c *compiler) loop(t *parser.Token) (node, error) {
	lexemes, err := lex(t.Args)
	if err != nil {
		return nil, errorf(t.SourceLoc.LineNo, "%s", err)
	}
	const want = "for is written {%% for name in list %%}, with limit: 3, offset: 1 or reversed"
	if len(lexemes) < 3 || lexemes[0].kind != lexName || lexemes[1].text != "in" {
		return nil, errorf(t.SourceLoc.LineNo, want)
	}
	l, err := parseLoop(t.Args)
	if err != nil {
		return nil, errorf(t.SourceLoc.LineNo, want)
	}
	if l.Cols != nil {
		return nil, errorf(t.SourceLoc.LineNo, "cols belongs to tablerow, which is not supported")
	}
	rest := lexemes[2:]
	if last := rest[len(rest)-1]; l.Reversed && last.kind == lexName && last.text == "reversed" {
		rest = rest[:len(rest)-1]
	}
	rest = slices.DeleteFunc(slices.Clone(rest), func(x lexeme) bool {
		return x.kind == lexKeyword && (x.text == "limit" || x.text == "offset") || x.kind == lexName && x.text == "reversed"
	})
	a, err := c.analyse(rest, t.SourceLoc.LineNo)
	if err != nil {
		return nil, err
	}
	if a.ranges > 0 && len(a.calls) > 0 {
		return nil, errorf(t.SourceLoc.LineNo, "a range such as (1..5) takes no filters")
	}
	if err := c.name(l.Variable, t.SourceLoc.LineNo); err != nil {
		return nil, err
	}
	out := &loop{variable: l.Variable, over: l.Expr, offset: l.Offset, limit: l.Limit, reversed: l.Reversed, line: t.SourceLoc.LineNo}
	restore := c.bind(l.Variable, a)
	defer restore()
	body, end, err := c.block("for")
	if err == nil {
		err = unclosed(t, end, "for")
	}
	if err != nil {
		return nil, err
	}
	out.body = body
	if end.Name == "else" {
		if out.otherwise, end, err = c.block("for"); err == nil {
			err = unclosed(t, end, "for")
		}
		if err == nil && end.Name == "else" {
			err = errorf(t.SourceLoc.LineNo, "for has two else")
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bind makes the names known that hold inside of a loop.
func (c *compiler) bind(name string, over analysis) (restore func()) {
	c.loops++
	outer, hadOuter := c.scope.local[name]
	forloop, hadForloop := c.scope.local["forloop"]
	bound := &local{trusted: c.scope.trusts(over.paths)}
	if len(over.paths) == 1 && len(over.paths[0].names) == 1 && over.paths[0].names[0] == "recommendations" {
		bound.fields = productFields
	}
	c.scope.local[name] = bound
	c.scope.local["forloop"] = &local{fields: forloopFields, trusted: true}
	return func() {
		c.loops--
		put := func(name string, l *local, had bool) {
			if had {
				c.scope.local[name] = l
			} else {
				delete(c.scope.local, name)
			}
		}
		put(name, outer, hadOuter)
		put("forloop", forloop, hadForloop)
	}
}
