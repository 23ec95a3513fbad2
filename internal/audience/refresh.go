// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Refresher keeps the membership of segments.
type Refresher struct {
	Store *store.Store
	Clock clock.Clock
}

// Result is what a refresh did.
type Result struct {
	// State is as State would now read it.
	State
	// Entered and Exited count who came in and who left at this refresh.
	Entered, Exited int64
	// Changed tells whether the number of members, of those who can be reached, of those who came or
	// left, or the spec is not what it was before.
	Changed bool
}

// Refresh evaluates a segment over all customers and writes who came in and who left. Only the
// segment's own row is written where nobody did. Segments that it refers to are taken as they are.
// The error of a spec is an Unsupported or an Invalid.
func (r *Refresher) Refresh(ctx context.Context, ns, name string, spec *v1alpha1.SegmentSpec, shop Shop) (Result, error) {
	query, err := Compile(spec.Match, Env{Namespace: ns, Segment: name, Shop: shop, Dialect: r.Store.Dialect()})
	if err != nil {
		return Result{}, err
	}
	hash, err := SpecHash(spec, shop)
	if err != nil {
		return Result{}, err
	}
	var result Result
	err = r.Store.Tx(ctx, func(tx *store.Tx) error {
		result, err = r.refresh(ctx, tx, ns, name, hash, query)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("refresh segment %s: %w", name, err)
	}
	return result, nil
}

func (r *Refresher) refresh(ctx context.Context, tx *store.Tx, ns, name, hash string, query *Query) (Result, error) {
	// How long it takes is for people, and passes on their clock.
	machine := clock.Real()
	began := machine.Now()
	old, err := lockState(ctx, tx, ns, name)
	if err != nil {
		return Result{}, fmt.Errorf("lock its state: %w", err)
	}
	now := r.Clock.Now()
	apply := applyPostgres
	if tx.Dialect() == store.SQLite {
		apply = applySQLite
	}
	done, err := apply(ctx, tx, membership{ns: ns, segment: name, now: store.Millis(now), query: query.SQL, args: query.Args(now)})
	if err != nil {
		return Result{}, fmt.Errorf("evaluate it: %w", err)
	}
	state := State{SpecHash: hash, RefreshedAt: now.UTC(), Mode: ModeFull, Members: done.members, Entered: old.Entered, Exited: old.Exited}
	if done.entered+done.exited > 0 {
		state.Entered, state.Exited = done.entered, done.exited
	}
	if err := tx.QueryRow(ctx, query.BaseSQL, ns).Scan(&state.Candidates); err != nil {
		return Result{}, fmt.Errorf("count the customers: %w", err)
	}
	if state.Reach, err = reach(ctx, tx, ns, name); err != nil {
		return Result{}, fmt.Errorf("count who can be reached: %w", err)
	}
	state.Duration = machine.Since(began)
	if err := writeState(ctx, tx, ns, name, state); err != nil {
		return Result{}, fmt.Errorf("write its state: %w", err)
	}
	return Result{
		State: state, Entered: done.entered, Exited: done.exited,
		Changed: done.entered+done.exited > 0 || old.Mode == "" || old.SpecHash != hash || old.Members != state.Members || old.Reach != state.Reach,
	}, nil
}

// reach counts the members of a segment who can be sent a message.
func reach(ctx context.Context, tx *store.Tx, ns, name string) (reach Reach, err error) {
	const address = `CASE k.channel WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id WHEN 'sms' THEN c.phone END`
	rows, err := tx.Query(ctx, `SELECT k.channel, COUNT(*)
		FROM memberships m
		JOIN consents k ON k.ns = $1 AND k.customer_id = m.customer_id AND k.state = 'granted'
		JOIN customers c ON c.ns = $1 AND c.id = m.customer_id
		WHERE m.ns = $1 AND m.segment = $2 AND `+address+` <> ''
			AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = $1 AND x.channel = k.channel AND x.address = `+address+`)
		GROUP BY k.channel`, ns, name)
	if err != nil {
		return Reach{}, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var channel string
		var n int64
		if err := rows.Scan(&channel, &n); err != nil {
			return Reach{}, err
		}
		switch channel {
		case store.ChannelLINE:
			reach.Line = n
		case store.ChannelEmail:
			reach.Email = n
		case store.ChannelSMS:
			reach.SMS = n
		}
	}
	return reach, rows.Err()
}

// membership is a segment's membership as it should be.
type membership struct {
	ns, segment string
	now         int64
	query       string // selects id
	args        []any
}

// change is what making it so did.
type change struct{ members, entered, exited int64 }

// plannerSettings are PostgreSQL's for a refresh. Compiling a plan to machine code takes longer than
// these statements; a plan for whatever time and amounts come is not one for those there are; and a
// set of customers that does not fit is looked up one by one.
const plannerSettings = `SELECT set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true)`

// applyPostgres does it all in one statement, of which every part sees the members as they were before.
// It is written so that the planner has no choice which, made on old statistics, would compare
// everybody with everybody: a full join is never a nested loop, and an array is looked up in the index.
func applyPostgres(ctx context.Context, tx *store.Tx, m membership) (change, error) {
	if _, err := tx.Exec(ctx, plannerSettings); err != nil {
		return change{}, fmt.Errorf("set up the planner: %w", err)
	}
	n := len(m.args)
	var done change
	err := tx.QueryRow(ctx, fmt.Sprintf(`WITH wanted AS MATERIALIZED (
%[1]s
), differing AS MATERIALIZED (
  SELECT w.id AS came, m.customer_id AS went FROM wanted w
  FULL JOIN (SELECT customer_id FROM memberships WHERE ns = $1 AND segment = $%[2]d) m ON m.customer_id = w.id
  WHERE w.id IS NULL OR m.customer_id IS NULL
), exited AS (
  DELETE FROM memberships WHERE ns = $1 AND segment = $%[2]d
    AND customer_id = ANY (ARRAY(SELECT went FROM differing WHERE went IS NOT NULL))
  RETURNING 1
), entered AS (
  INSERT INTO memberships (ns, segment, customer_id, entered_at)
  SELECT $1, $%[2]d, came, $%[3]d FROM differing WHERE came IS NOT NULL
  RETURNING 1
)
SELECT (SELECT COUNT(*) FROM wanted), (SELECT COUNT(*) FROM entered), (SELECT COUNT(*) FROM exited)`, m.query, n+1, n+2),
		append(m.args, m.segment, m.now)...).Scan(&done.members, &done.entered, &done.exited)
	return done, err
}

// applySQLite keeps those wanted in a table of the connection's own, as statements that change
// something can't be part of another one.
func applySQLite(ctx context.Context, tx *store.Tx, m membership) (done change, err error) {
	rows := func(result sql.Result, err error) (int64, error) {
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
	if _, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS wanted (id TEXT PRIMARY KEY) WITHOUT ROWID`); err != nil {
		return change{}, err
	}
	// What a refresh that failed left is gone with its transaction.
	if done.members, err = rows(tx.Exec(ctx, "INSERT INTO temp.wanted (id)\n"+m.query, m.args...)); err != nil {
		return change{}, err
	}
	if done.exited, err = rows(tx.Exec(ctx, `DELETE FROM memberships WHERE ns = $1 AND segment = $2
		AND customer_id NOT IN (SELECT id FROM temp.wanted)`, m.ns, m.segment)); err != nil {
		return change{}, err
	}
	if done.entered, err = rows(tx.Exec(ctx, `INSERT INTO memberships (ns, segment, customer_id, entered_at)
		SELECT $1, $2, id, $3 FROM temp.wanted WHERE id NOT IN (SELECT customer_id FROM memberships WHERE ns = $1 AND segment = $2)`,
		m.ns, m.segment, m.now)); err != nil {
		return change{}, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM temp.wanted`)
	return done, err
}
