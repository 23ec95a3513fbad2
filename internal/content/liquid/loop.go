// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"reflect"
	"slices"

	"github.com/osteele/liquid/expressions"
)

// loop is {% for %}.
type loop struct {
	variable        string
	over            expressions.Expression
	offset, limit   expressions.Expression
	reversed        bool
	body, otherwise []node
	line            int
}

func (l *loop) render(r *renderer) (signal, error) {
	v, err := r.run(l.over, l.line)
	if err != nil {
		return none, err
	}
	at, n := items(v)
	first, last, err := l.bounds(r, n)
	if err != nil {
		return none, err
	}
	count := last - first
	if count <= 0 {
		return r.all(l.otherwise)
	}
	outer, outerLoop := r.vars[l.variable], r.vars["forloop"]
	defer func() { r.vars[l.variable], r.vars["forloop"] = outer, outerLoop }()
	for i := range count {
		if err := r.step(); err != nil {
			return none, err
		}
		place := first + i
		if l.reversed {
			place = last - 1 - i
		}
		r.vars[l.variable] = at(place)
		r.vars["forloop"] = map[string]any{
			"first": i == 0, "last": i == count-1, "length": count,
			"index": i + 1, "index0": i, "rindex": count - i, "rindex0": count - i - 1,
		}
		sig, err := r.all(l.body)
		if err != nil {
			return none, err
		}
		if sig == breaking {
			break
		}
	}
	return none, nil
}

// bounds applies offset and limit to n items.
func (l *loop) bounds(r *renderer, n int) (first, last int, err error) {
	last = n
	if l.offset != nil {
		if first, err = l.number(r, l.offset); err != nil {
			return 0, 0, err
		}
		first = min(max(first, 0), n)
	}
	if l.limit != nil {
		limit, err := l.number(r, l.limit)
		if err != nil {
			return 0, 0, err
		}
		if limit >= 0 && limit < last-first {
			last = first + limit
		}
	}
	return first, last, nil
}

func (l *loop) number(r *renderer, e expressions.Expression) (int, error) {
	v, err := r.run(e, l.line)
	if err != nil {
		return 0, err
	}
	switch n := v.(type) {
	case int:
		return n, nil
	case float64:
		return int(n), nil
	}
	return 0, errorf(l.line, "limit and offset of for must be whole numbers")
}

// items gives the elements of what can be looped over. A map's come as [key, value] in the order of
// their keys, so that a message rendered twice is the same twice.
func items(v any) (at func(int) any, n int) {
	switch v := v.(type) {
	case nil:
		return nil, 0
	case []any:
		return func(i int) any { return v[i] }, len(v)
	case []map[string]any:
		return func(i int) any { return v[i] }, len(v)
	case interface { // the library's range
		Len() int
		Index(int) any
	}:
		return v.Index, v.Len()
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return func(i int) any { return []any{keys[i], v[keys[i]]} }, len(keys)
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice && rv.Kind() != reflect.Array {
		return nil, 0
	}
	return func(i int) any { return rv.Index(i).Interface() }, rv.Len()
}
