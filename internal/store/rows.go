// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Each hands each row of a query to scan.
func Each(ctx context.Context, q Querier, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Texts are the values of a query of one column.
func Texts(ctx context.Context, q Querier, query string, args ...any) (values []string, err error) {
	err = Each(ctx, q, func(rows *sql.Rows) error {
		var value string
		err := rows.Scan(&value)
		values = append(values, value)
		return err
	}, query, args...)
	return values, err
}

// Feeds are the numbers of the latest transactions that touched customers, by namespace.
func Feeds(ctx context.Context, q Querier) (map[string]int64, error) {
	feeds := map[string]int64{}
	err := Each(ctx, q, func(rows *sql.Rows) error {
		var ns string
		var seq int64
		err := rows.Scan(&ns, &seq)
		feeds[ns] = seq
		return err
	}, `SELECT ns, seq FROM feeds`)
	if err != nil {
		return nil, fmt.Errorf("read the feeds: %w", err)
	}
	return feeds, nil
}
