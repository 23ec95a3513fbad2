// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"math"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// kind is what a part of an expression is.
type kind int

const (
	// kindAttribute is a value whose kind the other side of an operator decides.
	kindAttribute kind = iota + 1
	kindWhole          // a number, which divides as whole numbers do in CEL
	kindFraction       // any other number
	kindText
	kindTruth
	kindMoment
	kindSpan
)

var kindNames = map[kind]string{
	kindAttribute: "an attribute", kindWhole: "a number", kindFraction: "a number", kindText: "text",
	kindTruth: "true or false", kindMoment: "a timestamp", kindSpan: "a duration",
}

// kindExamples say how a kind is written.
var kindExamples = map[kind]string{
	kindWhole: "a number such as 20", kindFraction: "a number such as 20", kindText: `text such as "gold"`, kindTruth: "true or false",
	kindMoment: `now or timestamp("2026-01-31T00:00:00Z")`, kindSpan: `duration("720h")`,
}

func (k kind) number() bool { return k == kindWhole || k == kindFraction }

// metricKinds are the metrics of a customer, which win over attributes of the same name.
var metricKinds = map[string]kind{
	"orders": kindWhole, "spend": kindFraction, "average": kindFraction,
	"first_order_at": kindMoment, "last_order_at": kindMoment, "previous_order_at": kindMoment,
}

func memberKind(name string) kind {
	switch k := metricKinds[name]; {
	case k != 0:
		return k
	case columns[name]:
		return kindText
	}
	return kindAttribute
}

// expressionChecker finds the kinds of the parts of an expression, and refuses what has none.
type expressionChecker struct {
	path    string
	text    []rune
	offsets *ast.SourceInfo
	types   map[int64]kind
	usesNow bool
}

// mustBe checks a part that is of a kind, or an attribute, which can be of any but a duration.
func (c *expressionChecker) mustBe(e ast.Expr, want kind, depth int) error {
	got, err := c.check(e, depth)
	if err != nil {
		return err
	}
	if got == want || got.number() && want.number() || got == kindAttribute && want != kindSpan {
		return nil
	}
	hint := "write " + kindExamples[want]
	if want == kindTruth {
		hint = "compare it, as in customer.orders >= 2"
	}
	return c.invalid(e, "is %s, and must be %s: %s", kindNames[got], kindNames[want], hint)
}

func (c *expressionChecker) check(e ast.Expr, depth int) (kind, error) {
	if k := c.types[e.ID()]; k != 0 {
		return k, nil
	}
	if depth > maxNesting {
		return 0, c.invalid(e, tooDeep)
	}
	k, err := c.checkOne(e, depth+1)
	c.types[e.ID()] = k
	return k, err
}

func (c *expressionChecker) checkOne(e ast.Expr, depth int) (kind, error) {
	switch e.Kind() {
	case ast.LiteralKind:
		return c.literal(e)
	case ast.IdentKind:
		return c.ident(e)
	case ast.SelectKind:
		return c.selection(e)
	case ast.CallKind:
		return c.callKind(e, depth)
	case ast.ListKind:
		return 0, c.invalid(e, `a list stands after in only: write customer.rank in ["gold", "silver"]`)
	}
	return 0, c.invalid(e, "there are no maps and no messages here: compare single values")
}

const (
	// maxWhole is the largest number up to which all whole ones are exact.
	maxWhole = 1 << 53
	// No number may leave these limits, as PostgreSQL fails where one does.
	largestNumber, smallestNumber = 1e300, 1e-300
)

func (c *expressionChecker) literal(e ast.Expr) (kind, error) {
	switch v := e.AsLiteral().Value().(type) {
	case int64:
		if v > maxWhole || v < -maxWhole {
			return 0, c.invalid(e, "numbers are exact up to %d: compare it as text, in quotes", maxWhole)
		}
		return kindWhole, nil
	case float64:
		if size := math.Abs(v); size > largestNumber || size < smallestNumber && size != 0 {
			return 0, c.invalid(e, "is no number to count with: write one between %g and %g", smallestNumber, largestNumber)
		}
		return kindFraction, nil
	case string:
		if strings.ContainsRune(v, 0) {
			return 0, c.invalid(e, "contains a NUL character, which no text does: remove it")
		}
		return kindText, nil
	case bool:
		return kindTruth, nil
	case uint64:
		return 0, c.invalid(e, "write the number without u: %d", v)
	case []byte:
		return 0, c.invalid(e, "there are no bytes here: write text, without b before the quotes")
	}
	return 0, c.invalid(e, "there is no null here: write !has(customer.NAME) for what is absent")
}

func (c *expressionChecker) ident(e ast.Expr) (kind, error) {
	switch name := e.AsIdent(); {
	case name == "now":
		c.usesNow = true
		return kindMoment, nil
	case name == "customer":
		return 0, c.invalid(e, "customer alone is no value: write customer.NAME")
	case metricKinds[name] != 0 || columns[name]:
		return 0, c.invalid(e, "%s is not known: write customer.%[1]s", name)
	default:
		return 0, c.invalid(e, "%s is not known: there are customer.NAME and now, and text stands in quotes", shortened(name))
	}
}

// selection is customer.NAME or has(customer.NAME).
func (c *expressionChecker) selection(e ast.Expr) (kind, error) {
	name, ok := memberName(e)
	if !ok {
		return 0, c.invalid(e, `.%s is not known: write customer.NAME, or customer["NAME"]`, shortened(e.AsSelect().FieldName()))
	}
	if e.AsSelect().IsTestOnly() {
		return kindTruth, c.validName(e, name)
	}
	return memberKind(name), c.validName(e, name)
}

func (c *expressionChecker) validName(e ast.Expr, name string) error {
	if name == "" || strings.ContainsAny(name, "\"\\\x00") {
		return c.invalid(e, `no attribute's name is empty or has a " or a \: correct it`)
	}
	return nil
}

// memberName reads customer.NAME and customer["NAME"].
func memberName(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.SelectKind:
		return e.AsSelect().FieldName(), isCustomer(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 || !isCustomer(call.Args()[0]) {
			return "", false
		}
		return literalText(call.Args()[1])
	}
	return "", false
}

func isCustomer(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "customer" }

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	v, ok := e.AsLiteral().Value().(string)
	return v, ok
}
