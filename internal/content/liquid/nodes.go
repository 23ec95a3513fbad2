// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"html"
	"strings"

	"github.com/osteele/liquid/values"
)

// node is a part of a compiled template. A signal other than none ends the turn of a loop.
type node interface {
	render(r *renderer) (signal, error)
}

type signal byte

const (
	none signal = iota
	breaking
	continuing
)

type text string

func (t text) render(r *renderer) (signal, error) {
	return none, r.literal(string(t))
}

// output is {{ … }}.
type output struct {
	*expression
	raw     bool // the last filter is raw: written as it is
	br      bool // the last filter is newline_to_br, which comes after escaping
	trusted bool
}

func (o *output) render(r *renderer) (signal, error) {
	v, err := r.value(o.expression)
	if err != nil {
		return none, err
	}
	if v == nil {
		return none, &MissingError{Line: o.line, Path: o.subject()}
	}
	return none, r.write(o, v)
}

// subject names what an output is about, for a message on what is missing.
func (e *expression) subject() string {
	if e.plain != nil {
		return path{names: e.plain}.String()
	}
	return e.text
}

type assign struct {
	name   string
	value  *expression
	strict bool // filters would turn an absent value into a wrong one
}

func (a *assign) render(r *renderer) (signal, error) {
	if a.strict {
		if err := r.require(a.value); err != nil {
			return none, err
		}
	}
	v, err := r.evaluate(a.value)
	if err != nil {
		return none, err
	}
	delete(r.captured, a.name)
	r.vars[a.name] = v
	return none, nil
}

type capture struct {
	name string
	body []node
}

func (c *capture) render(r *renderer) (signal, error) {
	start, spans := len(r.out), len(r.untrusted)
	sig, err := r.all(c.body)
	if err != nil {
		return none, err
	}
	v := string(r.out[start:])
	r.out, r.untrusted = r.out[:start], r.untrusted[:spans]
	r.vars[c.name] = v
	// Its outputs were escaped when they were written.
	if r.captured == nil {
		r.captured = map[string]bool{}
	}
	r.captured[c.name] = true
	return sig, nil
}

type branch struct {
	test   *expression // nil: else
	negate bool
	body   []node
}

type conditional []branch

func (c conditional) render(r *renderer) (signal, error) {
	for _, b := range c {
		if b.test != nil {
			v, err := r.evaluate(b.test)
			if err != nil {
				return none, err
			}
			if truthy(v) == b.negate {
				continue
			}
		}
		return r.all(b.body)
	}
	return none, nil
}

type choice struct {
	of    *expression
	cases []choiceCase
}

type choiceCase struct {
	when []*expression // nil: else
	body []node
}

func (c *choice) render(r *renderer) (signal, error) {
	of, err := r.evaluate(c.of)
	if err != nil {
		return none, err
	}
	for _, b := range c.cases {
		if b.when == nil {
			return r.all(b.body)
		}
		for _, e := range b.when {
			v, err := r.evaluate(e)
			if err != nil {
				return none, err
			}
			if equal(of, v) {
				return r.all(b.body)
			}
		}
	}
	return none, nil
}

func equal(a, b any) (same bool) {
	// Values that Go cannot compare are not equal.
	defer func() { _ = recover() }()
	return values.Equal(a, b)
}

type cycle struct {
	group  string
	values []string
}

func (c *cycle) render(r *renderer) (signal, error) {
	if r.cycles == nil {
		r.cycles = map[string]int{}
	}
	n := r.cycles[c.group]
	r.cycles[c.group] = n + 1
	return none, r.literal(c.values[n%len(c.values)])
}

type jump signal

func (j jump) render(*renderer) (signal, error) { return signal(j), nil }

// link is an address, such as the value of an href: see LinkStart.
type link struct {
	body  []node
	index int
}

func (l *link) render(r *renderer) (signal, error) {
	start := len(r.out)
	r.linkStart, r.doubtful = start, -1
	sig, err := r.all(l.body)
	r.linkStart = -1
	if err != nil {
		return none, err
	}
	address, index := string(r.out[start:]), l.index
	if r.doubtful >= 0 && r.doubtful < HostEnd(address) {
		index = -1
	}
	address = r.env.Link(address, index)
	if r.escape {
		r.out = appendEscaped(r.out[:start], address)
	} else {
		r.out = append(r.out[:start], address...)
	}
	return sig, r.checkOutput()
}

// HostEnd is where the part of an address ends that says to whom it belongs.
func HostEnd(address string) int {
	i := strings.Index(address, "://")
	if i < 0 {
		return len(address)
	}
	i += len("://")
	if end := strings.IndexAny(address[i:], "/?#\\"); end >= 0 {
		return i + end
	}
	return len(address)
}

// pixel is where the picture stands that tells of an open.
type pixel struct{}

func (pixel) render(r *renderer) (signal, error) {
	if r.env.Pixel == nil {
		return none, nil
	}
	r.out = append(r.out, r.env.Pixel()...)
	return none, r.checkOutput()
}

// unescapeAll turns markup into what it says: an address is put together as it is meant, and escaped
// as a whole.
func unescapeAll(nodes []node) {
	for i, n := range nodes {
		switch n := n.(type) {
		case text:
			nodes[i] = text(html.UnescapeString(string(n)))
		case conditional:
			for _, b := range n {
				unescapeAll(b.body)
			}
		case *choice:
			for _, b := range n.cases {
				unescapeAll(b.body)
			}
		case *loop:
			unescapeAll(n.body)
			unescapeAll(n.otherwise)
		case *capture:
			unescapeAll(n.body)
		}
	}
}

// truthy is Liquid's idea of truth: everything but nil and false.
func truthy(v any) bool {
	b, is := v.(bool)
	return v != nil && (b || !is)
}
