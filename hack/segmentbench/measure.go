// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// statement is something to ask or to do, under settings of PostgreSQL's planner.
type statement struct {
	SQL      string `json:"sql"`
	Settings string `json:"settings,omitempty"`
	// args are the arguments, where there are any, and may take something to find out.
	args func(ctx context.Context, q store.Querier) ([]any, error)
}

func (s *statement) arguments(ctx context.Context, q store.Querier) ([]any, error) {
	if s.args == nil {
		return nil, nil
	}
	return s.args(ctx, q)
}

// planner is what a statement by hand may set. Every text is planned anew, as PostgreSQL would otherwise
// keep the plan that it made under other settings.
var planner = map[string]string{
	// What a refresh sets (internal/audience).
	"refresh": `set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true)`,
	"serial": `set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true),
		set_config('max_parallel_workers_per_gather', '0', true)`,
	// PostgreSQL takes a parallel scan and a hash where the covering index in its order is faster.
	"covering": `set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true), set_config('work_mem', '64MB', true),
		set_config('max_parallel_workers_per_gather', '0', true), set_config('enable_seqscan', 'off', true)`,
}

const ofRefresh = "refresh"

// settingsFor are those to try.
func settingsFor(dialect store.Dialect) []string {
	if dialect == store.SQLite {
		return []string{""}
	}
	return []string{"covering", "serial", ofRefresh}
}

// count asks for the number of rows, within a time, or as long as it takes where that is zero.
func count(ctx context.Context, db *store.Store, s statement, limit time.Duration) (rows int64, took time.Duration, err error) {
	err = db.Tx(ctx, func(tx *store.Tx) error {
		if err := prepare(ctx, tx, s.Settings, limit); err != nil {
			return err
		}
		began := time.Now()
		defer func() { took = time.Since(began) }()
		args, err := s.arguments(ctx, tx)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT count(*) FROM (\n"+s.SQL+"\n) q", args...).Scan(&rows)
	})
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, s.SQL)
	}
	return rows, took, err
}

func prepare(ctx context.Context, tx *store.Tx, settings string, limit time.Duration) error {
	if tx.Dialect() == store.SQLite {
		return nil
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT %s, set_config('statement_timeout', '%d', true)", planner[settings], limit.Milliseconds())); err != nil {
		return fmt.Errorf("set up the planner: %w", err)
	}
	return nil
}

// tooLong tells that a statement was cancelled because it took longer than its limit.
func tooLong(err error) bool {
	var postgres *pgconn.PgError
	return errors.As(err, &postgres) && postgres.Code == "57014"
}

// best is the fastest of many ways to ask the same.
type best struct {
	statement
	// way is its place among the ways that were tried.
	way     int
	Members int64
	Took    time.Duration
}

// errDiffer says that two ways of asking the same do not find as many.
var errDiffer = errors.New("two statements by hand find different numbers of members")

// fastest tries every way under all settings, two times each: once may be cold. What takes much longer
// than the fastest so far is given up.
func fastest(ctx context.Context, db *store.Store, ways []string) (best, error) {
	var found *best
	for way, text := range ways {
		for _, settings := range settingsFor(db.Dialect()) {
			s := statement{SQL: text, Settings: settings}
			for range 2 {
				var limit time.Duration
				if found != nil {
					limit = max(3*found.Took/2, 200*time.Millisecond)
				}
				rows, took, err := count(ctx, db, s, limit)
				if tooLong(err) {
					break
				}
				if err != nil {
					return best{}, err
				}
				switch {
				case found == nil:
					found = &best{s, way, rows, took}
				case rows != found.Members:
					return best{}, fmt.Errorf("%w: %d\n%s\n%d\n%s", errDiffer, found.Members, found.SQL, rows, s.SQL)
				case took < found.Took:
					found = &best{s, way, rows, took}
				}
				if 2*took > 3*found.Took {
					break
				}
			}
		}
	}
	if found == nil {
		return best{}, errors.New("there is no statement by hand")
	}
	return *found, nil
}

// enough is how long it takes at most to measure two things again and again, once they were measured twice.
const enough = 10 * time.Second

// inTurns measures two things k times each, one after the other, and gives the fastest of each: what
// else the machine does slows down both.
func inTurns(k int, one, other func() (time.Duration, error)) (first, second time.Duration, err error) {
	first, second = time.Hour, time.Hour
	began := time.Now()
	for i := 0; i < k && (i < 2 || time.Since(began) < enough); i++ {
		took, err := one()
		if err != nil {
			return 0, 0, err
		}
		first = min(first, took)
		if took, err = other(); err != nil {
			return 0, 0, err
		}
		second = min(second, took)
	}
	return first, second, nil
}
