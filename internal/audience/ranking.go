// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// ranking is an amount that customers are ranked by and that is not in their row of metrics: what they
// spent in a window, or on some things. It is kept as metrics are, but at refreshes: facts do not wait
// for it.
type ranking struct {
	// measure is the name of it, the condition without its percentage.
	measure string
	// window is the orders that leave it as time passes, where there is one.
	window []slice
	// all selects customers and their amounts, and one is the amount of the customer b.
	all, one         string
	allArgs, oneArgs []argument
}

// kept tells whether a measure is that of a ranking.
func kept(measure string) bool { return strings.HasPrefix(measure, "{") }

// rankedIn is the customers within a percentage of a ranking.
func (s *statement) rankedIn(c *v1alpha1.SpendCondition, r *rank, window []slice, path string) (membershipIn, error) {
	name, err := json.Marshal(v1alpha1.SpendCondition{Of: c.OfOrDefault(), Within: c.Within, Where: c.Where})
	if err != nil {
		return membershipIn{}, err
	}
	orders := func(each bool) (which, groups string, args []argument, err error) {
		t := &statement{env: s.env, bound: make(map[any]int), each: each}
		t.text(s.env.Namespace) // $1
		which, err = t.matchingOrders(c.Within, c.Where, path)
		return which, t.groups(recent(c.Within)), t.args, err
	}
	everybodys, groups, allArgs, err := orders(false)
	if err != nil {
		return membershipIn{}, err
	}
	theirs, _, oneArgs, err := orders(true)
	if err != nil {
		return membershipIn{}, err
	}
	k := &ranking{
		measure: string(name), window: window, allArgs: allArgs, oneArgs: oneArgs,
		all: "SELECT o.customer_id, " + orderSum(c) + " AS amount FROM " + everybodys + groups,
		one: "SELECT " + orderSum(c) + " FROM " + theirs,
	}
	s.rankings = append(s.rankings, k)
	cut := Cut{Measure: k.measure, Low: r.low, Share: r.share}
	s.cuts = append(s.cuts, cut)
	n := s.bind(cut, func(_ time.Time, cuts Thresholds) any { return cuts[cut] })
	return membershipIn{query: fmt.Sprintf("SELECT o.customer_id FROM ranked o WHERE o.ns = $1 AND o.ranking = %s AND o.amount %s $%d", s.text(k.measure), r.compare(), n)}, nil
}

// broken are the rankings that could not be kept: the segments that ask for them cannot be refreshed.
type broken map[string]error

// of is the error of one of the rankings of a query.
func (b broken) of(q *Query) error {
	for _, k := range q.rankings {
		if err := b[k.measure]; err != nil {
			return err
		}
	}
	return nil
}

// keepCuts brings all that queries are cut by up to date, and gives the values. factsOnly leaves out what
// changes by time passing.
func keepCuts(ctx context.Context, tx *store.Tx, ns string, queries []*Query, feed feed, now time.Time, factsOnly bool) (Thresholds, broken, error) {
	rankings, asked := map[string]*ranking{}, map[string][]Cut{}
	var cuts []Cut
	for _, q := range queries {
		for _, k := range q.rankings {
			rankings[k.measure] = k
		}
		for _, cut := range q.cuts {
			if kept(cut.Measure) {
				asked[cut.Measure] = append(asked[cut.Measure], cut)
			} else {
				cuts = append(cuts, cut)
			}
		}
	}
	values, err := keepThresholds(ctx, tx, ns, compact(cuts))
	if err != nil {
		return nil, nil, err
	}
	failed := broken{}
	for _, measure := range slices.Sorted(maps.Keys(rankings)) { // all lock them in the same order
		err := tx.Savepoint(ctx, func() error {
			size, err := rankings[measure].keep(ctx, tx, ns, feed, now, factsOnly)
			for _, cut := range compact(asked[measure]) {
				if err == nil {
					values[cut], err = cut.ofRanking(ctx, tx, ns, size)
				}
			}
			return err
		})
		if err != nil {
			failed[measure] = fmt.Errorf("keep the ranking by %s: %w", measure, store.WithoutData(err))
		}
	}
	return values, failed, nil
}

// ofRanking is the amount of the last one within, where so many are ranked.
func (c Cut) ofRanking(ctx context.Context, q store.Querier, ns string, size int64) (value sql.NullInt64, err error) {
	order := "DESC"
	if c.Low {
		order = "ASC"
	}
	err = q.QueryRow(ctx, `SELECT amount FROM ranked WHERE ns = $1 AND ranking = $2 ORDER BY amount `+order+` LIMIT 1 OFFSET $3`,
		ns, c.Measure, max(c.Share*size-1, 0)/wholeShare).Scan(&value)
	if store.IsNotFound(err) {
		return sql.NullInt64{}, nil
	}
	return value, err
}

// keep brings a ranking up to date, at the cost of whom orders were learnt of and who had one that left
// the window, and gives how many are ranked.
func (k *ranking) keep(ctx context.Context, tx *store.Tx, ns string, feed feed, now time.Time, factsOnly bool) (size int64, err error) {
	if _, err := tx.Exec(ctx, `INSERT INTO rankings (ns, ranking, seq, at, built_at, size) VALUES ($1, $2, -1, 0, 0, 0) ON CONFLICT (ns, ranking) DO NOTHING`, ns, k.measure); err != nil {
		return 0, err
	}
	var seq, atMillis, builtMillis int64
	err = tx.QueryRow(ctx, `SELECT seq, at, built_at, size FROM rankings WHERE ns = $1 AND ranking = $2`+tx.Dialect().ForUpdate(), ns, k.measure).Scan(&seq, &atMillis, &builtMillis, &size)
	if store.IsNotFound(err) { // dropped in between
		err = errors.Join(store.ErrRetry, err)
	}
	if err != nil {
		return 0, err
	}
	at, built := store.Time(atMillis), store.Time(builtMillis)
	if seq < feed.completeFrom || now.Before(at) || !now.Before(built.Add(fullEvery)) {
		return k.build(ctx, tx, ns, feed, now)
	}
	to := now
	if factsOnly {
		to = at
	}
	n, err := k.gather(ctx, tx, ns, seq, at, to)
	if err != nil {
		return 0, err
	}
	if n > max(many, size/5) {
		return k.build(ctx, tx, ns, feed, now)
	}
	if n > 0 {
		more, err := k.recount(ctx, tx, ns, now)
		if err != nil {
			return 0, err
		}
		size += more
	}
	if seq == feed.seq && to.Equal(at) {
		return size, nil
	}
	_, err = tx.Exec(ctx, `UPDATE rankings SET seq = $3, at = $4, size = $5 WHERE ns = $1 AND ranking = $2`, ns, k.measure, feed.seq, store.Millis(to), size)
	return size, err
}

// build makes the ranking anew.
func (k *ranking) build(ctx context.Context, tx *store.Tx, ns string, feed feed, now time.Time) (int64, error) {
	if _, err := tx.Exec(ctx, `DELETE FROM recounted`); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM ranked WHERE ns = $1 AND ranking = $2`, ns, k.measure); err != nil {
		return 0, err
	}
	args := valuesOf(k.allArgs, now, nil)
	result, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO ranked (ns, ranking, customer_id, amount) SELECT CAST($1 AS TEXT), CAST($%d AS TEXT), x.customer_id, x.amount FROM (%s) x ORDER BY x.customer_id`,
		len(args)+1, k.all), append(args, k.measure)...)
	if err != nil {
		return 0, err
	}
	size, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `UPDATE rankings SET seq = $3, at = $4, built_at = $4, size = $5 WHERE ns = $1 AND ranking = $2`, ns, k.measure, feed.seq, store.Millis(now), size)
	return size, err
}

// gather fills recounted with those whose amount may be another.
func (k *ranking) gather(ctx context.Context, tx *store.Tx, ns string, seq int64, from, to time.Time) (n int64, err error) {
	add := func(query string, args ...any) {
		if err != nil {
			return
		}
		var result sql.Result
		if result, err = tx.Exec(ctx, `INSERT INTO recounted (customer_id) SELECT DISTINCT y.customer_id FROM (`+query+`) y WHERE TRUE ON CONFLICT (customer_id) DO NOTHING`, args...); err == nil {
			var more int64
			more, err = result.RowsAffected()
			n += more
		}
	}
	add(`SELECT customer_id FROM touched WHERE ns = $1 AND seq > $2 AND (kinds & $3) <> 0`, ns, seq, int64(store.TouchedOrders))
	for _, s := range k.window {
		query, args := s.customers(from, to)
		add(query, append([]any{ns}, args...)...)
	}
	return n, err
}

// recount gives those in recounted the amounts that they have now, empties it, and tells how many more are ranked.
func (k *ranking) recount(ctx context.Context, tx *store.Tx, ns string, now time.Time) (more int64, err error) {
	args := valuesOf(k.oneArgs, now, nil)
	if _, err := tx.Exec(ctx, fmt.Sprintf(`UPDATE recounted AS b SET amount = (%s),
		had = (SELECT a.amount FROM ranked a WHERE a.ns = $1 AND a.ranking = $%d AND a.customer_id = b.customer_id)`, k.one, len(args)+1), append(args, k.measure)...); err != nil {
		return 0, err
	}
	if err := tx.QueryRow(ctx, `SELECT COALESCE(SUM(CASE WHEN had IS NULL AND amount IS NOT NULL THEN 1 WHEN had IS NOT NULL AND amount IS NULL THEN -1 ELSE 0 END), 0) FROM recounted`).Scan(&more); err != nil {
		return 0, err
	}
	for _, statement := range []string{
		`DELETE FROM ranked WHERE ns = $1 AND ranking = $2 AND customer_id IN (SELECT customer_id FROM recounted WHERE had IS NOT NULL AND amount IS NULL)`,
		`INSERT INTO ranked (ns, ranking, customer_id, amount) SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), customer_id, amount FROM recounted
			WHERE amount IS NOT NULL AND (had IS NULL OR had <> amount) ON CONFLICT (ns, ranking, customer_id) DO UPDATE SET amount = excluded.amount`,
	} {
		if _, err := tx.Exec(ctx, statement, ns, k.measure); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `DELETE FROM recounted`)
	return more, err
}

// dropRankings drops those that no segment has asked for since.
func dropRankings(ctx context.Context, tx *store.Tx, ns string, since int64) error {
	measures, err := dropRows(ctx, tx, ns, since)
	if err != nil {
		return err
	}
	for _, measure := range measures {
		if _, err := tx.Exec(ctx, `DELETE FROM ranked WHERE ns = $1 AND ranking = $2`, ns, measure); err != nil {
			return err
		}
	}
	return nil
}

// dropRows comes first: whoever keeps a ranking holds its row, and one that was brought up to date meanwhile stays.
func dropRows(ctx context.Context, tx *store.Tx, ns string, since int64) (measures []string, err error) {
	rows, err := tx.Query(ctx, `DELETE FROM rankings WHERE ns = $1 AND seq < $2 RETURNING ranking`, ns, since)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var measure string
		if err := rows.Scan(&measure); err != nil {
			return nil, err
		}
		measures = append(measures, measure)
	}
	return measures, rows.Err()
}
