// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

const (
	// maxExpression is the length that the API allows.
	maxExpression = 4096
	// maxNesting keeps what SQLite parses well below its own limit.
	maxNesting = 40
)

// expressionEnv only parses. CEL's own checker would take an attribute for anything, and tells a whole
// number from another; check does what is needed here.
var expressionEnv = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewCustomEnv(
		cel.Macros(cel.HasMacro),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(4*maxNesting),
	)
})

// expression is a condition in CEL, in SQL. Where CEL would evaluate to an error, because a value is
// absent, the SQL is NULL, and goes through &&, || and ! as CEL's errors do.
func (s *statement) expression(text, path string) (p predicate, usesNow bool, err error) {
	env, err := expressionEnv()
	if err != nil {
		return predicate{}, false, fmt.Errorf("set up CEL: %w", err)
	}
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return predicate{}, false, &Invalid{path, syntaxError(issues.Errors()[0])}
	}
	c := &expressionChecker{path: path, text: []rune(text), offsets: parsed.NativeRep().SourceInfo(), types: make(map[int64]kind)}
	root := parsed.NativeRep().Expr()
	if err := c.mustBe(root, kindTruth, 0); err != nil {
		return predicate{}, false, err
	}
	sql, err := (&expressionWriter{statement: s, expressionChecker: c}).truth(root)
	return when(sql), c.usesNow, err
}

// syntaxError makes a sentence of an error of the parser, which may list all that it would have taken.
func syntaxError(e *common.Error) string {
	message := strings.TrimPrefix(e.Message, "Syntax error: ")
	if at := strings.Index(message, " expecting "); at >= 0 {
		message = message[:at]
	}
	switch {
	case strings.Contains(message, "'<EOF>'"):
		message = "the expression ends too early: complete it"
	case strings.Contains(message, "has() macro"):
		message = `has takes customer.NAME: for another name write "NAME" in customer`
	case strings.Contains(message, "recursion"):
		message = tooDeep
	case strings.Contains(message, "lookahead limit"):
		message = "is no expression: look for a quote or a bracket that is missing"
	case strings.Contains(message, "size exceeds limit"):
		message = fmt.Sprintf("is longer than %d characters: make several conditions of it", maxExpression)
	}
	return fmt.Sprintf("line %d, column %d: %s", max(e.Location.Line(), 1), max(e.Location.Column()+1, 1), message)
}

const tooDeep = "is nested too deep: make several conditions of it"

// invalid is an error about a part of the expression.
func (c *expressionChecker) invalid(e ast.Expr, format string, args ...any) error {
	line, column := 1, 1
	for _, r := range c.text[:min(c.start(e), len(c.text))] {
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return &Invalid{c.path, fmt.Sprintf("line %d, column %d: ", line, column) + fmt.Sprintf(format, args...)}
}

// start is where a part begins. CEL notes the place of its operator, dot or bracket.
func (c *expressionChecker) start(e ast.Expr) int {
	first := len(c.text)
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		at, ok := c.offsets.GetOffsetRange(e.ID())
		if !ok {
			return
		}
		begin := int(at.Start)
		switch {
		case e.Kind() == ast.CallKind && !e.AsCall().IsMemberFunction() && begin < len(c.text) && c.text[begin] == '(',
			e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly(),
			e.Kind() == ast.StructKind:
			begin = c.wordBefore(begin)
		}
		first = min(first, begin)
	}))
	return first
}

// wordBefore is where the name before a bracket begins.
func (c *expressionChecker) wordBefore(at int) int {
	for at > 0 && strings.ContainsRune(" \t\r\n", c.text[at-1]) {
		at--
	}
	for at > 0 && (c.text[at-1] == '_' || c.text[at-1] == '.' || '0' <= c.text[at-1] && c.text[at-1] <= '9' ||
		'a' <= c.text[at-1]|0x20 && c.text[at-1]|0x20 <= 'z') {
		at--
	}
	return at
}

// word shortens a name that stands in a message.
func shortened(name string) string {
	if runes := []rune(name); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return name
}
