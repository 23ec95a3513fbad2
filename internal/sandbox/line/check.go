// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"unicode/utf16"
)

// Detail is one thing that is wrong with a request.
type Detail struct {
	Message  string `json:"message"`
	Property string `json:"property"`
}

const (
	textEmpty   = "May not be empty"
	textKind    = "The value is of the wrong type"
	maxMessages = 5
)

// CheckMessages says what LINE would refuse in the message objects of a push.
func CheckMessages(messages []json.RawMessage) []Detail {
	if len(messages) < 1 || len(messages) > maxMessages {
		return []Detail{{Message: "Size must be between 1 and 5", Property: "messages"}}
	}
	var c checker
	for i, raw := range messages {
		at := fmt.Sprintf("messages[%d]", i)
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil || m == nil {
			c.add(at, "Must be a message object")
			continue
		}
		c.message(at, m)
	}
	return c.details
}

type checker struct{ details []Detail }

func (c *checker) add(at, message string) {
	c.details = append(c.details, Detail{Message: message, Property: at})
}

// oneOf reads the type of an object that comes in several, or says which there are.
func (c *checker) oneOf(at string, m map[string]any, types ...string) string {
	t, _ := m["type"].(string)
	for _, known := range types {
		if t == known {
			return t
		}
	}
	if t == "" {
		c.add(at+".type", textEmpty)
	} else {
		c.add(at+".type", "Must be one of the following values: ["+strings.Join(types, ", ")+"]")
	}
	return ""
}

// text wants a string of 1 to max UTF-16 units; max 0 is without limit.
func (c *checker) text(at string, m map[string]any, name string, max int) {
	v, ok := m[name]
	s, isText := v.(string)
	switch {
	case !ok || v == nil || (isText && s == ""):
		c.add(at+"."+name, textEmpty)
	case !isText:
		c.add(at+"."+name, textKind)
	case max > 0 && len(utf16.Encode([]rune(s))) > max:
		c.add(at+"."+name, fmt.Sprintf("Length must be between 0 and %d", max))
	}
}

func (c *checker) optionalText(at string, m map[string]any, name string, max int) {
	if v, ok := m[name]; ok && v != nil && v != "" {
		c.text(at, m, name, max)
	}
}

// url wants an address LINE would fetch or open. Pictures must be https at
// LINE; http on loopback is let through, since a shop under test has no other.
func (c *checker) url(at string, m map[string]any, name string, schemes ...string) {
	before := len(c.details)
	c.text(at, m, name, 2000)
	if len(c.details) > before {
		return
	}
	s, _ := m[name].(string)
	scheme, _, ok := strings.Cut(s, ":")
	if ok {
		for _, known := range schemes {
			if strings.EqualFold(scheme, known) {
				return
			}
		}
		if loopback(s) {
			return
		}
	}
	c.add(at+"."+name, "Must be a valid "+strings.ToUpper(strings.Join(schemes, ", "))+" URL")
}

func loopback(s string) bool {
	for _, p := range []string{"http://127.0.0.1", "http://localhost", "http://[::1]"} {
		if rest, ok := strings.CutPrefix(s, p); ok && (rest == "" || strings.ContainsAny(rest[:1], ":/?")) {
			return true
		}
	}
	return false
}

func (c *checker) number(at string, m map[string]any, name string) {
	v, ok := m[name]
	if !ok || v == nil {
		c.add(at+"."+name, textEmpty)
	} else if _, ok := v.(float64); !ok {
		c.add(at+"."+name, textKind)
	}
}

// object returns a required object, or nil after saying that it is missing.
func (c *checker) object(at string, m map[string]any, name string) map[string]any {
	v, ok := m[name]
	if !ok || v == nil {
		c.add(at+"."+name, textEmpty)
		return nil
	}
	o, ok := v.(map[string]any)
	if !ok {
		c.add(at+"."+name, textKind)
		return nil
	}
	return o
}

// list calls each for the objects of a list of min to max.
func (c *checker) list(at string, m map[string]any, name string, min, max int, each func(string, map[string]any)) {
	at += "." + name
	v, ok := m[name]
	if !ok || v == nil {
		if min > 0 {
			c.add(at, textEmpty)
		}
		return
	}
	items, ok := v.([]any)
	if !ok {
		c.add(at, textKind)
		return
	}
	if len(items) < min || len(items) > max {
		c.add(at, fmt.Sprintf("Size must be between %d and %d", min, max))
		return
	}
	for i, item := range items {
		here := fmt.Sprintf("%s[%d]", at, i)
		if o, ok := item.(map[string]any); ok {
			each(here, o)
		} else {
			c.add(here, textKind)
		}
	}
}

// enum checks an optional string.
func (c *checker) enum(at string, m map[string]any, name string, values ...string) {
	v, ok := m[name]
	if !ok || v == nil {
		return
	}
	for _, known := range values {
		if v == known {
			return
		}
	}
	c.add(at+"."+name, "Must be one of the following values: ["+strings.Join(values, ", ")+"]")
}

// unknown says which properties an object has that LINE does not know; Flex is
// strict about them, other messages are not.
func (c *checker) unknown(at string, m map[string]any, known string) {
	var strange []string
	for name := range m {
		if !strings.Contains(" type "+known+" ", " "+name+" ") {
			strange = append(strange, name)
		}
	}
	sort.Strings(strange)
	for _, name := range strange {
		c.add(at+"."+name, "unknown field")
	}
}
