// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
)

type couponRow struct {
	pool, code string
	expiresAt  Field[int64]
}

// The columns that say whom a coupon was given to are not among these, and stay.
var couponColumns = []string{"ns", "pool", "code", "expires_at"}

// UpsertCoupons adds coupons to their pools. One that was given to a customer stays given.
func (t *Tx) UpsertCoupons(ctx context.Context, ns string, coupons []Coupon) (Counts, error) {
	key := func(pool, code string) string { return pool + "\x00" + code }
	pools, codes := make([]string, len(coupons)), make([]string, len(coupons))
	for i := range coupons {
		pools[i], codes[i] = coupons[i].Pool, coupons[i].Code
	}
	stored := make(map[string]couponRow)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var r couponRow
		err := rows.Scan(&r.pool, &r.code, &r.expiresAt)
		stored[key(r.pool, r.code)] = r
		return err
	}, `SELECT pool, code, expires_at FROM coupons WHERE ns = $1 AND pool `+t.dialect.AnyText(2)+` AND code `+t.dialect.AnyText(3)+`
		ORDER BY pool, code`+t.dialect.ForUpdate(), ns, List(t.dialect, distinct(pools)), List(t.dialect, distinct(codes)))
	if err != nil {
		return Counts{}, fmt.Errorf("read coupons: %w", err)
	}
	m := merge(coupons, func(c *Coupon) string { return key(c.Pool, c.Code) }, stored, func(old couponRow, c *Coupon) couponRow {
		return couponRow{c.Pool, c.Code, millisField(c.ExpiresAt).or(old.expiresAt)}
	}, func(a, b couponRow) bool { return a == b })
	return m.counts, write(ctx, t, "coupons", couponColumns, 3, m, func(r couponRow, row []any) []any {
		return append(row, ns, r.pool, r.code, r.expiresAt.column())
	})
}
