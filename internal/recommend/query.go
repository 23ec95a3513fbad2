// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"database/sql"
	"errors"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// each hands each row of a query to scan.
func each(ctx context.Context, q store.Querier, scan func(*sql.Rows) error, query string, args ...any) (err error) {
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

// texts are the values of a query of one column.
func texts(ctx context.Context, q store.Querier, query string, args ...any) (values []string, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		var value string
		err := rows.Scan(&value)
		values = append(values, value)
		return err
	}, query, args...)
	return values, err
}
