// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// rowError is a row that cannot be read; those after it can.
type rowError struct{ reason string }

func (e *rowError) Error() string { return e.reason }

// csvReader reads RFC 4180, and beyond encoding/csv knows the bytes of a row and goes on after a
// broken one with the very next line.
type csvReader struct {
	lines *lines
	cells []string
}

var errPartial = errors.New("the row does not end here")

// next reads a row. The cells are valid until the next call, the strings in them for good. raw is the row
// as it is written. After a *rowError one can go on; the end is io.EOF.
func (r *csvReader) next() (line int, raw string, cells []string, err error) {
	if err := r.lines.blank(); err != nil {
		return r.lines.line, "", nil, err
	}
	for {
		line = r.lines.line
		n, err := r.scan(r.lines.rest())
		if errors.Is(err, errPartial) && !r.lines.eof && len(r.lines.rest()) < maxRow {
			if err := r.lines.more(); err != nil {
				return line, "", nil, err
			}
			continue
		}
		if errors.Is(err, errPartial) {
			err = &rowError{"a cell begins with a quote that is not closed"}
			if end := bytes.IndexByte(r.lines.rest(), '\n'); end > maxRow || end < 0 && !r.lines.eof {
				err = &rowError{fmt.Sprintf("the row is longer than %d bytes", maxRow)}
			}
		}
		if err != nil {
			start, readErr := r.lines.physicalLine()
			if readErr != nil {
				return line, "", nil, readErr
			}
			return line, strings.TrimSuffix(string(start), "\r"), nil, err
		}
		raw = strings.TrimRight(string(r.lines.rest()[:n]), "\r\n")
		r.lines.consume(n)
		return line, raw, r.cells, nil
	}
}

// scan splits the first row of data into cells and returns its length with the line break.
func (r *csvReader) scan(data []byte) (int, error) {
	r.cells = r.cells[:0]
	at := 0
	for {
		cell, n, err := r.scanCell(data[at:])
		if err != nil {
			return 0, err
		}
		r.cells = append(r.cells, cell)
		at += n
		switch {
		case at == len(data): // only at the end of the file
			return at, nil
		case data[at] == ',':
			at++
		case data[at] == '\n':
			return at + 1, nil
		default: // a carriage return before the line feed, or before the end
			return min(at+2, len(data)), nil
		}
	}
}

// scanCell returns a cell and its length, up to the comma or the line break.
func (r *csvReader) scanCell(data []byte) (string, int, error) {
	if len(data) > 0 && data[0] == '"' {
		return r.scanQuoted(data)
	}
	n := bytes.IndexAny(data, ",\n")
	if n < 0 {
		if !r.lines.eof {
			return "", 0, errPartial
		}
		n = len(data)
	}
	if (n == len(data) || data[n] == '\n') && n > 0 && data[n-1] == '\r' {
		n--
	}
	return string(data[:n]), n, nil
}

func (r *csvReader) scanQuoted(data []byte) (string, int, error) {
	escaped := false
	for at := 1; ; {
		n := bytes.IndexByte(data[at:], '"')
		if n < 0 {
			return "", 0, errPartial
		}
		at += n + 1
		after := data[at:]
		switch {
		case len(after) < 2 && !r.lines.eof:
			return "", 0, errPartial
		case len(after) > 0 && after[0] == '"':
			escaped = true
			at++
		case len(after) == 0, after[0] == ',', after[0] == '\n', bytes.HasPrefix(after, []byte("\r\n")), string(after) == "\r":
			cell := string(data[1 : at-1])
			if escaped {
				cell = strings.ReplaceAll(cell, `""`, `"`)
			}
			return cell, at, nil
		default:
			return "", 0, &rowError{`a quote inside a quoted cell must be doubled`}
		}
	}
}
