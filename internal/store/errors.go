// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrNotFound is returned where what was asked for by its key is not there.
var ErrNotFound = errors.New("not found")

// IsNotFound holds for ErrNotFound and for a QueryRow without a row.
func IsNotFound(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, sql.ErrNoRows)
}

// IsUniqueViolation holds where a row with the same key was already there.
func IsUniqueViolation(err error) bool {
	if code, ok := sqliteCode(err); ok {
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return postgresCode(err) == "23505"
}

// retryable holds where the transaction may succeed when it is run again.
func retryable(err error) bool {
	if errors.Is(err, ErrRetry) {
		return true
	}
	if code, ok := sqliteCode(err); ok {
		return code&0xff == sqlite3.SQLITE_BUSY
	}
	switch postgresCode(err) {
	case "40001", // serialization_failure
		"40P01": // deadlock_detected
		return true
	}
	return false
}

func sqliteCode(err error) (int, bool) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return e.Code(), true
}

func postgresCode(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

// WithoutData is an error that may be shown: what PostgreSQL says of values that it cannot use has
// these values in it, and they may be a customer's.
func WithoutData(err error) error {
	code := postgresCode(err)
	if !strings.HasPrefix(code, "22") && !strings.HasPrefix(code, "23") {
		return err
	}
	return fmt.Errorf("a value that is stored does not fit (SQLSTATE %s)", code)
}
