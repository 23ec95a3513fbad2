// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
)

// What is derived from other rows than orders is computed anew, and checked, here: who can be reached,
// engagements, wish lists.

// rebuildDerived is for customers whose rows this transaction has locked.
func (t *Tx) rebuildDerived(ctx context.Context, ns string, customers []string) error {
	if len(customers) == 0 {
		return nil
	}
	if err := t.updateReachOf(ctx, ns, customers); err != nil {
		return err
	}
	for _, kind := range Engagements {
		among := t.dialect.AnyText(3)
		if err := t.syncEngagements(ctx, ns, kind, "customer_id "+among, "m.customer_id "+among, List(t.dialect, customers)); err != nil {
			return err
		}
	}
	return t.updateFavourites(ctx, ns, customers)
}

// checkDerived counts what differs, row by row.
func (s *Store) checkDerived(ctx context.Context, ns string) (wrong int64, err error) {
	engaged := ""
	for _, kind := range Engagements {
		if engaged != "" {
			engaged += " UNION ALL "
		}
		engaged += fmt.Sprintf("SELECT id AS message_id, '%[1]s' AS kind, customer_id, %[1]s_at AS at FROM messages WHERE ns = $1 AND %[1]s_at IS NOT NULL", kind)
	}
	wished, args := s.dialect.wishes("")
	for _, c := range []struct {
		what, query string
		args        []any
	}{
		{"who can be reached", `SELECT COUNT(*) FROM customers WHERE ns = $1 AND reach <> ` + reachOf(), []any{ns}},
		{"engagements", differing(engaged, `SELECT message_id, kind, customer_id, at FROM engagements WHERE ns = $1`), []any{ns}},
		{"wish lists", differing(wished, `SELECT ns, customer_id, product_id, category, added_at FROM favourites WHERE ns = $1`), append([]any{ns}, args...)},
	} {
		var n int64
		if err := s.QueryRow(ctx, c.query, c.args...).Scan(&n); err != nil {
			return 0, fmt.Errorf("check %s: %w", c.what, err)
		}
		wrong += n
	}
	return wrong, nil
}

// differing counts the rows that only one of two queries has.
func differing(a, b string) string {
	return `SELECT (SELECT COUNT(*) FROM (SELECT * FROM (` + a + `) x EXCEPT SELECT * FROM (` + b + `) y) p)
		+ (SELECT COUNT(*) FROM (SELECT * FROM (` + b + `) y EXCEPT SELECT * FROM (` + a + `) x) q)`
}
