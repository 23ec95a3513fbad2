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

// sizedNumber is one in SQL, a double. Its size is at most most and, unless it is 0, at least least; it
// is a multiple of bit, which is a power of 2.
type sizedNumber struct {
	sql              string
	most, least, bit float64
}

// sized is a number of which only the limits are known.
func sized(most, least float64) sizedNumber {
	return sizedNumber{most: most, least: least, bit: math.Ldexp(1, math.Ilogb(least)-52)}
}

// sizedWhole is a whole number.
func sizedWhole(most float64) sizedNumber { return sizedNumber{most: most, least: 1, bit: 1} }

// maxDigits is the length of a number in an attribute.
const maxDigits = 31

// The limits of what the database has.
var (
	attributeLimits = sized(1e31, 1e-29)
	countLimits     = sizedWhole(math.MaxInt64)
	amountLimits    = sized(math.MaxInt64, 1/float64(money.Unit))
)

func (n sizedNumber) of(sql string) sizedNumber { return sizedNumber{sql, n.most, n.least, n.bit} }

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
		limits := sizedNumber{least: math.Inf(1), bit: math.Inf(1)}
		sql, err := t.choose(args, func(e ast.Expr) (string, error) {
			n, err := t.number(e)
			limits = sizedNumber{most: max(limits.most, n.most), least: min(limits.least, n.least), bit: min(limits.bit, n.bit)}
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
		return sizedWhole(n.most).of("TRUNC(" + n.sql + ")"), err
	case "size":
		of := e.AsCall().Target() // "a".size() is size("a")
		if !e.AsCall().IsMemberFunction() {
			of = args[0]
		}
		value, err := t.words(of)
		return countLimits.of(t.double("LENGTH(" + value + ")")), err
	}
	return sizedNumber{}, t.unexpected(e)
}

func (t *expressionWriter) constantNumber(e ast.Expr) sizedNumber {
	write := func(v float64) string { return t.double(t.placeholder("double", v)) }
	switch v := e.AsLiteral().Value().(type) {
	case int64:
		return sizedWhole(math.Abs(float64(v))).of(write(float64(v)))
	case float64:
		if v == 0 {
			return sizedWhole(0).of(write(0))
		}
		return sized(math.Abs(v), math.Abs(v)).of(write(v))
	}
	return sizedNumber{}
}

func (t *expressionWriter) memberNumber(name string) sizedNumber {
	switch name {
	case "orders":
		return countLimits.of(t.double(t.metricOrZero("orders")))
	case "spend":
		return amountLimits.of(t.amount(t.metricOrZero("spend")))
	case "average":
		// Divided as the condition spend divides, so that the two agree.
		return amountLimits.of(t.amount("(" + t.metric("spend") + " / NULLIF(" + t.metric("orders") + ", 0))"))
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
		// What little may be left is a multiple of the last bit of both.
		bit := min(a.bit, b.bit)
		n = sizedNumber{most: a.most + b.most, least: bit, bit: bit}
		n.sql = "(" + a.sql + map[string]string{operators.Add: " + ", operators.Subtract: " - "}[operator] + b.sql + ")"
	case operators.Multiply:
		n = sized(a.most*b.most, a.least*b.least).of("(" + a.sql + " * " + b.sql + ")")
	case operators.Divide:
		n = sized(a.most/b.least, a.least/max(b.most, b.least)).of("(" + a.sql + " / NULLIF(" + b.sql + ", 0))")
	}
	if n.most > largestNumber || n.least < smallestNumber {
		return sizedNumber{}, t.invalid(e, "the result could be larger or smaller than a number can be: multiply or divide fewer values")
	}
	if t.types[e.ID()] == kindWhole {
		if operator == operators.Divide {
			n.sql = "TRUNC" + n.sql
		}
		return sizedWhole(n.most).of(n.sql), nil
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
