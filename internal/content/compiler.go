// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"encoding/json"
	"errors"
)

// RawMessage is one of LINE's message objects.
type RawMessage = json.RawMessage

// Limits bounds what a template may take. Zero fields have the defaults that are named.
type Limits struct {
	Output int // bytes of one rendered field, 512 KiB
	Steps  int // tags, outputs and turns of loops in one render, 100,000
}

// Options are a Compiler's.
type Options struct{ Limits Limits }

// Compiler compiles templates. It is safe for concurrent use.
type Compiler struct{ limits Limits }

// NewCompiler makes a compiler. Close it when done.
func NewCompiler(opts Options) *Compiler { return &Compiler{limits: opts.Limits} }

// Close frees what compiling MJML took.
func (c *Compiler) Close() error { return nil }

var errUnfinished = errors.New("not compiled yet")

// CompileEmail compiles a mail. What is wrong with it is an *Error.
func (c *Compiler) CompileEmail(ctx context.Context, src EmailSource) (*Email, error) {
	return nil, errUnfinished
}

// CompileLine compiles LINE message objects. What is wrong with them is an *Error.
func (c *Compiler) CompileLine(messages []RawMessage) (*Line, error) { return nil, errUnfinished }

// CompileSMS compiles a text message. What is wrong with it is an *Error.
func (c *Compiler) CompileSMS(text string) (*SMS, error) { return nil, errUnfinished }

// Email is a compiled mail.
type Email struct{}

// Render makes the mail for one customer. It fails with *MissingValueError where the customer lacks
// what the template needs, and with *Error where the template does not work out for them.
func (e *Email) Render(ctx context.Context, data *Data, links Links) (Mail, error) {
	return Mail{}, errUnfinished
}

// Line is a compiled push.
type Line struct{}

// Render makes the push for one customer; its errors are as Email's.
func (l *Line) Render(ctx context.Context, data *Data, links Links) (LinePush, error) {
	return LinePush{}, errUnfinished
}

// SMS is a compiled text message.
type SMS struct{}

// Render makes the text for one customer; its errors are as Email's.
func (s *SMS) Render(ctx context.Context, data *Data, links Links) (Text, error) {
	return Text{}, errUnfinished
}
