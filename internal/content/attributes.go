// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Attributes are what a step writes into a customer.
type Attributes struct {
	names  []string
	values []*template
}

// CompileAttributes compiles the templates of attributes, by their names.
func (c *Compiler) CompileAttributes(of map[string]string) (*Attributes, error) {
	a := &Attributes{}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		t, err := c.text("attributes."+name, of[name])
		if err != nil {
			return nil, err
		}
		a.names, a.values = append(a.names, name), append(a.values, t)
	}
	return a, nil
}

// Render gives the attributes of one customer. One that is empty is to be removed.
func (a *Attributes) Render(ctx context.Context, data *Data) (map[string]string, error) {
	m := newMessage(ctx, data, Links{})
	out := make(map[string]string, len(a.names))
	for i, name := range a.names {
		res, err := m.render(a.values[i])
		if err != nil {
			return nil, err
		}
		out[name] = strings.TrimSpace(res.Text)
	}
	return out, nil
}
