// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync/atomic"
)

// refusedFile keeps the refused rows. It is made before anything is loaded, so that nothing is
// refused without a place to look it up, and removed when it stayed empty.
type refusedFile struct {
	file *os.File
	csv  *csv.Writer
	rows int
}

func openRefused(path string) (*refusedFile, error) {
	if path == "" {
		return &refusedFile{}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the file for refused rows (--refused names another): %w", err)
	}
	return &refusedFile{file: f, csv: csv.NewWriter(f)}, nil
}

func (r *refusedFile) add(row refusedRow) error {
	if r.file == nil {
		return nil
	}
	if r.rows++; r.rows == 1 {
		if err := r.csv.Write([]string{"line", "column", "reason", "row"}); err != nil {
			return fmt.Errorf("write the refused rows: %w", err)
		}
	}
	if err := r.csv.Write([]string{strconv.Itoa(row.Line), row.Column, row.Reason, row.raw}); err != nil {
		return fmt.Errorf("write the refused rows: %w", err)
	}
	return nil
}

func (r *refusedFile) close() error {
	if r.file == nil {
		return nil
	}
	r.csv.Flush()
	err := errors.Join(r.csv.Error(), r.file.Close())
	if r.rows == 0 {
		err = errors.Join(err, os.Remove(r.file.Name()))
	}
	if err != nil {
		return fmt.Errorf("write the refused rows: %w", err)
	}
	return nil
}

type countingReader struct {
	reader io.Reader
	count  atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.reader.Read(p)
	r.count.Add(int64(n))
	return n, err
}
