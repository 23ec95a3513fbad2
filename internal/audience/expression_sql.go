// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// expressionWriter writes a checked expression in SQL. Each method writes a part as one kind, which an
// attribute and a choice between attributes take on there. No part is written twice but attributes,
// so that the statement grows with the expression and not with its nesting.
type expressionWriter struct {
	*statement
	*expressionChecker
}

// unexpected is what check has let through by mistake.
func (t *expressionWriter) unexpected(e ast.Expr) error {
	return t.invalid(e, "cannot be put into the database's words: write it in another way")
}

// choose is c ? a : b. Where the condition is absent, so is the choice.
func (t *expressionWriter) choose(args []ast.Expr, write func(ast.Expr) (string, error)) (string, error) {
	condition, err := t.truth(args[0])
	if err != nil {
		return "", err
	}
	a, b, err := writePair(args[1], args[2], write)
	return fmt.Sprintf("(CASE %s WHEN TRUE THEN %s WHEN FALSE THEN %s END)", condition, a, b), err
}

func writePair(left, right ast.Expr, write func(ast.Expr) (string, error)) (a, b string, err error) {
	if a, err = write(left); err == nil {
		b, err = write(right)
	}
	return a, b, err
}

// callName is the name of a call, and "" for what is none.
func callName(e ast.Expr) string {
	if e.Kind() != ast.CallKind {
		return ""
	}
	return e.AsCall().FunctionName()
}

var logicOperators = map[string]string{operators.LogicalAnd: "AND", operators.LogicalOr: "OR"}

var comparisonOperators = map[string]string{
	operators.Equals: "=", operators.NotEquals: "<>", operators.Less: "<", operators.LessEquals: "<=",
	operators.Greater: ">", operators.GreaterEquals: ">=",
}

func (t *expressionWriter) truth(e ast.Expr) (string, error) {
	if t.types[e.ID()] == kindAttribute {
		value, err := t.words(e)
		return "(" + value + " = 'true')", err
	}
	if e.Kind() == ast.LiteralKind {
		return map[bool]string{true: "TRUE", false: "FALSE"}[e.AsLiteral().Value() == true], nil
	}
	if e.Kind() == ast.SelectKind {
		return t.present(e.AsSelect().FieldName()), nil
	}
	name := callName(e)
	if name == "" {
		return "", t.unexpected(e)
	}
	args := e.AsCall().Args()
	switch {
	case name == operators.LogicalNot:
		value, err := t.truth(args[0])
		return "(NOT " + value + ")", err
	case logicOperators[name] != "":
		a, b, err := writePair(args[0], args[1], t.truth)
		return "(" + a + " " + logicOperators[name] + " " + b + ")", err
	case comparisonOperators[name] != "":
		return t.compare(comparisonOperators[name], args[0], args[1])
	case name == operators.In:
		return t.in(args[0], args[1])
	case name == operators.Conditional:
		return t.choose(args, t.truth)
	}
	return t.textTest(e, name)
}

func (t *expressionWriter) compare(operator string, left, right ast.Expr) (string, error) {
	of := commonKind(t.types[left.ID()], t.types[right.ID()])
	write := t.as(of)
	if of == kindTruth && (t.types[left.ID()] == kindAttribute || t.types[right.ID()] == kindAttribute) {
		write = t.words
	}
	a, b, err := writePair(left, right, write)
	if err != nil {
		return "", err
	}
	if t.env.Dialect == store.Postgres && (of == kindText || of == kindAttribute) && operator != "=" && operator != "<>" {
		a += ` COLLATE "C"` // by code points, as CEL and SQLite do
	}
	return "(" + a + " " + operator + " " + b + ")", nil
}

// as is what writes parts of a kind, to be compared.
func (t *expressionWriter) as(k kind) func(ast.Expr) (string, error) {
	switch k {
	case kindWhole, kindFraction:
		return func(e ast.Expr) (string, error) {
			n, err := t.number(e)
			return n.sql, err
		}
	case kindTruth:
		return t.truth
	case kindMoment:
		return t.moment
	case kindSpan:
		return t.span
	}
	return t.words
}

func (t *expressionWriter) in(value, list ast.Expr) (string, error) {
	if isCustomer(list) {
		name, _ := literalText(value)
		return t.present(name), nil
	}
	elements := list.AsList().Elements()
	if t.types[list.ID()] == kindText {
		values := make([]string, len(elements))
		for i, element := range elements {
			values[i], _ = literalText(element)
		}
		sql, err := t.words(value)
		return "(" + t.among(sql, values) + ")", err
	}
	n, err := t.number(value)
	values := make([]string, len(elements))
	for i, element := range elements {
		values[i] = t.constantNumber(element).sql
	}
	return "(" + n.sql + " IN (" + strings.Join(values, ", ") + "))", err
}

// textTest is startsWith, endsWith or contains, of which LIKE can do none: it knows wildcards, and in
// SQLite no difference between a and A.
func (t *expressionWriter) textTest(e ast.Expr, name string) (string, error) {
	call := e.AsCall()
	if !call.IsMemberFunction() {
		return "", t.unexpected(e)
	}
	in, part, err := writePair(call.Target(), call.Args()[0], t.words)
	if err != nil {
		return "", err
	}
	form, ok := map[store.Dialect]map[string]string{
		store.Postgres: {
			"startsWith": "STARTS_WITH(%s, %s)", "contains": "(STRPOS(%s, %s) > 0)",
			"endsWith": "STARTS_WITH(REVERSE(%s), REVERSE(%s))",
		},
		store.SQLite: {
			"startsWith": "(INSTR(%s, %s) = 1)", "contains": "(INSTR(%s, %s) > 0)",
			// No text has a NUL in it, so that this one is at the end.
			"endsWith": "(INSTR(%s || CHAR(0), %s || CHAR(0)) > 0)",
		},
	}[t.env.Dialect][name]
	if !ok {
		return "", t.unexpected(e)
	}
	return fmt.Sprintf(form, in, part), nil
}

// words writes text, and true and false as the text that they are in an attribute.
func (t *expressionWriter) words(e ast.Expr) (string, error) {
	if t.types[e.ID()] == kindTruth {
		value, err := t.truth(e)
		return "(CASE " + value + " WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END)", err
	}
	if value, ok := literalText(e); ok {
		return "CAST(" + t.statement.text(value) + " AS TEXT)", nil
	}
	if name, ok := memberName(e); ok {
		return t.attributeText(name), nil
	}
	switch callName(e) {
	case operators.Conditional:
		return t.choose(e.AsCall().Args(), t.words)
	case "string":
		return t.words(e.AsCall().Args()[0])
	}
	return "", t.unexpected(e)
}

func (t *expressionWriter) moment(e ast.Expr) (string, error) {
	if e.Kind() == ast.IdentKind {
		return "CAST(" + t.before(0) + " AS BIGINT)", nil
	}
	if name, ok := memberName(e); ok {
		if metricKinds[name] == kindMoment {
			return t.metric(name), nil
		}
		return t.attributeMoment(t.attributeText(name)), nil
	}
	switch name := callName(e); name {
	case "timestamp":
		arg := e.AsCall().Args()[0]
		if value, ok := literalText(arg); ok {
			at, err := time.Parse(time.RFC3339, value)
			return t.milliseconds(store.Millis(at)), err
		}
		return t.moment(arg)
	case operators.Conditional:
		return t.choose(e.AsCall().Args(), t.moment)
	case operators.Add, operators.Subtract:
		left, right := e.AsCall().Args()[0], e.AsCall().Args()[1]
		if t.types[left.ID()] == kindSpan { // the duration may stand on either side of +
			left, right = right, left
		}
		at, err := t.moment(left)
		if err != nil {
			return "", err
		}
		by, err := t.span(right)
		return "(" + at + map[string]string{operators.Add: " + ", operators.Subtract: " - "}[name] + by + ")", err
	}
	return "", t.unexpected(e)
}

func (t *expressionWriter) span(e ast.Expr) (string, error) {
	name := callName(e)
	if name == "" {
		return "", t.unexpected(e)
	}
	args := e.AsCall().Args()
	switch name {
	case "duration":
		value, _ := literalText(args[0])
		d, err := time.ParseDuration(value)
		return t.milliseconds(d.Milliseconds()), err
	case operators.Conditional:
		return t.choose(args, t.span)
	case operators.Add, operators.Subtract:
		write, operator := t.span, " + "
		if t.types[args[0].ID()] != kindSpan {
			write = t.moment
		}
		if name == operators.Subtract {
			operator = " - "
		}
		a, b, err := writePair(args[0], args[1], write)
		return "(" + a + operator + b + ")", err
	}
	return "", t.unexpected(e)
}

func (t *expressionWriter) milliseconds(v int64) string {
	return "CAST(" + t.statement.number(v) + " AS BIGINT)"
}
