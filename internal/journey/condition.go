// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// costLimit bounds what one evaluation of a condition may do, in CEL's own units.
const costLimit = 100_000

// stepFacts are what a condition may ask of a step.
var stepFacts = []string{"sent", "delivered", "opened", "clicked", "failed", "skipped", "at"}

// goalFacts are what a condition may ask of the goal.
var goalFacts = []string{"reached"}

func newEnv() (*cel.Env, error) {
	facts := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		cel.Variable("customer", facts),
		cel.Variable("entry", facts),
		cel.Variable("coupon", facts),
		cel.Variable("goal", facts),
		cel.Variable("steps", cel.MapType(cel.StringType, facts)),
		cel.Variable("now", cel.TimestampType),
	)
}

// condition is a compiled if.
type condition struct {
	program cel.Program
	// reads tells which facts it needs, so that others need not be loaded.
	readsCustomer, readsEntry, readsProduct, readsCoupon, readsSteps bool
	// steps are those it names.
	steps []string
}

// compileCondition reads an if. kinds are the kinds of the steps that come before it, by name.
func compileCondition(env *cel.Env, text string, kinds map[string]Kind) (*condition, error) {
	compiled, issues := env.Compile(text)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, first.Message)
	}
	if out := compiled.OutputType(); !out.IsExactType(types.BoolType) && !out.IsExactType(types.DynType) {
		return nil, fmt.Errorf("is %s, and must be true or false", out)
	}
	c := &condition{}
	if err := c.check(compiled, kinds); err != nil {
		return nil, err
	}
	program, err := env.Program(compiled, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("preparing the expression: %w", err)
	}
	c.program = program
	return c, nil
}

// check finds what the types cannot: steps that are not there, and facts that nobody has.
func (c *condition) check(compiled *cel.Ast, kinds map[string]Kind) error {
	native := compiled.NativeRep()
	var found error
	fail := func(e ast.Expr, format string, args ...any) {
		if found == nil {
			at := native.SourceInfo().GetStartLocation(e.ID())
			found = fmt.Errorf("line %d, column %d: %s", at.Line(), at.Column()+1, fmt.Sprintf(format, args...))
		}
	}
	ast.PreOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind {
			c.readsCustomer = c.readsCustomer || e.AsIdent() == "customer"
			c.readsEntry = c.readsEntry || e.AsIdent() == "entry"
			c.readsCoupon = c.readsCoupon || e.AsIdent() == "coupon"
			c.readsSteps = c.readsSteps || e.AsIdent() == "steps"
		}
		if name, ok := stepName(e); ok {
			if _, known := kinds[name]; !known {
				fail(e, "steps[%q] is not a step before this one", name)
			}
			c.steps = append(c.steps, name)
		}
		if e.Kind() != ast.SelectKind {
			return
		}
		field, operand := e.AsSelect().FieldName(), e.AsSelect().Operand()
		if operand.Kind() == ast.IdentKind && operand.AsIdent() == "entry" {
			c.readsProduct = c.readsProduct || field == EntryProductNow
		}
		if operand.Kind() == ast.IdentKind && operand.AsIdent() == "goal" && !slices.Contains(goalFacts, field) {
			fail(e, "goal.%s is not known: write goal.reached", field)
		}
		name, ok := stepName(operand)
		if !ok {
			return
		}
		kind := kinds[name]
		switch {
		case !slices.Contains(stepFacts, field):
			fail(e, "steps[%q].%s is not known: it is one of sent, delivered, opened, clicked, failed, skipped, at", name, field)
		case kind == KindWebhook && slices.Contains([]string{"delivered", "opened", "clicked"}, field):
			fail(e, "steps[%q].%s does not exist for a webhook: it is sent, failed or skipped", name, field)
		case field == "opened" && (kind == KindLine || kind == KindSMS):
			fail(e, "steps[%q].opened exists for email only: LINE and SMS tell nobody who read what; ask for clicked", name)
		}
	}))
	return found
}

// stepName reads steps["name"] and steps.name.
func stepName(e ast.Expr) (string, bool) {
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || len(call.Args()) != 2 {
			return "", false
		}
		of, key := call.Args()[0], call.Args()[1]
		if of.Kind() != ast.IdentKind || of.AsIdent() != "steps" || key.Kind() != ast.LiteralKind {
			return "", false
		}
		name, ok := key.AsLiteral().Value().(string)
		return name, ok
	case ast.SelectKind:
		sel := e.AsSelect()
		if sel.Operand().Kind() == ast.IdentKind && sel.Operand().AsIdent() == "steps" {
			return sel.FieldName(), true
		}
	}
	return "", false
}

// holds evaluates the condition. Where it compares what is absent, it does not hold: that is what
// is promised of comparisons, and a customer without an attribute is the ordinary case.
func (c *condition) holds(f Facts) bool {
	out, _, err := c.program.Eval(f.activation(c.steps))
	if err != nil {
		return false
	}
	v, ok := out.Value().(bool)
	return ok && v
}
