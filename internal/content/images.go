// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import "strings"

// checkImages wants a text for each picture: many readers see no pictures, or hear the mail read out.
func checkImages(field, source string) error {
	m := mask(source)
	elements := m.elements()
	for i := range elements {
		e := &elements[i]
		switch {
		case e.name == "mj-attributes":
			// What stands there is no picture but what pictures have in common.
			end := e.end + endTag(m.text[e.end:], "mj-attributes")
			for i+1 < len(elements) && elements[i+1].start < end {
				i++
				elements[i].alt = true
			}
		case (e.name == "img" || e.name == "mj-image") && !e.alt && !e.open:
			return &Error{Field: field, Line: 1 + strings.Count(source[:e.start], "\n"),
				Message: "<" + e.name + `> has no alt: write alt="what it shows", or alt="" where it shows nothing that matters`}
		}
	}
	return nil
}
