// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// addNumbers replaces the library's arithmetic: numbers that are written as text count as numbers,
// and whole ones stay whole.
func addNumbers(c *meteredFilters) {
	for name, f := range map[string]func(float64) float64{"abs": math.Abs, "ceil": math.Ceil, "floor": math.Floor} {
		c.AddFilter(name, func(v any) (any, error) {
			n, err := number(v)
			return whole(f(n)), err
		})
	}
	for name, f := range map[string]func(a, b float64) (float64, error){
		"at_least": func(a, b float64) (float64, error) { return max(a, b), nil },
		"at_most":  func(a, b float64) (float64, error) { return min(a, b), nil },
		"minus":    func(a, b float64) (float64, error) { return a - b, nil },
		"plus":     func(a, b float64) (float64, error) { return a + b, nil },
		"times":    func(a, b float64) (float64, error) { return a * b, nil },
		"modulo": func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, filterError("division by zero")
			}
			return math.Mod(a, b), nil
		},
	} {
		c.AddFilter(name, func(v, w any) (any, error) {
			a, b, err := two(v, w)
			if err != nil {
				return nil, err
			}
			n, err := f(a, b)
			return whole(n), err
		})
	}
	c.AddFilter("divided_by", dividedBy)
	c.AddFilter("round", func(v any, places func(int) int) (any, error) {
		n, err := number(v)
		scale := math.Pow10(min(max(places(0), 0), 9))
		return whole(math.Round(n*scale) / scale), err
	})
}

// dividedBy gives a whole number for two whole numbers, as Liquid does.
func dividedBy(v, w any) (any, error) {
	a, b, err := two(v, w)
	if err != nil {
		return nil, err
	}
	if b == 0 {
		return nil, filterError("division by zero")
	}
	if a == math.Trunc(a) && b == math.Trunc(b) {
		return whole(math.Floor(a / b)), nil
	}
	return a / b, nil
}

func two(v, w any) (a, b float64, err error) {
	if a, err = number(v); err != nil {
		return 0, 0, err
	}
	b, err = number(w)
	return a, b, err
}

// number reads numbers, and text that is one.
func number(v any) (float64, error) {
	switch v := v.(type) {
	case int:
		return float64(v), nil
	case int64:
		return float64(v), nil
	case int32:
		return float64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return 0, errNotNumber
		}
		return v, nil
	case money.Amount:
		return v.Float(), nil
	case json.Number:
		return number(v.String())
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil {
			return 0, errNotNumber
		}
		return number(n)
	}
	return 0, errNotNumber
}

// whole keeps numbers without a fraction as int, which is what for's limit and an index take.
func whole(n float64) any {
	if n == math.Trunc(n) && math.Abs(n) < 1<<53 {
		return int(n)
	}
	return n
}
