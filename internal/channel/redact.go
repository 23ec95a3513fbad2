// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"regexp"
	"strings"
	"unicode"
)

const (
	maxDetail = 300
	// maxWords and maxContent bound the work: providers' words are short, and what they quote of a
	// message is its beginning.
	maxWords   = 4000
	maxContent = 32 << 10
	// echo is how many characters in a row make a provider's words a quotation of the message.
	echo = 10
)

var personal = regexp.MustCompile(strings.Join([]string{
	`[^\s<>"'(),;:]+@[^\s<>"'(),;]+`,     // mail addresses
	`https?://\S+`,                       // links carry tokens
	`\b[UCR][0-9a-f]{32}\b`,              // LINE ids
	`\+?\d[\d\-]{6,}\d`,                  // telephone numbers
	`(?i)\b(?:bearer|basic)\s+[^\s"',]+`, // credentials
}, "|"))

// Redact makes a provider's words fit for logs and status: without addresses, links, credentials
// and quotations of the message. private are values that must not appear; content is what the
// customer reads.
func Redact(words, content string, private ...string) string {
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(words, "?"))
	words = shorten(strings.Join(strings.Fields(words), " "), maxWords)
	for _, p := range private {
		words = without(words, p)
	}
	words = withoutQuotations(words, content)
	words = personal.ReplaceAllString(words, "…")
	if r := []rune(words); len(r) > maxDetail {
		words = string(r[:maxDetail]) + "…"
	}
	return words
}

// shorten cuts before a word, because half an address would not be recognised as one.
func shorten(words string, limit int) string {
	if len(words) <= limit {
		return words
	}
	words = strings.ToValidUTF8(words[:limit], "")
	if i := strings.LastIndexByte(words, ' '); i > 0 {
		words = words[:i]
	}
	return words
}

// without removes p whatever its case: mail servers lower it.
func without(words, p string) string {
	p = strings.ToValidUTF8(p, "?") // as words are by now
	if len(p) < 3 {
		return words
	}
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(p)).ReplaceAllLiteralString(words, "…")
}

func withoutQuotations(words, content string) string {
	content = shorten(strings.Join(strings.Fields(content), " "), maxContent)
	if content == "" {
		return words
	}
	r := []rune(words)
	quoted := make([]bool, len(r))
	width := min(echo, len([]rune(content)))
	for i := 0; i+width <= len(r); i++ {
		if strings.Contains(content, string(r[i:i+width])) {
			for j := i; j < i+width; j++ {
				quoted[j] = true
			}
		}
	}
	var out strings.Builder
	for i, c := range r {
		switch {
		case !quoted[i]:
			out.WriteRune(c)
		case i == 0 || !quoted[i-1]:
			out.WriteRune('…')
		}
	}
	return out.String()
}
