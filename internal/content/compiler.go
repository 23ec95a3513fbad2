// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"errors"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
	"github.com/kaeru-dev/kaeru/internal/content/mjml"
)

// Limits bounds what a template may take. Zero fields have the defaults that are named.
type Limits struct {
	Output int // bytes of one rendered field, 512 KiB
	Steps  int // tags, outputs and turns of loops in the render of one field, 100,000
}

// Options are a Compiler's.
type Options struct{ Limits Limits }

// Compiler compiles templates. It is safe for concurrent use.
type Compiler struct {
	limits liquid.Limits
	mjml   *mjml.Compiler
}

// NewCompiler makes a compiler, which takes nothing until MJML is compiled. Close it when done.
func NewCompiler(opts Options) *Compiler {
	limits := liquid.Limits{Output: opts.Limits.Output, Steps: opts.Limits.Steps}
	if limits.Output == 0 {
		limits.Output = 512 << 10
	}
	if limits.Steps == 0 {
		limits.Steps = 100_000
	}
	return &Compiler{limits: limits, mjml: mjml.New()}
}

// Close frees what compiling MJML took. What is compiled can still be rendered.
func (c *Compiler) Close() error { return c.mjml.Close() }

// template is a field's, with the name it has in messages about it.
type template struct {
	*liquid.Template
	field string
	// lines says that line numbers are those of the source as it was written.
	lines bool
}

// text compiles a field that is written as it is.
func (c *Compiler) text(field, source string) (*template, error) {
	t, err := liquid.Compile(source, liquid.Options{Limits: c.limits})
	if err != nil {
		return nil, fieldError(field, err, true)
	}
	return &template{Template: t, field: field, lines: true}, nil
}

// address compiles a field that is an address and goes through Links.
func (c *Compiler) address(field, source string) (*template, error) {
	if _, err := c.text(field, source); err != nil {
		return nil, err
	}
	t, err := liquid.Compile(liquid.LinkStart+source+liquid.LinkEnd, liquid.Options{Marks: true, Limits: c.limits})
	if err != nil {
		return nil, fieldError(field, err, true)
	}
	return &template{Template: t, field: field, lines: true}, nil
}

// fieldError says which field an error of a template's is about.
func fieldError(field string, err error, lines bool) error {
	var e *liquid.Error
	var missing *liquid.MissingError
	switch {
	case errors.As(err, &missing):
		return &MissingValueError{Field: field, Path: missing.Path}
	case errors.As(err, &e) && lines:
		return &Error{Field: field, Line: e.Line, Message: e.Message}
	case errors.As(err, &e):
		return &Error{Field: field, Message: e.Message}
	}
	return err
}
