// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"errors"
	"strconv"
	"strings"
)

// chain is a variable with the filters that nearly every message uses. It is evaluated without the
// library, whose calls through reflection would be half of a mail's rendering; a test holds the
// two equal.
type chain struct {
	of    []string
	steps []chainStep
}

type chainStep struct {
	name string
	do   func(v, arg any) (any, error)
	arg  any      // a literal
	path []string // or a variable
}

var chainFilters = map[string]func(v, arg any) (any, error){
	"default": func(v, arg any) (any, error) {
		if isEmpty(v) {
			return arg, nil
		}
		return v, nil
	},
	"yen":      func(v, _ any) (any, error) { return formatMoney(v, "JPY") },
	"sama":     onText(func(s string, _ any) (string, error) { return honorific(s, "様"), nil }),
	"san":      onText(func(s string, _ any) (string, error) { return honorific(s, "さん"), nil }),
	"strip":    onText(func(s string, _ any) (string, error) { return strings.TrimSpace(s), nil }),
	"upcase":   onText(func(s string, _ any) (string, error) { return strings.ToUpper(s), nil }),
	"downcase": onText(func(s string, _ any) (string, error) { return strings.ToLower(s), nil }),
	"append":   onText(func(s string, arg any) (string, error) { return join(s, arg.(string)) }),
	"prepend":  onText(func(s string, arg any) (string, error) { return join(arg.(string), s) }),
}

// onText is for a filter that the library would give a text; anything else is left to it.
func onText(do func(s string, arg any) (string, error)) func(v, arg any) (any, error) {
	return func(v, arg any) (any, error) {
		s, ok := v.(string)
		if !ok {
			return nil, errNotChain
		}
		if len(s) > maxValue {
			return nil, errTooLong
		}
		return do(s, arg)
	}
}

// errNotChain sends an evaluation back to the library.
const errNotChain = filterError("the library's")

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	case []map[string]any:
		return len(v) == 0
	}
	return false
}

// newChain is nil where an expression is more than a chain.
func newChain(lexemes []lexeme, a analysis) *chain {
	if len(a.calls) == 0 || len(a.paths) == 0 || lexemes[0].kind != lexName {
		return nil
	}
	of, next := readPath(lexemes, 0)
	if of.open {
		return nil
	}
	c := &chain{of: of.names}
	for next < len(lexemes) {
		if next+1 >= len(lexemes) || lexemes[next].kind != lexMark || lexemes[next].text != "|" {
			return nil
		}
		l := lexemes[next+1]
		step := chainStep{name: l.text, do: chainFilters[l.text]}
		next += 2
		if step.do == nil {
			return nil
		}
		if l.kind == lexKeyword {
			if next >= len(lexemes) {
				return nil
			}
			switch arg := lexemes[next]; {
			case arg.kind == lexString:
				step.arg = arg.text
				next++
			case arg.kind == lexNumber && !strings.Contains(arg.text, ".") && l.text == "default":
				n, err := strconv.Atoi(arg.text)
				if err != nil {
					return nil
				}
				step.arg = n
				next++
			case arg.kind == lexName && arg.text != "true" && arg.text != "false" && arg.text != "nil" && l.text == "default":
				p, after := readPath(lexemes, next)
				if p.open {
					return nil
				}
				step.path, next = p.names, after
			default:
				return nil
			}
		}
		c.steps = append(c.steps, step)
	}
	return c
}

// chain evaluates e without the library. It is not ok where that has to decide after all.
func (r *renderer) chain(e *expression) (v any, ok bool, err error) {
	if v, ok = r.lookup(e.chain.of); !ok {
		return nil, false, nil
	}
	for _, s := range e.chain.steps {
		arg := s.arg
		if s.path != nil {
			if arg, ok = r.lookup(s.path); !ok {
				return nil, false, nil
			}
		}
		before := v
		v, err = s.do(v, arg)
		if errors.Is(err, errNotChain) {
			return nil, false, nil
		}
		if err != nil {
			return nil, true, errorf(e.line, "filter %s: %s", s.name, err)
		}
		if err := r.charge(before, v); err != nil {
			return nil, true, errorf(e.line, "filter %s: %s", s.name, err)
		}
	}
	return v, true, nil
}
