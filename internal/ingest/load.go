// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// batch is what one transaction loads, and what was refused among it.
type batch[F any] struct {
	facts    []F
	rows     int64
	lastLine int
	refused  []refusedRow
}

type refusedRow struct {
	Refusal
	raw string
}

// load reads in one goroutine and writes in another.
func load[F any](ctx context.Context, s *store.Store, ns string, in source, t table[F], opts Options) (result Result, err error) {
	reader, err := openRows(in, t, &opts)
	if err != nil {
		return Result{}, err
	}
	refused, err := openRefused(opts.RefusedFile)
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if result.Refused > 0 {
			result.RefusedFile = opts.RefusedFile
		}
		err = errors.Join(err, refused.close())
	}()
	ctx, cancel := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { s.KeepStatistics(ctx) })
	defer kept.Wait()
	batches, readErr := make(chan batch[F], 1), make(chan error, 1)
	go func() {
		defer close(batches)
		readErr <- readBatches(ctx, reader, opts.BatchRows, batches)
	}()
	defer func() {
		cancel()
		for range batches { // the reader must not outlive the file
		}
	}()
	loaded := 1
	for b := range batches {
		counts, err := storeBatch(ctx, s, ns, t, b.facts, opts)
		if err != nil {
			return result, fmt.Errorf("load the rows after line %d (those before are loaded; it is safe to run the import again): %w", loaded, err)
		}
		loaded = b.lastLine
		result.Counts.Add(counts)
		result.Rows += b.rows
		for _, row := range b.refused {
			result.Refused++
			if len(result.First) < firstRefusals {
				result.First = append(result.First, row.Refusal)
			}
			if err := refused.add(row); err != nil {
				return result, err
			}
		}
		if opts.Progress != nil {
			opts.Progress(Progress{Rows: result.Rows, Refused: result.Refused})
		}
	}
	return result, <-readErr
}

func storeBatch[F any](ctx context.Context, s *store.Store, ns string, t table[F], facts []F, opts Options) (counts store.Counts, err error) {
	if len(facts) == 0 {
		return store.Counts{}, nil
	}
	now := opts.Clock.Now()
	err = s.Tx(ctx, func(tx *store.Tx) (err error) {
		counts, err = t.upsert(ctx, tx, ns, facts, now)
		return err
	})
	return counts, err
}

func readBatches[F any](ctx context.Context, reader rowReader[F], size int, out chan<- batch[F]) error {
	for {
		b := batch[F]{facts: make([]F, 0, size)}
		end := false
		for b.rows < int64(size) {
			var fact F
			line, raw, err := reader.next(&fact)
			if end = errors.Is(err, io.EOF); end {
				break
			}
			refusal, ok := refusalOf(line, err)
			if !ok {
				return err
			}
			b.rows++
			b.lastLine = line
			if err != nil {
				b.refused = append(b.refused, refusedRow{refusal, raw})
			} else {
				b.facts = append(b.facts, fact)
			}
		}
		if b.rows > 0 {
			select {
			case out <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if end {
			return nil
		}
	}
}

// refusalOf tells whether err is about the row alone, as no error is.
func refusalOf(line int, err error) (Refusal, bool) {
	var field *store.FieldError
	var row *rowError
	switch {
	case err == nil:
		return Refusal{}, true
	case errors.As(err, &field):
		return Refusal{line, field.Field, field.Reason}, true
	case errors.As(err, &row):
		return Refusal{line, "", row.reason}, true
	}
	return Refusal{}, false
}
