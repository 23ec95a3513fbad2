// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"math"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// Both stores count with the same IEEE doubles, as CEL does, whole numbers too: the same expression
// gives the same number to the last bit. But PostgreSQL fails the statement where a result is too
// large or too close to 0. Hence the limits of each number are known beforehand.

// sizedNumber is one in SQL, a double. Its size, unless it is 0, is at most most and at least least.
type sizedNumber struct {
	sql         string
	most, least float64
}

// maxDigits is the length of a number in an attribute.
const maxDigits = 31

// The limits of what the database has.
var (
	attributeLimits = sizedNumber{most: 1e31, least: 1e-29}
	ordersLimits    = sizedNumber{most: math.MaxInt64, least: 1}
	spendLimitsOf   = sizedNumber{most: math.MaxInt64, least: 1. / float64(money.Unit)}
)

func (n sizedNumber) of(sql string) sizedNumber { return sizedNumber{sql, n.most, n.least} }

func (t *expressionWriter) double(sql string) string { return "CAST(" + sql + " AS DOUBLE PRECISION)" }

func (t *expressionWriter) number(e ast.Expr) (sizedNumber, error) {
	if e.Kind() == ast.LiteralKind {
		return t.constantNumber(e), nil
	}
	if name, ok := memberName(e); ok {
		return t.memberNumber(name), nil
	}
	name := callName(e)
	if name == "" {
		return sizedNumber{}, t.unexpected(e)
	}
	args := e.AsCall().Args()
	switch name {
	case operators.Conditional:
		limits := sizedNumber{least: math.Inf(1)}
		sql, err := t.choose(args, func(e ast.Expr) (string, error) {
			n, err := t.number(e)
			limits.most, limits.least = max(limits.most, n.most), min(limits.least, n.least)
			return n.sql, err
		})
		return limits.of(sql), err
	case operators.Negate:
		n, err := t.number(args[0])
		return n.of("(- " + n.sql + ")"), err
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		return t.arithmetic(e, name, args[0], args[1])
	case "double":
		return t.number(args[0])
	case "int":
		n, err := t.number(args[0])
		return sizedNumber{"TRUNC(" + n.sql + ")", n.most, 1}, err
	case "size":
		of := e.AsCall().Target() // "a".size() is size("a")
		if !e.AsCall().IsMemberFunction() {
			of = args[0]
		}
		value, err := t.words(of)
		return ordersLimits.of(t.double("LENGTH(" + value + ")")), err
	}
	return sizedNumber{}, t.unexpected(e)
}

func (t *expressionWriter) constantNumber(e ast.Expr) sizedNumber {
	var v float64
	switch literal := e.AsLiteral().Value().(type) {
	case int64:
		v = float64(literal)
	case float64:
		v = literal
	}
	n := sizedNumber{t.double(t.placeholder("double", v)), math.Abs(v), math.Abs(v)}
	if v == 0 {
		n.least = math.Inf(1)
	}
	return n
}

func (t *expressionWriter) memberNumber(name string) sizedNumber {
	switch name {
	case "orders":
		return ordersLimits.of(t.double(t.metricOrZero("orders")))
	case "spend":
		return spendLimitsOf.of(t.amount(t.metricOrZero("spend")))
	case "average":
		// Divided as the condition spend divides, so that the two agree.
		return spendLimitsOf.of(t.amount("(" + t.metric("spend") + " / NULLIF(" + t.metric("orders") + ", 0))"))
	}
	value := t.attributeText(name)
	return attributeLimits.of(fmt.Sprintf("(CASE WHEN LENGTH(%s) <= %d THEN %s END)", value, maxDigits, t.double(t.asNumber(value))))
}

// amount is money in the currency's unit.
func (t *expressionWriter) amount(sql string) string {
	return fmt.Sprintf("(%s / %d)", t.double(sql), money.Unit)
}

func (t *expressionWriter) arithmetic(e ast.Expr, operator string, left, right ast.Expr) (sizedNumber, error) {
	a, err := t.number(left)
	if err != nil {
		return sizedNumber{}, err
	}
	b, err := t.number(right)
	if err != nil {
		return sizedNumber{}, err
	}
	var n sizedNumber
	switch operator {
	case operators.Add, operators.Subtract:
		sign := map[string]string{operators.Add: " + ", operators.Subtract: " - "}[operator]
		// Both are multiples of the last bit of the smallest, and so is their sum.
		n = sizedNumber{"(" + a.sql + sign + b.sql + ")", a.most + b.most, math.Ldexp(min(a.least, b.least), -53)}
	case operators.Multiply:
		n = sizedNumber{"(" + a.sql + " * " + b.sql + ")", a.most * b.most, a.least * b.least}
	case operators.Divide:
		n = sizedNumber{"(" + a.sql + " / NULLIF(" + b.sql + ", 0))", a.most / b.least, a.least / b.most}
	}
	if !(n.most <= largestNumber && n.least >= smallestNumber) {
		return sizedNumber{}, t.invalid(e, "the result could be larger or smaller than a number can be: multiply or divide fewer values")
	}
	if operator == operators.Divide && t.kinds[e.ID()] == kindWhole {
		n.sql, n.least = "TRUNC"+n.sql, 1
	}
	return n, nil
}

// present is has(customer.NAME) and "NAME" in customer.
func (t *expressionWriter) present(name string) string {
	switch {
	case name == "average":
		return "(COALESCE(" + t.metric("orders") + ", 0) > 0)"
	case metricKinds[name].number():
		return "TRUE"
	case metricKinds[name] == kindMoment:
		return "(" + t.metric(name) + " IS NOT NULL)"
	}
	return "(" + t.attributeText(name) + " IS NOT NULL)"
}
