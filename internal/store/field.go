// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import "database/sql"

// Field is what a row says about one column: a value (Value), that there is none (None), or nothing
// (the zero Field), in which case what is known stays.
type Field[T comparable] struct {
	value T
	said  said
}

type said uint8

const (
	nothing said = iota
	none
	value
)

// Value says that a field is v.
func Value[T comparable](v T) Field[T] { return Field[T]{v, value} }

// None says that a field has no value.
func None[T comparable]() Field[T] { return Field[T]{said: none} }

// Get returns the value, if there is one.
func (f Field[T]) Get() (T, bool) { return f.value, f.said == value }

// Said tells whether the row says anything.
func (f Field[T]) Said() bool { return f.said != nothing }

// or is f, or old where f says nothing. The result always says something.
func (f Field[T]) or(old Field[T]) Field[T] {
	if f.said == nothing {
		f = old
	}
	if f.said == nothing {
		f.said = none
	}
	return f
}

// column is the field as an argument of a statement.
func (f Field[T]) column() any {
	if f.said != value {
		return nil
	}
	return f.value
}

// Scan reads a column.
func (f *Field[T]) Scan(src any) error {
	var v sql.Null[T]
	if err := v.Scan(src); err != nil {
		return err
	}
	*f = None[T]()
	if v.Valid {
		*f = Value(v.V)
	}
	return nil
}
