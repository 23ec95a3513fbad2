// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// source is a stream of rows.
type source struct {
	reader io.Reader
	format Format
}

// rowReader reads facts. next returns io.EOF at the end; a *store.FieldError or a *rowError is about
// this row only.
type rowReader[F any] interface {
	next(f *F) (line int, raw string, err error)
}

func openRows[F any](in source, t table[F], o *Options) (rowReader[F], error) {
	l := newLines(in.reader)
	if err := l.skipMark(); err != nil {
		return nil, err
	}
	if in.format == Auto {
		format, err := l.sniff()
		if err != nil {
			return nil, err
		}
		in.format = format
	}
	if in.format == JSONLines {
		return &jsonRows[F]{lines: l, table: t, opts: o}, nil
	}
	return openCSV(l, t, o)
}

// csvRows reads a file with a header.
type csvRows[F any] struct {
	reader csvReader
	table  table[F]
	opts   *Options
	names  []string
	set    []func(*F, cell, *Options) error
}

func openCSV[F any](l *lines, t table[F], o *Options) (*csvRows[F], error) {
	r := &csvRows[F]{reader: csvReader{lines: l}, table: t, opts: o}
	line, _, header, err := r.reader.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: its first line names the columns")
	}
	if err != nil {
		return nil, fmt.Errorf("the header on line %d: %w", line, err)
	}
	seen := make(map[string]bool, len(header))
	for i, name := range header {
		name = strings.TrimSpace(name)
		if lower := strings.ToLower(name); t.columns[lower] != nil {
			name = lower
		}
		set := t.columns[name]
		switch {
		case name == "":
			return nil, fmt.Errorf("column %d has no name in the header", i+1)
		case seen[name]:
			return nil, fmt.Errorf("the header names the column %s twice", name)
		case set == nil && t.other == nil:
			return nil, fmt.Errorf("the column %s is not known: there are %s", shorten(name), names(t.columns))
		case set == nil:
			set = func(f *F, c cell, _ *Options) error { return t.other(f, name, c) }
		}
		seen[name] = true
		r.names, r.set = append(r.names, name), append(r.set, set)
	}
	for _, name := range t.required {
		if !seen[name] {
			return nil, fmt.Errorf("the header has no column %s: the first line names the columns, with commas between them", name)
		}
	}
	return r, nil
}

func (r *csvRows[F]) next(f *F) (line int, raw string, err error) {
	line, raw, cells, err := r.reader.next()
	if err != nil {
		return line, raw, err
	}
	if len(cells) != len(r.names) {
		return line, raw, &rowError{fmt.Sprintf("the row has %d cells and the header names %d columns", len(cells), len(r.names))}
	}
	for i, text := range cells {
		if err := r.set[i](f, cell{text: text}, r.opts); err != nil {
			return line, raw, &store.FieldError{Field: r.names[i], Reason: err.Error()}
		}
	}
	return line, raw, r.table.validate(f)
}

// jsonRows reads an object a line.
type jsonRows[F any] struct {
	lines *lines
	table table[F]
	opts  *Options
}

func (r *jsonRows[F]) next(f *F) (line int, raw string, err error) {
	if err := r.lines.blank(); err != nil {
		return r.lines.line, "", err
	}
	line = r.lines.line
	text, err := r.lines.physicalLine()
	if err != nil {
		return line, "", err
	}
	text = bytes.TrimSuffix(text, []byte("\r"))
	raw = string(text)
	if len(text) >= maxRow {
		return line, raw, &rowError{fmt.Sprintf("the row is longer than %d bytes", maxRow)}
	}
	var row map[string]json.RawMessage
	if err := json.Unmarshal(text, &row); err != nil {
		return line, raw, &rowError{jsonReason(text, err)}
	}
	return line, raw, r.table.fromJSON(f, row, r.opts)
}

// fromJSON reads an object.
func (t table[F]) fromJSON(f *F, row map[string]json.RawMessage, o *Options) error {
	for _, name := range t.required {
		if _, said := row[name]; !said {
			return &store.FieldError{Field: name, Reason: "is missing"}
		}
	}
	// In order, so that a row with two errors is always refused for the same one.
	for _, name := range slices.Sorted(maps.Keys(row)) {
		c := cell{document: row[name]}
		var err error
		switch set := t.columns[name]; {
		case set != nil:
			err = set(f, c, o)
		case t.other != nil:
			err = t.other(f, name, c)
		default:
			err = errors.New("is not known: there are " + names(t.columns))
		}
		if err != nil {
			return &store.FieldError{Field: shorten(name), Reason: err.Error()}
		}
	}
	return t.validate(f)
}

func jsonReason(text []byte, err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("the row is not JSON: %s at byte %d", syntax, syntax.Offset)
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")):
		return "the row is a JSON array: write one object a line"
	}
	return "the row is not a JSON object"
}
