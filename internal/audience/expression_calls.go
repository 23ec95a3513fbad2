// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/kaeru-dev/kaeru/internal/schedule"
)

func (c *expressionChecker) callKind(e ast.Expr, depth int) (kind, error) {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		for _, arg := range args {
			if err := c.mustBe(arg, kindTruth, depth); err != nil {
				return 0, err
			}
		}
		return kindTruth, nil
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return kindTruth, c.comparison(name, args[0], args[1], depth)
	case operators.In:
		return kindTruth, c.membership(args[0], args[1], depth)
	case operators.Add, operators.Subtract, operators.Multiply, operators.Divide:
		return c.arithmeticKind(e, name, args[0], args[1], depth)
	case operators.Negate:
		if err := c.mustBe(args[0], kindFraction, depth); err != nil {
			return 0, err
		}
		if c.types[args[0].ID()] == kindWhole {
			return kindWhole, nil
		}
		return kindFraction, nil
	case operators.Conditional:
		return c.choiceKind(args, depth)
	case operators.Index:
		member, ok := memberName(e)
		if !ok {
			return 0, c.invalid(e, `only the customer has members, by a name in quotes: write customer["NAME"]`)
		}
		return memberKind(member), c.validName(e, member)
	case operators.Modulo:
		return 0, c.invalid(e, "there is no %%: use + - * /")
	default:
		return c.function(e, name, depth)
	}
}

// common is the kind as which two values are compared or chosen from, 0 where there is none.
func commonKind(a, b kind) kind {
	switch {
	case a == b:
		return a
	case a.number() && b.number():
		return kindFraction
	case a == kindAttribute && b != kindSpan:
		return max(b, kindFraction) // a whole number among an attribute's is one like any other
	case b == kindAttribute && a != kindSpan:
		return max(a, kindFraction)
	}
	return 0
}

func (c *expressionChecker) both(a, b ast.Expr, depth int) (ka, kb kind, err error) {
	if ka, err = c.check(a, depth); err == nil {
		kb, err = c.check(b, depth)
	}
	return ka, kb, err
}

func (c *expressionChecker) comparison(operator string, left, right ast.Expr, depth int) error {
	a, b, err := c.both(left, right, depth)
	if err != nil {
		return err
	}
	k := commonKind(a, b)
	switch {
	case k == 0 && a == kindAttribute:
		return c.invalid(left, "an attribute is no duration: compare now - timestamp(customer.NAME) with it")
	case k == 0:
		hint := "compare it with a duration, as in now - customer.last_order_at"
		if a != kindAttribute && b != kindAttribute {
			hint = "write " + kindExamples[a]
		}
		return c.invalid(right, "is %s, and is compared with %s: %s", kindNames[b], kindNames[a], hint)
	case k == kindTruth && operator != operators.Equals && operator != operators.NotEquals:
		return c.invalid(left, "true or false has no order: compare it with == or !=")
	}
	return nil
}

// membership is in, after which there is a list of texts or of numbers, or the customer.
func (c *expressionChecker) membership(value, list ast.Expr, depth int) error {
	if isCustomer(list) {
		name, ok := literalText(value)
		if !ok {
			return c.invalid(value, `before in customer is a name in quotes: write "NAME" in customer`)
		}
		return c.validName(value, name)
	}
	k, err := c.check(value, depth)
	if err != nil {
		return err
	}
	if list.Kind() != ast.ListKind || list.AsList().Size() == 0 {
		return c.invalid(list, `after in is a list: write ["gold", "silver"] or [1, 2]`)
	}
	if k != kindAttribute && k != kindText && !k.number() {
		return c.invalid(value, "in looks for texts and numbers: compare %s with == and ||", kindNames[k])
	}
	of := k
	for _, element := range list.AsList().Elements() {
		if element.Kind() != ast.LiteralKind {
			return c.invalid(element, `a list has texts or numbers as they are: write ["gold", "silver"] or [1, 2]`)
		}
		got, err := c.check(element, depth)
		if err != nil {
			return err
		}
		if of == kindAttribute {
			of = got
		}
		if got != kindText && !got.number() || commonKind(of, got) == 0 {
			return c.invalid(element, "is %s, among %s: write texts or numbers, of one kind", kindNames[got], kindNames[of])
		}
	}
	c.types[list.ID()] = of
	return nil
}

func (c *expressionChecker) choiceKind(args []ast.Expr, depth int) (kind, error) {
	if err := c.mustBe(args[0], kindTruth, depth); err != nil {
		return 0, err
	}
	a, b, err := c.both(args[1], args[2], depth)
	if err != nil {
		return 0, err
	}
	k := commonKind(a, b)
	if k == 0 {
		return 0, c.invalid(args[2], "is %s, and the other choice is %s: choose between two of a kind", kindNames[b], kindNames[a])
	}
	return k, nil
}

func (c *expressionChecker) arithmeticKind(e ast.Expr, operator string, left, right ast.Expr, depth int) (kind, error) {
	a, b, err := c.both(left, right, depth)
	if err != nil {
		return 0, err
	}
	plus, minus := operator == operators.Add, operator == operators.Subtract
	timed := func(k kind) bool { return k == kindMoment || k == kindAttribute }
	switch {
	case a == kindAttribute && b == kindAttribute && (plus || minus):
		return 0, c.invalid(e, "two attributes may be numbers or timestamps: write double(customer.NAME) or timestamp(customer.NAME)")
	case a == kindWhole && b == kindWhole:
		return kindWhole, nil
	case (a.number() || a == kindAttribute) && (b.number() || b == kindAttribute):
		return kindFraction, nil
	case (plus || minus) && a == kindSpan && b == kindSpan:
		return kindSpan, nil
	case (plus || minus) && timed(a) && b == kindSpan, plus && a == kindSpan && timed(b):
		return kindMoment, nil
	case minus && timed(a) && timed(b):
		return kindSpan, nil
	case plus && (a == kindText || b == kindText):
		return 0, c.invalid(e, "+ adds numbers and durations: compare the texts one by one, with &&")
	}
	return 0, c.invalid(e, "%s and %s do not go together: + - * / take numbers, + and - timestamps and durations too", kindNames[a], kindNames[b])
}

var textTests = []string{"startsWith", "endsWith", "contains"}

func (c *expressionChecker) function(e ast.Expr, name string, depth int) (kind, error) {
	call := e.AsCall()
	args := call.Args()
	if slices.Contains(textTests, name) {
		if !call.IsMemberFunction() || len(args) != 1 {
			return 0, c.invalid(e, `write customer.NAME.%s("text")`, name)
		}
		if err := c.mustBe(call.Target(), kindText, depth); err != nil {
			return 0, err
		}
		return kindTruth, c.mustBe(args[0], kindText, depth)
	}
	if name == "size" && call.IsMemberFunction() && len(args) == 0 {
		args = []ast.Expr{call.Target()}
	} else if call.IsMemberFunction() {
		args = nil
	}
	one, known := map[string]func(ast.Expr, int) (kind, error){
		"size": c.sizeOf, "timestamp": c.timestampOf, "duration": c.durationOf,
		"int": c.numberOf(kindWhole), "double": c.numberOf(kindFraction), "string": c.stringOf,
	}[name]
	switch {
	case name == "exists" || name == "all" || name == "filter" || name == "map" || name == "exists_one":
		return 0, c.invalid(e, `there is no %s: write customer.NAME in ["gold", "silver"]`, name)
	case !known:
		return 0, c.invalid(e, "%s is not known: there are has, size, int, double, string, timestamp, duration, and of text startsWith, endsWith, contains", shortened(name))
	case len(args) != 1:
		return 0, c.invalid(e, "write %s(…), with one value", name)
	}
	return one(args[0], depth)
}

func (c *expressionChecker) sizeOf(e ast.Expr, depth int) (kind, error) {
	return kindWhole, c.mustBe(e, kindText, depth)
}

func (c *expressionChecker) numberOf(result kind) func(ast.Expr, int) (kind, error) {
	return func(e ast.Expr, depth int) (kind, error) {
		// An address may be a number in text as an attribute may.
		k, err := c.check(e, depth)
		if _, ok := memberName(e); k == kindText && ok || err != nil {
			return result, err
		}
		return result, c.mustBe(e, kindFraction, depth)
	}
}

func (c *expressionChecker) stringOf(e ast.Expr, depth int) (kind, error) {
	return kindText, c.mustBe(e, kindText, depth)
}

func (c *expressionChecker) timestampOf(e ast.Expr, depth int) (kind, error) {
	value, ok := literalText(e)
	if !ok {
		return kindMoment, c.mustBe(e, kindMoment, depth)
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil || at.UTC().Year() < 1 || at.UTC().Year() > 9999 {
		return 0, c.invalid(e, "%q is no moment: write it like 2026-01-31T00:00:00Z or 2026-01-31T00:00:00+09:00", shortened(value))
	}
	return kindMoment, c.wholeMilliseconds(e, at.Nanosecond())
}

func (c *expressionChecker) durationOf(e ast.Expr, _ int) (kind, error) {
	value, ok := literalText(e)
	if !ok {
		return 0, c.invalid(e, `duration takes a text: write duration("720h")`)
	}
	d, err := time.ParseDuration(value)
	if err == nil {
		return kindSpan, c.wholeMilliseconds(e, int(d%time.Second))
	}
	hint := "720h"
	if d, err := schedule.ParseDuration(value); err == nil {
		hint = strings.Replace(d.String(), "h0m0s", "h", 1)
	}
	return 0, c.invalid(e, "%q is no duration in CEL, whose longest unit is the hour: write %s", shortened(value), fmt.Sprintf("duration(%q)", hint))
}

func (c *expressionChecker) wholeMilliseconds(e ast.Expr, nanoseconds int) error {
	if nanoseconds%int(time.Millisecond) != 0 {
		return c.invalid(e, "times are kept in milliseconds: write no fraction of one")
	}
	return nil
}
