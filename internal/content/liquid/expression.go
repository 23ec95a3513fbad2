// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"fmt"
	"strings"

	"github.com/osteele/liquid/expressions"
)

// expression is compiled, with what is known about it.
type expression struct {
	eval expressions.Expression
	// plain is set where the expression is a path alone, which needs no evaluator.
	plain []string
	// chain is set where the library is not needed either.
	chain *chain
	// needs are the paths that must have a value for the result to be whole.
	needs [][]string
	text  string
	line  int
}

// maxFilters bounds a chain, so that what each filter may add stays a small factor.
const maxFilters = 20

func (c *compiler) expression(source string, line int) (*expression, analysis, error) {
	source = strings.TrimSpace(source)
	lexemes, err := lex(source)
	if err != nil {
		return nil, analysis{}, errorf(line, "%s", err)
	}
	if len(lexemes) == 0 {
		return nil, analysis{}, errorf(line, "an expression is empty")
	}
	a, err := c.analyse(lexemes, line)
	if err != nil {
		return nil, a, err
	}
	if a.ranges > 0 {
		return nil, a, errorf(line, "a range such as (1..5) can be used in for only")
	}
	eval, err := parse(source)
	if err != nil {
		return nil, a, errorf(line, "%s", err)
	}
	e := &expression{eval: eval, text: source, line: line}
	if p, ok := a.plain(len(lexemes)); ok {
		e.plain = p.names
	}
	e.chain = newChain(lexemes, a)
	if !a.uses("default") {
		for _, p := range a.paths {
			if !p.open {
				e.needs = append(e.needs, p.names)
			}
		}
	}
	return e, a, nil
}

// analyse checks the names of variables and filters.
func (c *compiler) analyse(lexemes []lexeme, line int) (analysis, error) {
	a, err := analyse(lexemes)
	if err != nil {
		return a, errorf(line, "%s", err)
	}
	if len(a.calls) > maxFilters {
		return a, errorf(line, "more than %d filters in one expression", maxFilters)
	}
	for _, p := range a.paths {
		if err := c.scope.check(p); err != nil {
			return a, errorf(line, "%s", err)
		}
	}
	for _, f := range a.calls {
		if err := checkCall(f); err != nil {
			return a, errorf(line, "%s", err)
		}
	}
	return a, nil
}

// parse contains what the library throws for input it did not foresee.
func parse(source string) (e expressions.Expression, err error) {
	defer contain(&err, source)
	e, err = expressions.Parse(source)
	if err != nil {
		return nil, syntaxError(source)
	}
	return e, nil
}

func parseLoop(source string) (l expressions.Loop, err error) {
	defer contain(&err, source)
	stmt, err := expressions.ParseStatement(expressions.LoopStatementSelector, source)
	if err != nil {
		return l, syntaxError(source)
	}
	return stmt.Loop, nil
}

func parseCycle(source string) (y expressions.Cycle, err error) {
	defer contain(&err, source)
	stmt, err := expressions.ParseStatement(expressions.CycleStatementSelector, source)
	if err != nil {
		return y, syntaxError(source)
	}
	return stmt.Cycle, nil
}

func contain(err *error, source string) {
	if r := recover(); r != nil { //nolint:revive // it is deferred, by its callers
		*err = syntaxError(source)
	}
}

func syntaxError(source string) error {
	return fmt.Errorf("syntax error in %q", source)
}
