// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxRow is the longest row. It bounds what a quote that is never closed can swallow.
const maxRow = 1 << 20

// lines hands out pieces of a stream and knows their line numbers.
type lines struct {
	reader io.Reader
	buffer []byte // what is read and not consumed is buffer[from:]
	from   int
	line   int // of buffer[from], from 1
	eof    bool
	err    error // ends the stream too, without its being complete
}

func newLines(r io.Reader) *lines { return &lines{reader: r, line: 1} }

// rest is what is read so far and not consumed.
func (l *lines) rest() []byte { return l.buffer[l.from:] }

const readSize = 256 << 10

// more reads on. The slices that rest has returned are no longer valid. An error comes after what
// was read before it.
func (l *lines) more() error {
	if l.err != nil {
		return fmt.Errorf("read the file at line %d: %w", l.line, l.err)
	}
	l.buffer = append(l.buffer[:0], l.rest()...)
	l.from = 0
	// Not io.ReadFull: its io.ErrUnexpectedEOF is also what a truncated gzip file gives.
	for free := readSize; free > 0 && l.err == nil && !l.eof; {
		at := len(l.buffer)
		l.buffer = slices.Grow(l.buffer, free)
		n, err := l.reader.Read(l.buffer[at : at+free])
		l.buffer = l.buffer[:at+n]
		free -= n
		if l.eof = errors.Is(err, io.EOF); !l.eof {
			l.err = err
		}
	}
	return nil
}

// consume goes forward by n bytes.
func (l *lines) consume(n int) {
	l.line += bytes.Count(l.buffer[l.from:l.from+n], []byte("\n"))
	l.from += n
}

// physicalLine consumes a line, whatever its length, and returns its beginning.
func (l *lines) physicalLine() ([]byte, error) {
	for {
		if end := bytes.IndexByte(l.rest(), '\n'); end >= 0 {
			out := bytes.Clone(l.rest()[:min(end, maxRow)])
			l.consume(end + 1)
			return out, nil
		}
		if l.eof {
			out := bytes.Clone(l.rest()[:min(len(l.rest()), maxRow)])
			l.consume(len(l.rest()))
			return out, nil
		}
		if len(l.rest()) > maxRow+readSize {
			// Keep the beginning and drop what follows it.
			l.buffer = append(l.buffer[:0], l.rest()[:maxRow]...)
			l.from = 0
		}
		if err := l.more(); err != nil {
			return nil, err
		}
	}
}

// blank consumes empty lines; at the end it returns io.EOF.
func (l *lines) blank() error {
	for {
		rest := l.rest()
		switch {
		case bytes.HasPrefix(rest, []byte("\n")):
			l.consume(1)
		case bytes.HasPrefix(rest, []byte("\r\n")):
			l.consume(2)
		case len(rest) > 1, len(rest) > 0 && l.eof:
			return nil
		case l.eof:
			return io.EOF
		default:
			if err := l.more(); err != nil {
				return err
			}
		}
	}
}
