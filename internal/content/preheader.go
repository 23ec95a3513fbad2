// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"html"
	"strings"
)

// preheaderStyle hides the text that mail programs show beside the subject.
const preheaderStyle = `<div style="display:none;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all">`

// Preheader finds the preheader in a mail that was rendered with one; it is empty where there is none.
func Preheader(rendered string) string {
	_, rest, found := strings.Cut(rendered, preheaderStyle)
	if !found {
		return ""
	}
	text, _, _ := strings.Cut(rest, "</div>")
	return oneLine(html.UnescapeString(text))
}
