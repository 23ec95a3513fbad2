// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
)

// LineSample is a push as somebody could get it.
type LineSample struct {
	LinePush
	// Made names the strings, as paths such as messages[0].text, that values of nobody's are in: what is wrong
	// with one of them need not be wrong with a customer's.
	Made map[string]bool
}

const (
	// sampleText is short, since labels must be.
	sampleText    = "見本"
	sampleAddress = "https://shop.example/sample"
	// sampleTries bounds how many values one template is given.
	sampleTries = 64
)

// sampleValues are tried one after the other where a template does not take a text: a filter may want a number,
// or a time.
var sampleValues = []any{sampleText, int64(1), "2026-01-01T00:00:00Z"}

// Sample makes the push with values of nobody's for what data lacks.
func (l *Line) Sample(ctx context.Context, data *Data, links Links) (LineSample, error) {
	s := LineSample{Made: map[string]bool{}}
	for _, pieces := range l.messages {
		var out bytes.Buffer
		for _, p := range pieces {
			out.Write(p.json)
			if p.text == nil {
				continue
			}
			text, made, err := sampleOf(ctx, p, data, links)
			if err != nil {
				return LineSample{}, err
			}
			if made || p.text.Uses("customer") || p.text.Uses("entry") || p.text.Uses("coupon") || p.text.Uses("recommendations") {
				s.Made[p.text.field] = true
			}
			out.Write(quote(text))
		}
		s.Messages = append(s.Messages, out.Bytes())
	}
	return s, nil
}

// sampleOf renders one string. made says that it has a value of nobody's.
func sampleOf(ctx context.Context, p piece, data *Data, links Links) (text string, made bool, err error) {
	for _, value := range sampleValues {
		if isAddressField(p.text.field) && value == sampleText {
			value = sampleAddress
		}
		d := *data
		for range sampleTries {
			m := newMessage(ctx, &d, links)
			m.env.Link = m.lineLink
			text, err = m.lineText(p)
			var missing *MissingValueError
			if !errors.As(err, &missing) {
				break
			}
			made = true
			if !d.give(missing.Path, value) {
				break
			}
		}
		if err == nil {
			return text, made, nil
		}
		if ctx.Err() != nil {
			return "", false, ctx.Err()
		}
	}
	if isAddressField(p.text.field) {
		return sampleAddress, true, nil
	}
	return sampleText, true, nil
}

// give sets a value that a template lacks. It is false for a path that nothing can be put at.
func (d *Data) give(path string, value any) bool {
	names := strings.Split(path, ".")
	var root *map[string]any
	switch names[0] {
	case "customer":
		root = &d.Customer
	case "entry":
		root = &d.Entry
	case "coupon":
		root = &d.Coupon
	case "shop":
		root = &d.Shop
	}
	if root == nil || len(names) < 2 || strings.ContainsAny(path, "[]") {
		return false
	}
	*root = with(*root, names[1:], value)
	return true
}

// with is a copy of m that has a value at a path.
func with(m map[string]any, names []string, value any) map[string]any {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]any{}
	}
	if len(names) == 1 {
		out[names[0]] = value
		return out
	}
	inner, _ := out[names[0]].(map[string]any)
	out[names[0]] = with(inner, names[1:], value)
	return out
}

// isAddressField tells whether LINE takes the string of a field for an address.
func isAddressField(field string) bool {
	name := field[strings.LastIndexByte(field, '.')+1:]
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, "url") || strings.HasSuffix(lower, "uri") || name == "desktop"
}
