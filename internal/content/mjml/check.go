// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mjml

import (
	"fmt"
	"regexp"
	"strings"
)

var tag = regexp.MustCompile(`(?is)<!--.*?-->|<(/?)(mjml|mj-[a-z-]+)((?:\s+(?:[^"'>]|"[^"]*"|'[^']*')*)?)>`)

// check finds what MJML's parser forgives and then makes a mail of that nobody meant: tags that are
// not closed, and files that would be included.
func check(source string) error {
	type opened struct {
		name string
		line int
	}
	var open []opened
	seen := false
	at, line := 0, 1
	for _, m := range tag.FindAllStringSubmatchIndex(source, -1) {
		line += strings.Count(source[at:m[0]], "\n")
		at = m[0]
		if m[4] < 0 {
			continue // a comment
		}
		name := strings.ToLower(source[m[4]:m[5]])
		if !seen && name != "mjml" {
			break
		}
		seen = true
		switch {
		case name == "mj-include":
			return &Error{line, "mj-include is not supported: a mail reads no other file"}
		case m[2] < m[3]: // </
			if len(open) == 0 {
				return &Error{line, fmt.Sprintf("</%s> closes nothing", name)}
			}
			last := open[len(open)-1]
			if last.name != name {
				return &Error{line, fmt.Sprintf("</%s> stands where <%s> of line %d should be closed", name, last.name, last.line)}
			}
			open = open[:len(open)-1]
		case !strings.HasSuffix(source[m[6]:m[7]], "/"):
			open = append(open, opened{name, line})
		}
	}
	if !seen {
		return &Error{1, "the source is not MJML: it begins with <mjml>"}
	}
	if len(open) > 0 {
		last := open[len(open)-1]
		return &Error{last.line, fmt.Sprintf("<%s> is not closed", last.name)}
	}
	return nil
}
