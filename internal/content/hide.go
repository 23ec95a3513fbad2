// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"fmt"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// hidden is a source whose tags are words, which those who read markup leave alone wherever they
// stand.
type hidden struct {
	source string
	words  []string
	tags   []string
	lines  []int
}

func hide(source string) *hidden {
	prefix := "kaerutag"
	for strings.Contains(source, prefix) {
		prefix += "g"
	}
	h := &hidden{}
	var b strings.Builder
	at, line := 0, 1
	for i, s := range liquid.Tags(source) {
		b.WriteString(source[at:s.Start])
		line += strings.Count(source[at:s.Start], "\n")
		tag := source[s.Start:s.End]
		word := fmt.Sprintf("%s%05dx", prefix, i)
		b.WriteString(word)
		// Lines keep their numbers.
		b.WriteString(strings.Repeat("\n", strings.Count(tag, "\n")))
		h.words, h.tags, h.lines = append(h.words, word), append(h.tags, tag), append(h.lines, line)
		line += strings.Count(tag, "\n")
		at = s.End
	}
	b.WriteString(source[at:])
	h.source = b.String()
	return h
}

// show puts the tags back into what was made of the source.
func (h *hidden) show(s string) string {
	pairs := make([]string, 0, 2*len(h.words))
	for i, word := range h.words {
		pairs = append(pairs, word, h.tags[i])
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// lost finds the first tag that did not make it, and the line it was written in; 0 where none is.
func (h *hidden) lost(s string) (line int, tag string) {
	for i, word := range h.words {
		if !strings.Contains(s, word) {
			return h.lines[i], strings.Join(strings.Fields(h.tags[i]), " ")
		}
	}
	return 0, ""
}
