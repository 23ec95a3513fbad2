// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"reflect"

	"github.com/osteele/liquid/expressions"
)

// bytesPerStep is how much text a filter takes or makes at the price of a step. Time is bounded by what is
// done and not by a clock, so that a message that fails does so always.
const bytesPerStep = 256

const errTooMuch = filterError("the template takes too many steps: its texts and lists are too long for what is done with them")

// meter charges the filters of one render to its steps.
type meter struct{ r *renderer }

func (m *meter) charge(cost int) error {
	if m.r == nil {
		return nil
	}
	m.r.steps += cost
	if m.r.steps > m.r.limits.Steps {
		return errTooMuch
	}
	if m.r.ctx.Err() != nil {
		return filterError("interrupted") // and the render finds out why
	}
	return nil
}

// costOf is what it costs to go over a value.
func costOf(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len() / bytesPerStep
	case reflect.Slice, reflect.Array, reflect.Map:
		return v.Len() / 8
	}
	return 0
}

// charge is for what a filter outside of the library takes and makes.
func (r *renderer) charge(taken, made any) error {
	cost := 0
	for _, v := range []any{taken, made} {
		if s, ok := v.(string); ok {
			cost += len(s) / bytesPerStep
		}
	}
	if cost == 0 {
		return nil
	}
	m := meter{r}
	return m.charge(cost)
}

// meteredFilters adds filters that are charged for.
type meteredFilters struct {
	config *expressions.Config
	meter  *meter
}

var errorType = reflect.TypeFor[error]()

// AddFilter adds a function of the forms that the library knows: it gives a value, or a value and an error.
func (f *meteredFilters) AddFilter(name string, fn any) {
	v := reflect.ValueOf(fn)
	t := v.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	fail := func(err error) []reflect.Value {
		return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
	}
	metered := reflect.MakeFunc(reflect.FuncOf(in, []reflect.Type{t.Out(0), errorType}, false), func(args []reflect.Value) []reflect.Value {
		cost := costOf(args[0])
		if name == "uniq" {
			cost *= cost + 1 // each is held against each
		}
		if err := f.meter.charge(cost); err != nil {
			return fail(err)
		}
		out := v.Call(args)
		if len(out) == 1 {
			out = append(out, reflect.Zero(errorType))
		}
		if err := f.meter.charge(costOf(out[0])); err != nil {
			return fail(err)
		}
		return out
	})
	f.config.AddFilter(name, metered.Interface())
}

// meteredContext charges for texts that expressions read, such as those that capture has caught.
type meteredContext struct {
	expressions.Context
	meter *meter
}

func (c meteredContext) Get(name string) any {
	v := c.Context.Get(name)
	if s, ok := v.(string); ok {
		_ = c.meter.charge(len(s) / bytesPerStep) // the next step finds out
	}
	return v
}
