// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// States of a run.
const (
	RunEnrolling = "enrolling"
	RunPlanning  = "planning"
	RunPlanned   = "planned" // its Job is still to be made
	RunRunning   = "running"
	RunComplete  = "complete"
	RunCancelled = "cancelled"
)

// Run is one run of a schedule.
type Run struct {
	Name  string
	Slot  time.Time
	State string
	// Reason is why it is held, or was stopped.
	Reason string
	Shards int
	// Runner is who works it off, RunnerManager or RunnerJob.
	Runner    string
	Completed time.Time
}

// Runs gives the runs of a Scenario that are under way, and the latest one, by slot.
func (e *Engine) Runs(ctx context.Context, ref Ref) ([]Run, error) {
	rows, err := e.store.Query(ctx, `SELECT run, slot_at, state, reason, shards, completed_at,
  COALESCE((SELECT h.runner FROM shards h WHERE h.ns = runs.ns AND h.scenario = runs.scenario AND h.run = runs.run AND h.idx = 0), '') FROM runs
WHERE ns = $1 AND scenario = $2 AND (state IN ('enrolling', 'held', 'planning', 'planned', 'running')
  OR slot_at = (SELECT MAX(slot_at) FROM runs WHERE ns = $1 AND scenario = $2))
ORDER BY slot_at`, ref.Namespace, ref.Name)
	if err != nil {
		return nil, fmt.Errorf("listing the runs of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	defer rows.Close()
	var out []Run
	for rows.Next() {
		var r Run
		var slot int64
		var completed sql.NullInt64
		if err := rows.Scan(&r.Name, &slot, &r.State, &r.Reason, &r.Shards, &completed, &r.Runner); err != nil {
			return nil, fmt.Errorf("reading the runs of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		r.Slot, r.Completed = store.Time(slot), store.NullTime(completed)
		out = append(out, r)
	}
	return out, rows.Err()
}

// DoneShards gives the indexes of a run that are worked off, in order.
func (e *Engine) DoneShards(ctx context.Context, ref Ref, run string) ([]int, error) {
	rows, err := e.store.Query(ctx, `SELECT idx FROM shards WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'done' ORDER BY idx`,
		ref.Namespace, ref.Name, run)
	if err != nil {
		return nil, fmt.Errorf("reading the shards of run %s: %w", run, err)
	}
	defer rows.Close()
	var done []int
	for rows.Next() {
		var idx int
		if err := rows.Scan(&idx); err != nil {
			return nil, fmt.Errorf("reading the shards of run %s: %w", run, err)
		}
		done = append(done, idx)
	}
	return done, rows.Err()
}

// MissedSlot is a slot that will not run.
type MissedSlot struct {
	Time   time.Time
	Reason string
}

// LastMissed gives the latest slot that was missed, if any.
func (e *Engine) LastMissed(ctx context.Context, ref Ref) (*MissedSlot, error) {
	var at int64
	var m MissedSlot
	err := e.store.QueryRow(ctx, `SELECT slot_at, reason FROM slots WHERE ns = $1 AND scenario = $2 AND state = 'missed' ORDER BY slot_at DESC LIMIT 1`,
		ref.Namespace, ref.Name).Scan(&at, &m.Reason)
	if store.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the missed slots of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	m.Time = store.Time(at)
	return &m, nil
}

// ChannelsOf names the ChannelConfigs that a Scenario sends through.
func (e *Engine) ChannelsOf(ref Ref) []Ref {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.armed[ref]
	if a == nil {
		return nil
	}
	var out []Ref
	for _, name := range a.Compiled.Journey.Channels() {
		out = append(out, Ref{ref.Namespace, name})
	}
	return out
}

const completeSQL = `SELECT ns, scenario, run FROM runs WHERE state = 'running'
  AND state IN ('enrolling', 'held', 'planning', 'planned', 'running') -- as the index has it
  AND NOT EXISTS (
  SELECT 1 FROM shards h WHERE h.ns = runs.ns AND h.scenario = runs.scenario AND h.run = runs.run AND h.state IN ('held', 'open'))`

// completeRuns ends the runs all of whose shards are done, and says which.
func (e *Engine) completeRuns(ctx context.Context) ([]Ref, error) {
	rows, err := e.store.Query(ctx, completeSQL)
	if err != nil {
		return nil, fmt.Errorf("finding runs that are complete: %w", err)
	}
	defer rows.Close()
	var found []runKey
	for rows.Next() {
		var k runKey
		if err := rows.Scan(&k.ref.Namespace, &k.ref.Name, &k.run); err != nil {
			return nil, fmt.Errorf("finding runs that are complete: %w", err)
		}
		found = append(found, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("finding runs that are complete: %w", err)
	}
	var refs []Ref
	for _, k := range found {
		_, err := e.store.Exec(ctx, `UPDATE runs SET state = 'complete', completed_at = $4 WHERE ns = $1 AND scenario = $2 AND run = $3 AND state = 'running'`,
			k.ref.Namespace, k.ref.Name, k.run, store.Millis(e.clock.Now()))
		if err != nil {
			return nil, fmt.Errorf("completing run %s: %w", k.run, err)
		}
		refs = append(refs, k.ref)
	}
	return refs, nil
}
