// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"strings"
)

// originalBegins are the lines after which servers quote the mail that they could not deliver, where
// they do not put it into a part of its own.
var originalBegins = regexp.MustCompile(`(?im)^[ \t>|*#=-]*(?:` + strings.Join([]string{
	`(?:this|below|following|included)\b[^\n]{0,60}\bcop(?:y|ies) of (?:the|your) [^\n]*`,
	`(?:the )?(?:header|headers|body|text|start|beginning)s? of the (?:original )?(?:message|mail)[^\n]*`,
	`(?:a |the )?(?:original|unsent|undelivered|returned|rejected|bounced|unsendable) (?:message|mail|e-mail)s?(?: headers?| text| info| body)?(?: follows?| is following| is attached| below)?[ :.]*(?:[-|=*#]+[ \t]*)?`,
	`message (?:headers?|text|body|contents?) (?:follows?|below)[ :.]*[-|]*`,
	`original mail info`,
	`end of (?:bounce|report|message)[^\n]*`,
	`Received: (?:from|by|\()[^\n]*`,
	`Received:(?:from|by) [^\n]*`,
	`Return-Path: ?<?[^ \n]*>?`,
}, "|") + `)[ \t]*$`)

// cutOriginal takes the quoted mail from the end of a text.
func cutOriginal(text string) (before, rest string, cut bool) {
	for _, at := range originalBegins.FindAllStringIndex(text, 8) {
		// "The original message was received at" and the like come first, before anything was said.
		if len(strings.TrimSpace(text[:at[0]])) < 20 {
			continue
		}
		return text[:at[0]], text[at[0]:], true
	}
	return text, "", false
}

// originalHeader finds a header in a quoted mail: servers put lines before it, and indent it.
func originalHeader(text string) header {
	var out header
	for range 4 {
		text = strings.TrimLeft(text, "\n")
		h, rest := readHeader([]byte(dedent(text)))
		if h.get("Message-ID") != "" || h.get("From") != "" && h.get("Subject") != "" {
			return h
		}
		if out == nil {
			out = h
		}
		if len(rest) == 0 {
			break
		}
		text = string(rest)
	}
	return out
}

// dedent takes the spaces off whose number all lines of a quoted header share.
func dedent(text string) string {
	trimmed := strings.TrimLeft(text, " ")
	indent := text[:len(text)-len(trimmed)]
	if indent == "" {
		return text
	}
	return strings.ReplaceAll(text, "\n"+indent, "\n")[len(indent):]
}
