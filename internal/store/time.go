// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"database/sql"
	"time"
)

// Millis is t as the database holds it.
func Millis(t time.Time) int64 { return t.UnixMilli() }

// Time is the moment a column holds, in UTC.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// NullMillis is t as a nullable column holds it; the zero time is NULL.
func NullMillis(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: !t.IsZero()}
}

// NullTime is the moment a nullable column holds, in UTC; NULL is the zero time.
func NullTime(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return Time(ms.Int64)
}
