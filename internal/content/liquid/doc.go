// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package liquid compiles and renders Liquid templates that others have written.
//
// Scanning, expressions and comparison are github.com/osteele/liquid's. Tags, outputs and filters
// are ours, because the library's include reads any file of the machine, its loops and strings
// have no bound, its outputs are not escaped, some of its filters panic, and it finds unknown
// filters and variables only when a customer's message comes to them.
//
// A render has a budget instead of a time limit: a step for every tag, output and turn of a loop,
// and a limit on the bytes of its output and of every value that a filter is given. So it ends
// soon whatever the template, without a goroutine left behind, and the same template with the
// same data always ends the same way.
package liquid

import "fmt"

// Error is what is wrong with a template. It holds nothing of the data.
type Error struct {
	Line    int
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// MissingError says that an output has no value and no default.
type MissingError struct {
	Line int
	Path string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("line %d: %s has no value", e.Line, e.Path)
}

func errorf(line int, format string, args ...any) *Error {
	return &Error{Line: line, Message: fmt.Sprintf(format, args...)}
}
