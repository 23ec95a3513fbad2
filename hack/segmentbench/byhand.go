// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// handRefresh is a refresh by hand: statements, in one transaction, that make a segment's membership
// what a question by hand finds. Unlike Refresh it keeps no state, and does not count who can be reached.
type handRefresh struct {
	statements []string
	settings   string
}

// The ways to refresh by hand, where %[1]s is the question and %[2]s the segment. Their column is customer_id.
var (
	postgresRefreshes = []string{
		`WITH wanted AS MATERIALIZED (%[1]s),
differing AS MATERIALIZED (
  SELECT w.customer_id AS came, m.customer_id AS went FROM wanted w
  FULL JOIN (SELECT customer_id FROM memberships WHERE ns = 'shop' AND segment = '%[2]s') m ON m.customer_id = w.customer_id
  WHERE w.customer_id IS NULL OR m.customer_id IS NULL),
exited AS (DELETE FROM memberships WHERE ns = 'shop' AND segment = '%[2]s' AND customer_id IN (SELECT went FROM differing))
INSERT INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', '%[2]s', came, %[3]d FROM differing WHERE came IS NOT NULL`,

		`WITH wanted AS MATERIALIZED (%[1]s),
exited AS (DELETE FROM memberships m WHERE ns = 'shop' AND segment = '%[2]s' AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.customer_id = m.customer_id))
INSERT INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', '%[2]s', customer_id, %[3]d FROM wanted w
WHERE NOT EXISTS (SELECT 1 FROM memberships m WHERE m.ns = 'shop' AND m.segment = '%[2]s' AND m.customer_id = w.customer_id)`,

		`WITH wanted AS MATERIALIZED (%[1]s),
exited AS (DELETE FROM memberships m WHERE ns = 'shop' AND segment = '%[2]s' AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.customer_id = m.customer_id))
INSERT INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', '%[2]s', customer_id, %[3]d FROM wanted
ON CONFLICT (ns, segment, customer_id) DO NOTHING`,
	}
	// SQLite can't change something in a part of a statement.
	sqliteRefreshes = []string{
		`DELETE FROM temp.asked;
INSERT INTO temp.asked (customer_id) %[1]s;
DELETE FROM memberships WHERE ns = 'shop' AND segment = '%[2]s' AND customer_id NOT IN (SELECT customer_id FROM temp.asked);
INSERT INTO memberships (ns, segment, customer_id, entered_at)
SELECT 'shop', '%[2]s', customer_id, %[3]d FROM temp.asked WHERE customer_id NOT IN (SELECT customer_id FROM memberships WHERE ns = 'shop' AND segment = '%[2]s')`,

		`DELETE FROM memberships WHERE ns = 'shop' AND segment = '%[2]s' AND customer_id NOT IN (%[1]s);
INSERT OR IGNORE INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', '%[2]s', customer_id, %[3]d FROM (%[1]s) w`,
	}
)

// fastestRefresh tries all ways for a question, and leaves the segment refreshed.
func fastestRefresh(ctx context.Context, db *store.Store, segment string, question best) (handRefresh, error) {
	ways, settings := postgresRefreshes, []string{question.Settings, ofRefresh}
	if db.Dialect() == store.SQLite {
		ways, settings = sqliteRefreshes, []string{""}
	}
	var found handRefresh
	shortest := time.Hour
	for _, way := range ways {
		for _, setting := range settings {
			r := handRefresh{strings.Split(fmt.Sprintf(way, question.SQL, segment, store.Millis(today)), ";\n"), setting}
			for range 3 { // the very first makes the members, and is never the fastest
				// What takes much longer than the fastest so far is given up.
				took, err := r.run(ctx, db, min(max(2*shortest, time.Second), time.Minute))
				if tooLong(err) {
					break
				}
				if err != nil {
					return handRefresh{}, err
				}
				if took < shortest {
					shortest, found = took, r
				}
			}
		}
	}
	var members int64
	err := db.QueryRow(ctx, `SELECT count(*) FROM memberships WHERE ns = $1 AND segment = $2`, namespace, segment).Scan(&members)
	if err == nil && members != question.Members {
		err = fmt.Errorf("a refresh by hand leaves %d members instead of %d", members, question.Members)
	}
	return found, err
}

func (r *handRefresh) run(ctx context.Context, db *store.Store, limit time.Duration) (time.Duration, error) {
	began := time.Now()
	err := db.Tx(ctx, func(tx *store.Tx) error {
		if err := prepare(ctx, tx, r.settings, limit); err != nil {
			return err
		}
		if tx.Dialect() == store.SQLite {
			if _, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS asked (customer_id TEXT PRIMARY KEY) WITHOUT ROWID`); err != nil {
				return err
			}
		}
		for _, statement := range r.statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%w\n%s", err, statement)
			}
		}
		return nil
	})
	return time.Since(began), err
}
