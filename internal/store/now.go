// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// NowMicros is the database's own clock, in microseconds since 1970, as an expression. Processes whose clocks differ
// agree on it; within a transaction it goes on.
func (d Dialect) NowMicros() string {
	if d == Postgres {
		return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"
}

// NowMillis is the database's own clock, in milliseconds since 1970, as an expression. It stands still within a
// statement, so that an index is of use.
func (d Dialect) NowMillis() string {
	if d == Postgres {
		return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)"
	}
	return "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
}
