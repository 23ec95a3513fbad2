// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/osteele/liquid/expressions"
)

// Limits bound a render.
type Limits struct {
	Output int // bytes
	Steps  int // tags, outputs and turns of loops
}

// Env is what a template is rendered with.
type Env struct {
	// Vars are the data by their names. Render does not change them.
	Vars     map[string]any
	Location *time.Location
	Currency string
	// Link gives the address to write for the href of a Marks template; index is -1 where a customer may
	// have written to whom the address belongs. Pixel gives the picture's markup, and may be nil.
	Link  func(address string, index int) string
	Pixel func() string
}

// Span is a part of the output.
type Span struct{ Start, End int }

// Result is a rendered template.
type Result struct {
	Text string
	// Untrusted are the parts that came of what a customer may have written, in order. Only
	// templates without Escape tell.
	Untrusted []Span
}

type renderer struct {
	out       []byte
	untrusted []Span
	steps     int
	limits    Limits
	ctx       context.Context
	vars      map[string]any
	captured  map[string]bool // names whose value is markup already
	cycles    map[string]int
	eval      expressions.Context
	filters   *filterSet // taken when the first expression needs them
	env       *Env
	escape    bool
	json      bool
	linkStart int // in a link, where its address begins in out; else -1
	doubtful  int // in a link, where in the address the first part is that a customer may have written; else -1
}

// buffers are what renders write into before they know how long the text is.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxKept is the largest buffer that waits for another use.
const maxKept = 256 << 10

// Render makes the text for env. Its errors are *Error, *MissingError or the context's.
func (t *Template) Render(ctx context.Context, env *Env) (res Result, err error) {
	vars := make(map[string]any, len(env.Vars)+2)
	for k, v := range env.Vars {
		vars[k] = v
	}
	buffer := buffers.Get().(*[]byte)
	r := &renderer{
		out:       (*buffer)[:0],
		limits:    t.limits,
		ctx:       ctx,
		vars:      vars,
		env:       env,
		escape:    t.escape,
		json:      t.json,
		linkStart: -1,
	}
	// The library's evaluator is not sealed against all values. What it throws may hold data, so
	// the message is ours.
	defer func() {
		if cap(r.out) <= maxKept {
			*buffer = r.out
			buffers.Put(buffer)
		}
		if r.filters != nil {
			r.filters.meter.r = nil
			filtersFor(env.Location, env.Currency).Put(r.filters)
		}
		if p := recover(); p != nil {
			res, err = Result{}, errorf(1, "the template fails on this customer's values")
		}
	}()
	if _, err := r.all(t.nodes); err != nil {
		return Result{}, err
	}
	return Result{Text: string(r.out), Untrusted: r.untrusted}, nil
}

func (r *renderer) all(nodes []node) (signal, error) {
	for _, n := range nodes {
		if err := r.step(); err != nil {
			return none, err
		}
		if sig, err := n.render(r); err != nil || sig != none {
			return sig, err
		}
	}
	return none, nil
}

func (r *renderer) step() error {
	r.steps++
	if r.steps > r.limits.Steps {
		return errorf(1, "the template takes more than %d steps: its loops are too long", r.limits.Steps)
	}
	if r.steps%1024 == 0 {
		return r.ctx.Err()
	}
	return nil
}

func (r *renderer) checkOutput() error {
	if len(r.out) > r.limits.Output {
		return errorf(1, "the template makes more than %d bytes", r.limits.Output)
	}
	return nil
}

func (r *renderer) literal(s string) error {
	r.out = append(r.out, s...)
	return r.checkOutput()
}

// value is what an output shows. A value that is absent without a default is an error even where a
// filter would make something of it, such as "様" of no name.
func (r *renderer) value(e *expression) (any, error) {
	if e.plain == nil {
		if err := r.require(e); err != nil {
			return nil, err
		}
	}
	return r.evaluate(e)
}

func (r *renderer) require(e *expression) error {
	for _, names := range e.needs {
		if v, ok := r.lookup(names); ok && v == nil {
			return &MissingError{Line: e.line, Path: path{names: names}.String()}
		}
	}
	return nil
}

// lookup follows a path through maps. It is not ok where something else is on the way.
func (r *renderer) lookup(names []string) (any, bool) {
	v := r.vars[names[0]]
	for _, name := range names[1:] {
		switch m := v.(type) {
		case nil:
			return nil, true
		case map[string]any:
			next, ok := m[name]
			if !ok && name == "size" {
				return nil, false
			}
			v = next
		default:
			return nil, false
		}
	}
	return v, true
}

func (r *renderer) evaluate(e *expression) (any, error) {
	if e.plain != nil {
		if v, ok := r.lookup(e.plain); ok {
			return v, nil
		}
	} else if e.chain != nil {
		if v, ok, err := r.chain(e); ok {
			return v, err
		}
	}
	return r.run(e.eval, e.line)
}

// run evaluates with the library. Its errors quote values, so they are not passed on.
func (r *renderer) run(e expressions.Expression, line int) (any, error) {
	if r.eval == nil {
		r.filters = filtersFor(r.env.Location, r.env.Currency).Get().(*filterSet)
		r.filters.meter.r = r
		r.eval = meteredContext{expressions.NewContext(r.vars, r.filters.config), r.filters.meter}
	}
	v, err := e.Evaluate(r.eval)
	if err == nil {
		return v, nil
	}
	if r.ctx.Err() != nil {
		return nil, r.ctx.Err()
	}
	var failed expressions.FilterError
	if !errors.As(err, &failed) {
		return nil, errorf(line, "an expression fails on this customer's values")
	}
	var own filterError
	if errors.As(failed.Err, &own) {
		return nil, errorf(line, "filter %s: %s", failed.FilterName, own)
	}
	return nil, errorf(line, "filter %s does not fit this customer's value", failed.FilterName)
}
