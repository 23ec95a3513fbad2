// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import "fmt"

// Error is what is wrong with a template: one sentence for a resource's status. It never holds a
// customer's data.
type Error struct {
	// Field is the template's path below the step, such as "subject" or
	// "messages[0].contents.body.contents[1].text".
	Field string
	// Line counts from 1 in the field as it was written; 0 where no line is known.
	Line    int
	Message string
}

func (e *Error) Error() string {
	switch {
	case e.Field == "":
		return e.Message
	case e.Line == 0:
		return fmt.Sprintf("%s: %s", e.Field, e.Message)
	}
	return fmt.Sprintf("%s: line %d: %s", e.Field, e.Line, e.Message)
}

// MissingValueError says that a template needs a value that this customer does not have, and gives
// no default. The message is skipped; others are not concerned.
type MissingValueError struct {
	Field string // as in Error
	Path  string // what was missing, such as "customer.first_name"
}

func (e *MissingValueError) Error() string {
	return fmt.Sprintf("%s: %s has no value, and the template gives no default", e.Field, e.Path)
}
