// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"html/template"
	"regexp"
	"strings"
)

// node is one element of a message as the page draws it. Whatever a message
// says becomes text, an http(s) address, or a style whose every value has been
// matched against what it may be; nothing of it reaches the page as markup.
type node struct {
	Class string
	Style template.CSS
	Text  string
	// Href makes the element a link, Src a picture described by Text.
	Href string
	Src  string
	// Title says what a tap would do where it does not follow a link.
	Title string
	Kids  []*node
}

func div(class string, kids ...*node) *node { return &node{Class: class, Kids: kids} }

func words(class, text string) *node { return &node{Class: class, Text: text} }

func picture(class, src, alt string) *node {
	if !isWeb(src) {
		return words(class+" missing", alt)
	}
	return &node{Class: class, Src: src, Text: alt}
}

func isWeb(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }

// object reads a message object's properties, taking whatever is missing or of
// another kind as empty.
type object map[string]any

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

func (o object) is(name string) bool {
	b, _ := o[name].(bool)
	return b
}

func (o object) number(name string) (float64, bool) {
	n, ok := o[name].(float64)
	return n, ok
}

func (o object) object(name string) object {
	m, _ := o[name].(map[string]any)
	return m
}

func (o object) list(name string) []object {
	items, _ := o[name].([]any)
	out := make([]object, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// style collects declarations. Only set writes one, and only for a value that
// the pattern takes.
type style struct{ strings.Builder }

var (
	isColour = regexp.MustCompile(`^#([0-9a-fA-F]{3}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$`)
	isLength = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,3})?(px|%)$`)
	isOffset = regexp.MustCompile(`^-?[0-9]{1,4}(\.[0-9]{1,3})?(px|%)$`)
	isAngle  = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3})?deg$`)
	isWord   = regexp.MustCompile(`^[a-z-]{1,20}$`)
	isNumber = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,3})?$`)
)

func (s *style) set(property, value string, allowed *regexp.Regexp) {
	if allowed.MatchString(value) {
		s.WriteString(property + ":" + value + ";")
	}
}

// scale sets a length that is a keyword of LINE's or a length itself.
func (s *style) scale(property, value string, keywords map[string]string) {
	if px, ok := keywords[value]; ok {
		value = px
	}
	s.set(property, value, isOffset)
}

func (s *style) css() template.CSS { return template.CSS(s.String()) }
