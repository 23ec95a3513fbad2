// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Format is the form of a file.
type Format string

// The formats. Auto looks at the first character: a brace begins JSON.
const (
	Auto      Format = ""
	CSV       Format = "csv"
	JSONLines Format = "jsonl"
)

// FormatOf tells a file's form from its ending.
func FormatOf(path string) (format Format, compressed bool, err error) {
	name := strings.ToLower(filepath.Base(path))
	name, compressed = strings.CutSuffix(name, ".gz")
	switch filepath.Ext(name) {
	case ".csv":
		return CSV, compressed, nil
	case ".jsonl", ".ndjson", ".json":
		return JSONLines, compressed, nil
	}
	return Auto, false, fmt.Errorf("the ending of %s tells no form: name it .csv, .jsonl, .ndjson or .json, each with .gz or without", filepath.Base(path))
}

// File loads a file, or stdin where path is -. See Run.
func File(ctx context.Context, s *store.Store, ns, kind, path string, stdin io.Reader, opts Options) (result Result, err error) {
	if path == "-" {
		if opts.RefusedFile == "" {
			opts.RefusedFile = stdinRefused()
		}
		return Run(ctx, s, ns, kind, stdin, Auto, opts)
	}
	format, compressed, err := FormatOf(path)
	if err != nil {
		return Result{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Result{}, fmt.Errorf("open the file to import: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return Result{}, fmt.Errorf("open the file to import: %w", err)
	}
	if opts.RefusedFile == "" {
		opts.RefusedFile = path + ".refused.csv"
	}
	bytesRead := &countingReader{reader: f}
	if progress := opts.Progress; progress != nil {
		opts.Progress = func(p Progress) {
			p.Bytes, p.Total = bytesRead.count.Load(), info.Size()
			progress(p)
		}
	}
	var r io.Reader = bytesRead
	if compressed {
		zipped, err := gzip.NewReader(r)
		if err != nil {
			return Result{}, fmt.Errorf("%s is not gzip: %w", path, err)
		}
		r = zipped
	}
	return Run(ctx, s, ns, kind, r, format, opts)
}

// skipMark consumes a byte order mark, which Excel writes, and refuses other encodings by theirs.
func (l *lines) skipMark() error {
	for len(l.rest()) < 3 && !l.eof {
		if err := l.more(); err != nil {
			return err
		}
	}
	switch rest := l.rest(); {
	case bytes.HasPrefix(rest, []byte("\xef\xbb\xbf")):
		l.consume(3)
	case bytes.HasPrefix(rest, []byte("\xff\xfe")), bytes.HasPrefix(rest, []byte("\xfe\xff")):
		return errors.New("the file is UTF-16: save it as UTF-8")
	case bytes.HasPrefix(rest, []byte("\x1f\x8b")):
		return errors.New("the file is gzip: let its name end in .gz, or decompress it")
	}
	return nil
}

// sniff tells the form from the first character.
func (l *lines) sniff() (Format, error) {
	if err := l.blank(); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch rest := bytes.TrimLeft(l.rest(), " \t"); {
	case bytes.HasPrefix(rest, []byte("{")):
		return JSONLines, nil
	case bytes.HasPrefix(rest, []byte("[")):
		return "", errors.New("the file is a JSON array: write one object a line")
	}
	return CSV, nil
}

// stdinRefused is where the refused rows of stdin go: the working directory, or in a container whose
// file system is read-only the directory for temporary files.
func stdinRefused() string {
	const name = "stdin.refused.csv"
	probe, err := os.CreateTemp(".", ".kaeru-*")
	if err != nil {
		return filepath.Join(os.TempDir(), name)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return filepath.Join(os.TempDir(), name)
	}
	return name
}
