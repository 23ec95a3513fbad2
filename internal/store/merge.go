// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// A batch of facts is merged with what is stored here rather than by the database: it tells new rows
// from changed ones, writes nothing that has not changed, takes a fact that says only some of its
// columns, and lets new rows go in by COPY. What is stored is read under row locks, and a row that
// another transaction adds meanwhile has the key of one of ours, so that this transaction starts again.

// merged is what a batch comes to: rows to add and rows to overwrite, each in the order of their keys,
// so that two transactions lock them in the same order.
type merged[R any] struct {
	added, changed []R
	counts         Counts
}

// merge applies facts in their order. apply makes a row of what was known and a fact.
func merge[F any, K cmp.Ordered, R any](facts []F, key func(*F) K, stored map[K]R, apply func(old R, f *F) R, same func(a, b R) bool) merged[R] {
	var out merged[R]
	current := make(map[K]R, len(facts))
	for i := range facts {
		k := key(&facts[i])
		old, known := current[k]
		if !known {
			old, known = stored[k]
		}
		row := apply(old, &facts[i])
		switch {
		case !known:
			out.counts.New++
		case same(old, row):
			out.counts.Unchanged++
			continue
		default:
			out.counts.Changed++
		}
		current[k] = row
	}
	for _, k := range slices.Sorted(maps.Keys(current)) {
		switch old, known := stored[k]; {
		case !known:
			out.added = append(out.added, current[k])
		case !same(old, current[k]):
			out.changed = append(out.changed, current[k])
		}
	}
	return out
}

// write puts a merged batch into a table, whose first columns are its key.
func write[R any](ctx context.Context, t *Tx, table string, columns []string, keys int, m merged[R], values func(R, []any) []any) error {
	rows := func(of []R) iter.Seq[[]any] {
		return func(yield func([]any) bool) {
			buffer := make([]any, 0, len(columns))
			for _, row := range of {
				if !yield(values(row, buffer[:0])) {
					return
				}
			}
		}
	}
	if len(m.added) > 0 {
		if _, err := BulkInsert(ctx, t, table, columns, rows(m.added)); err != nil {
			if IsUniqueViolation(err) {
				return fmt.Errorf("%w: %w", ErrRetry, err)
			}
			return err
		}
	}
	if len(m.changed) > 0 {
		if _, err := BulkUpsert(ctx, t, table, columns, keys, rows(m.changed)); err != nil {
			return err
		}
	}
	return nil
}

// distinct is the values without repetition, in order.
func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
