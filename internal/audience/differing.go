// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// compareCandidates fills differing with the candidates of whom the membership is not what it should be.
func (p *plan) compareCandidates(ctx context.Context, tx *store.Tx, now time.Time, cuts Thresholds) error {
	args := valuesOf(p.query.eachArgs, now, cuts)
	n := len(args)
	had := tx.Dialect().JSONText("b.memberships", n+1)
	_, err := tx.Exec(ctx, fmt.Sprintf(`WITH v AS MATERIALIZED (
  SELECT b.customer_id, b.reach, CAST(%[2]s AS SMALLINT) AS had, (b.known = 1 AND CAST($1 AS TEXT) <> '' AND %[1]s) IS TRUE AS wanted
  FROM candidates b
  WHERE (b.kinds & %[3]d) <> 0 OR (b.moved & %[4]d) <> 0
)
INSERT INTO differing (customer_id, had, reach)
SELECT v.customer_id, v.had, CASE WHEN v.wanted THEN v.reach END FROM v
WHERE v.wanted <> (v.had IS NOT NULL) OR v.wanted AND v.had <> v.reach`, p.query.each, had, int64(p.query.kinds), p.moved),
		append(args, tx.Dialect().JSONKey(p.name))...)
	return err
}

// compareAll fills differing with everybody of whom the membership is not what it should be. Who stays
// keeps the reach that is known of them, unless anew.
//
// For PostgreSQL it is written so that no plan, not even one based on old statistics, would compare
// everybody with everybody: a full join is never a nested loop.
func (p *plan) compareAll(ctx context.Context, tx *store.Tx, now time.Time, cuts Thresholds, anew bool) error {
	args := p.query.Args(now, cuts)
	segment := fmt.Sprintf("$%d", len(args)+1)
	args = append(args, p.name)
	reach := "CASE WHEN w.id IS NOT NULL THEN COALESCE((SELECT c.reach FROM customers c WHERE c.ns = $1 AND c.id = w.id), 0) END"
	also := ""
	if anew {
		also = " OR h.reach <> (SELECT c.reach FROM customers c WHERE c.ns = $1 AND c.id = w.id)"
	}
	query := `WITH wanted AS MATERIALIZED (
` + p.query.SQL + `
)
INSERT INTO differing (customer_id, had, reach)
SELECT COALESCE(w.id, h.customer_id), h.reach, ` + reach + ` FROM wanted w
FULL JOIN (SELECT customer_id, reach FROM memberships WHERE ns = $1 AND segment = ` + segment + `) h ON h.customer_id = w.id
WHERE w.id IS NULL OR h.customer_id IS NULL` + also
	if tx.Dialect() == store.SQLite {
		// Which would look through one for each row of the other.
		query = `WITH wanted AS MATERIALIZED (
` + p.query.SQL + `
)
INSERT INTO differing (customer_id, had, reach)
SELECT w.id, h.reach, ` + reach + ` FROM wanted w
LEFT JOIN memberships h ON h.ns = $1 AND h.segment = ` + segment + ` AND h.customer_id = w.id
WHERE h.customer_id IS NULL` + also + `
UNION ALL
SELECT h.customer_id, h.reach, NULL FROM memberships h
WHERE h.ns = $1 AND h.segment = ` + segment + ` AND h.customer_id NOT IN (SELECT id FROM wanted)`
	}
	if _, err := tx.Exec(ctx, query, args...); err != nil {
		return err
	}
	if anew {
		return nil
	}
	// Of whom something was learnt since, the reach may be another.
	_, err := tx.Exec(ctx, `INSERT INTO differing (customer_id, had, reach)
		SELECT h.customer_id, h.reach, c.reach FROM (SELECT DISTINCT customer_id FROM touched WHERE ns = $1 AND seq > $3 AND (kinds & $4) <> 0) t
		JOIN memberships h ON h.ns = $1 AND h.segment = $2 AND h.customer_id = t.customer_id
		JOIN customers c ON c.ns = $1 AND c.id = t.customer_id
		WHERE h.reach <> c.reach
		ON CONFLICT (customer_id) DO NOTHING`, p.ns, p.name, p.state.seq, int64(store.TouchedReach))
	return err
}

// change is what making it so did.
type change struct {
	entered, exited int64
	reach           Reach
}

// apply makes the membership what differing says, and empties it.
func (p *plan) apply(ctx context.Context, tx *store.Tx, now time.Time) (change, error) {
	done, moved, err := differing(ctx, tx)
	if err != nil || done.entered+done.exited+moved == 0 {
		return done, err
	}
	at := store.Millis(now)
	of := func(which string) string {
		if tx.Dialect() == store.Postgres {
			// Looked up one by one, whatever is believed of a segment that was just filled. Nobody else writes
			// to it meanwhile.
			return `WHERE ctid = ANY (ARRAY(SELECT h.ctid FROM differing d CROSS JOIN LATERAL (
				SELECT x.ctid FROM memberships x WHERE x.ns = $1 AND x.segment = $2 AND x.customer_id = d.customer_id OFFSET 0) h WHERE ` + which + `))`
		}
		return "WHERE ns = $1 AND segment = $2 AND customer_id IN (SELECT customer_id FROM differing WHERE " + which + ")"
	}
	gone := "FROM memberships " + of("reach IS NULL")
	const past = "INSERT INTO past_memberships (ns, segment, exited_at, customer_id, entered_at) SELECT ns, segment, CAST($3 AS BIGINT), customer_id, entered_at "
	leave, forget := past+gone+" ON CONFLICT DO NOTHING", "DELETE "+gone
	if tx.Dialect() == store.Postgres {
		// Which finds each row once for both.
		leave, forget = "WITH gone AS ("+forget+" RETURNING *) "+past+"FROM gone ON CONFLICT DO NOTHING", ""
	}
	for _, part := range []struct {
		rows      int64
		statement string
		args      []any
	}{
		{done.exited, leave, []any{p.ns, p.name, at}},
		{done.exited, forget, []any{p.ns, p.name}},
		{done.entered, `INSERT INTO memberships (ns, segment, customer_id, entered_at, reach)
			SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), customer_id, CAST($3 AS BIGINT), reach FROM differing WHERE had IS NULL`, []any{p.ns, p.name, at}},
		{moved, `UPDATE memberships SET reach = (SELECT d.reach FROM differing d WHERE d.customer_id = memberships.customer_id) ` + of("had IS NOT NULL AND reach IS NOT NULL"), []any{p.ns, p.name}},
	} {
		if part.rows == 0 || part.statement == "" {
			continue
		}
		if _, err := tx.Exec(ctx, part.statement, part.args...); err != nil {
			return change{}, fmt.Errorf("write the membership: %w", err)
		}
	}
	if err := p.tell(ctx, tx, done); err != nil {
		return change{}, err
	}
	if err := p.arrive(ctx, tx, done, at); err != nil {
		return change{}, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM differing`)
	return done, err
}

// differing counts who comes, who leaves, whose reach is another, and what that makes of the reach.
func differing(ctx context.Context, tx *store.Tx) (done change, moved int64, err error) {
	rows, err := tx.Query(ctx, `SELECT COALESCE(had, -1), COALESCE(reach, -1), COUNT(*) FROM differing GROUP BY had, reach`)
	if err != nil {
		return change{}, 0, fmt.Errorf("count who differs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var had, reach, n int64
		if err := rows.Scan(&had, &reach, &n); err != nil {
			return change{}, 0, err
		}
		switch {
		case had < 0:
			done.entered += n
		case reach < 0:
			done.exited += n
		default:
			moved += n
		}
		done.reach.add(max(reach, 0), n)
		done.reach.add(max(had, 0), -n)
	}
	return done, moved, rows.Err()
}

// many is from how many on it is not told one by one who came and left: the segments that ask for it
// look at everybody.
const many = 10_000

// tell lets the segments that ask for the membership of this one look at who came and left.
func (p *plan) tell(ctx context.Context, tx *store.Tx, done change) error {
	if done.entered+done.exited == 0 {
		return nil
	}
	names, err := dependents(ctx, tx, p.ns, p.name)
	if err != nil || len(names) == 0 {
		return err
	}
	if done.entered+done.exited > many {
		for _, other := range p.waiting {
			other.state.seq = -1
		}
		_, err := tx.Exec(ctx, `UPDATE segments SET seq = -1 WHERE ns = $1 AND name `+tx.Dialect().AnyText(2), p.ns, store.List(tx.Dialect(), names))
		return err
	}
	if len(p.waiting) > 0 {
		if err := p.lookAtDiffering(ctx, tx); err != nil {
			return err
		}
	}
	return touchDiffering(ctx, tx, p.ns, store.TouchedSegment(p.name))
}

// arrive puts who came before the scenarios that let them in for it, and who left before those in which
// only members stay. Who is there when a segment is first filled was there before, as far as anybody
// knows.
func (p *plan) arrive(ctx context.Context, tx *store.Tx, done change, at int64) error {
	if done.entered+done.exited == 0 {
		return nil
	}
	came := "d.had IS NULL"
	if p.state.Mode == "" {
		came = "FALSE"
	}
	_, err := tx.Exec(ctx, `INSERT INTO arrivals (ns, scenario, id, kind, name, ref, customer_id, at, facts)
		SELECT l.ns, l.scenario, CAST($3 AS TEXT) || ':' || l.kind || ':' || d.customer_id, l.kind, l.name, CAST($3 AS TEXT), d.customer_id, CAST($4 AS BIGINT), `+tx.Dialect().JSONParam(5)+`
		FROM listeners l CROSS JOIN differing d WHERE l.ns = $1 AND l.name = $2 AND (l.kind = 'segment' AND `+came+` OR l.kind = 'exit' AND d.reach IS NULL)`,
		p.ns, p.name, strconv.FormatInt(at, 10), at, `{"segment":"`+p.name+`"}`)
	if err != nil {
		return fmt.Errorf("tell the scenarios that listen who came and left: %w", err)
	}
	return nil
}

const cameOrLeft = "(had IS NULL OR reach IS NULL)"

// lookAtDiffering makes candidates of who came and left, for the segments of this round that ask for it.
func (p *plan) lookAtDiffering(ctx context.Context, tx *store.Tx) error {
	if err := forgetDiffering(ctx, tx); err != nil {
		return err
	}
	p.batch++
	if _, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO looked_at (customer_id, batch, kinds, moved) SELECT customer_id, %d, %d, 0 FROM differing WHERE %s
		ON CONFLICT (customer_id) DO UPDATE SET batch = excluded.batch, kinds = looked_at.kinds | excluded.kinds`, p.batch, int64(store.TouchedSegment(p.name)), cameOrLeft)); err != nil {
		return err
	}
	// Others of the round may look at them too: names of segments share bits.
	return know(ctx, tx, p.ns, p.batch, readingsOf(p.rest), p.timed, p.failed)
}

func touchDiffering(ctx context.Context, tx *store.Tx, ns string, what store.Touched) (err error) {
	rows, err := tx.Query(ctx, `SELECT customer_id FROM differing WHERE `+cameOrLeft)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		tx.Touch(ns, id, what)
	}
	return rows.Err()
}

// dependents are the segments that ask for the membership of one.
func dependents(ctx context.Context, q store.Querier, ns, name string) (names []string, err error) {
	// As JSON writes a reference. What else has that text looks in vain.
	rows, err := q.Query(ctx, `SELECT name FROM segments WHERE ns = $1 AND definition LIKE $2 ORDER BY name`, ns, `%"segment":{"name":"`+name+`"}%`)
	if err != nil {
		return nil, fmt.Errorf("find the segments that refer to it: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var dependent string
		if err := rows.Scan(&dependent); err != nil {
			return nil, err
		}
		names = append(names, dependent)
	}
	return names, rows.Err()
}
