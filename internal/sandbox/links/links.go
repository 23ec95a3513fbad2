// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package links finds the addresses a recipient could follow in a message.
package links

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// A Japanese sentence goes on right after an address, so only what an address
// is made of counts.
var address = regexp.MustCompile(`https?://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+`)

// Text finds the addresses in plain text.
func Text(s string) []string {
	var out []string
	for _, u := range address.FindAllString(s, -1) {
		out = add(out, trim(u))
	}
	return out
}

// trim takes off what ends the sentence around an address: punctuation, and a
// bracket that was opened before it.
func trim(u string) string {
	for {
		short := strings.TrimRight(u, ".,;:!?'")
		for _, pair := range []string{"()", "[]"} {
			if strings.HasSuffix(short, pair[1:]) && strings.Count(short, pair[1:]) > strings.Count(short, pair[:1]) {
				short = short[:len(short)-1]
			}
		}
		if short == u {
			return u
		}
		u = short
	}
}

// Found are the addresses in an HTML document.
type Found struct{ Links, Images []string }

// HTML finds the addresses of links and of pictures.
func HTML(s string) Found {
	var f Found
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return f
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			for _, a := range t.Attr {
				switch {
				case (t.Data == "a" || t.Data == "area") && a.Key == "href" && followable(a.Val):
					f.Links = add(f.Links, strings.TrimSpace(a.Val))
				case t.Data == "img" && a.Key == "src" && followable(a.Val):
					f.Images = add(f.Images, strings.TrimSpace(a.Val))
				}
			}
		}
	}
}

// LINE finds the addresses in message objects: those of actions, and those
// written in texts.
func LINE(messages json.RawMessage) []string {
	var v any
	if json.Unmarshal(messages, &v) != nil {
		return nil
	}
	return walk(nil, v)
}

func walk(out []string, v any) []string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = walk(out, e)
		}
	case map[string]any:
		// Maps have no order; these are walked in one so that links keep theirs.
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, byReading)
		for _, name := range names {
			s, ok := v[name].(string)
			switch {
			case !ok:
				out = walk(out, v[name])
			case name == "uri" || name == "linkUri":
				if followable(s) {
					out = add(out, s)
				}
			case name == "text":
				out = Merge(out, Text(s))
			}
		}
	}
	return out
}

// reading is the order in which the parts of a message are read.
var reading = []string{"defaultAction", "action", "header", "hero", "text", "body", "columns", "contents", "actions", "footer"}

func byReading(a, b string) int {
	if d := slices.Index(reading, a) - slices.Index(reading, b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func followable(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// Merge appends what is new in b to a.
func Merge(a, b []string) []string {
	for _, s := range b {
		a = add(a, s)
	}
	return a
}
