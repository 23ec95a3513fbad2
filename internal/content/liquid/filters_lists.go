// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"reflect"
	"slices"
	"strings"

	"github.com/osteele/liquid/values"
)

// addLists puts a bound on the library's filters on lists, and gives them an order that is the same
// each time.
func addLists(c *meteredFilters) {
	c.AddFilter("compact", func(v any) ([]any, error) {
		a, err := list(v)
		return slices.DeleteFunc(a, func(x any) bool { return x == nil }), err
	})
	c.AddFilter("concat", func(v, w any) ([]any, error) {
		a, err := list(v)
		if err != nil {
			return nil, err
		}
		b, err := list(w)
		if err == nil && len(a)+len(b) > maxItems {
			err = errTooMany
		}
		return append(a, b...), err
	})
	c.AddFilter("first", func(v any) any { return end(v, false) })
	c.AddFilter("last", func(v any) any { return end(v, true) })
	c.AddFilter("join", joinList)
	c.AddFilter("map", func(v any, key string) ([]any, error) {
		a, err := list(v)
		for i, x := range a {
			a[i] = property(x, key)
		}
		return a, err
	})
	c.AddFilter("reverse", func(v any) ([]any, error) {
		a, err := list(v)
		slices.Reverse(a)
		return a, err
	})
	c.AddFilter("sort", func(v any, key func(string) string) ([]any, error) {
		return sorted(v, func(x any) any { return property(x, key("")) }, less)
	})
	c.AddFilter("sort_natural", func(v any) ([]any, error) {
		return sorted(v, func(x any) any { return x }, func(a, b any) bool {
			s, _ := formatScalar(a, 0)
			t, _ := formatScalar(b, 0)
			return strings.ToLower(s) < strings.ToLower(t)
		})
	})
	c.AddFilter("split", split)
	c.AddFilter("uniq", uniq)
}

// list copies a list, so that filters may change it.
func list(v any) ([]any, error) {
	at, n := items(v)
	if n > maxItems {
		return nil, errTooMany
	}
	out := make([]any, n)
	for i := range out {
		out[i] = at(i)
	}
	return out, nil
}

func end(v any, last bool) any {
	at, n := items(v)
	switch {
	case n == 0:
		return nil
	case last:
		return at(n - 1)
	}
	return at(0)
}

// property of a map; of anything else, the thing itself where no property is asked for.
func property(v any, key string) any {
	if key == "" {
		return v
	}
	if m, ok := v.(map[string]any); ok {
		return m[key]
	}
	return nil
}

func joinList(v any, separator func(string) string) (string, error) {
	a, err := list(v)
	if err != nil {
		return "", err
	}
	sep, total := separator(" "), 0
	parts := make([]string, 0, len(a))
	for _, x := range a {
		if x == nil {
			continue
		}
		s, ok := x.(string)
		if !ok {
			if s, err = formatScalar(x, 0); err != nil {
				return "", filterError("the list holds more than text and numbers")
			}
		}
		if total += len(s) + len(sep); total > maxValue {
			return "", errTooLong
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, sep), nil
}

func sorted(v any, key func(any) any, less func(a, b any) bool) ([]any, error) {
	a, err := list(v)
	slices.SortStableFunc(a, func(x, y any) int {
		switch kx, ky := key(x), key(y); {
		case less(kx, ky):
			return -1
		case less(ky, kx):
			return 1
		}
		return 0
	})
	return a, err
}

// less puts what is absent last.
func less(a, b any) bool {
	if a == nil || b == nil {
		return a != nil
	}
	return values.Less(a, b)
}

func split(s, separator string) ([]string, error) {
	if len(s) > maxValue {
		return nil, errTooLong
	}
	var out []string
	if separator == " " {
		out = strings.Fields(s)
	} else {
		out = strings.SplitN(s, separator, maxItems+1)
	}
	if len(out) > maxItems {
		return nil, errTooMany
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out, nil
}

func uniq(v any) ([]any, error) {
	a, err := list(v)
	var out []any
	for _, x := range a {
		if !slices.ContainsFunc(out, func(y any) bool { return reflect.DeepEqual(x, y) }) {
			out = append(out, x)
		}
	}
	return out, err
}
