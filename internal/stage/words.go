// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// words are all that a customer finds in a message, with single spaces.
func words(m *sandbox.Message) string {
	if m == nil {
		return ""
	}
	out := []string{m.Subject, m.Text, visible(m.HTML)}
	if m.Line != nil {
		var objects any
		if err := json.Unmarshal(m.Line.Messages, &objects); err == nil {
			out = texts(out, objects)
		}
	}
	return spaced(strings.Join(append(out, m.Links...), " "))
}

func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }

// says tells whether a message has all these texts.
func says(m *sandbox.Message, wanted []string) (missing string, ok bool) {
	if len(wanted) == 0 {
		return "", true
	}
	all := words(m)
	at := slices.IndexFunc(wanted, func(text string) bool { return !strings.Contains(all, spaced(text)) })
	if at < 0 {
		return "", true
	}
	return wanted[at], false
}

// visible is what is read of a page.
func visible(page string) string {
	var out strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	hidden := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			if !hidden {
				out.Write(z.Text())
			}
		case html.StartTagToken:
			name, _ := z.TagName()
			hidden = slices.Contains([]string{"style", "script", "title"}, string(name))
		case html.EndTagToken:
			hidden = false
		}
	}
}

// shown are the members of LINE's objects that a customer sees, or follows.
var shown = []string{"altText", "title", "text", "label", "displayText", "data", "uri", "linkUri", "url"}

// texts appends what is shown of LINE's objects.
func texts(out []string, object any) []string {
	switch v := object.(type) {
	case []any:
		for _, each := range v {
			out = texts(out, each)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if text, ok := v[name].(string); ok && slices.Contains(shown, name) {
				out = append(out, text)
			}
			out = texts(out, v[name])
		}
	}
	return out
}

// excerpt is as much of a message as fits a table.
func excerpt(m *sandbox.Message) string {
	const most = 600
	runes := []rune(words(m))
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return string(runes)
}
