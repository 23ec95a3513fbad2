// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

var (
	htmlTag = regexp.MustCompile(`(?s)<[^>]*>`)
	word    = regexp.MustCompile(`\s*\S+`)
)

// addText replaces the library's filters on text: with a bound on what they take, and without
// those panics and expressions compiled for each call.
func addText(c *meteredFilters) {
	for name, f := range map[string]func(string) string{
		"capitalize": func(s string) string {
			first, rest := cutRune(s)
			return strings.ToUpper(first) + rest
		},
		"downcase":       strings.ToLower,
		"escape":         html.EscapeString,
		"escape_once":    func(s string) string { return html.EscapeString(html.UnescapeString(s)) },
		"lstrip":         func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) },
		"newline_to_br":  func(s string) string { return strings.ReplaceAll(s, "\n", "<br />\n") },
		"rstrip":         func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) },
		"strip":          strings.TrimSpace,
		"strip_html":     func(s string) string { return htmlTag.ReplaceAllString(s, "") },
		"strip_newlines": func(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) },
		"upcase":         strings.ToUpper,
		"url_encode":     url.QueryEscape,
	} {
		c.AddFilter(name, func(s string) (string, error) {
			if len(s) > maxValue {
				return "", errTooLong
			}
			return f(s), nil
		})
	}
	c.AddFilter("append", join)
	c.AddFilter("prepend", func(s, prefix string) (string, error) { return join(prefix, s) })
	c.AddFilter("remove", func(s, old string) (string, error) { return replace(s, old, "", -1) })
	c.AddFilter("remove_first", func(s, old string) (string, error) { return replace(s, old, "", 1) })
	c.AddFilter("replace", func(s, old, to string) (string, error) { return replace(s, old, to, -1) })
	c.AddFilter("replace_first", func(s, old, to string) (string, error) { return replace(s, old, to, 1) })
	c.AddFilter("url_decode", func(s string) (string, error) {
		out, err := url.QueryUnescape(s)
		if err != nil {
			return "", filterError("the value is not URL-encoded")
		}
		return out, nil
	})
	c.AddFilter("slice", slice)
	c.AddFilter("truncate", truncate)
	c.AddFilter("truncatewords", truncateWords)
	c.AddFilter("json", toJSON)
}

func cutRune(s string) (first, rest string) {
	for i := range s {
		if i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func join(a, b string) (string, error) {
	if len(a)+len(b) > maxValue {
		return "", errTooLong
	}
	return a + b, nil
}

func replace(s, old, to string, n int) (string, error) {
	count := strings.Count(s, old)
	if n >= 0 {
		count = min(count, n)
	}
	if len(s) > maxValue || len(s)+count*(len(to)-len(old)) > maxValue {
		return "", errTooLong
	}
	return strings.Replace(s, old, to, n), nil
}

func slice(s string, start int, length func(int) int) string {
	runes := []rune(s)
	if start < 0 {
		start += len(runes)
	}
	n := length(1)
	if start < 0 || start >= len(runes) || n <= 0 {
		return ""
	}
	return string(runes[start:min(len(runes), start+min(n, len(runes)))])
}

func truncate(s string, length func(int) int, ellipsis func(string) string) string {
	n, end, runes := length(50), ellipsis("..."), []rune(s)
	if len(runes) <= n {
		return s
	}
	keep := max(0, n-len([]rune(end)))
	return string(runes[:keep]) + end
}

func truncateWords(s string, length func(int) int, ellipsis func(string) string) string {
	n := max(1, length(15))
	words := word.FindAllStringIndex(s, min(n, maxValue)+1)
	if len(words) <= n {
		return s
	}
	return s[:words[n-1][1]] + ellipsis("...")
}

func toJSON(v any) (string, error) {
	out, err := json.Marshal(v)
	if err != nil {
		return "", filterError("the value cannot be written as JSON")
	}
	if len(out) > maxValue {
		return "", errTooLong
	}
	return string(out), nil
}
