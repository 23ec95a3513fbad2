// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The modes of a refresh.
const (
	ModeFull = "Full"
)

// Reach counts the members who can be sent a message, by kind of channel: an address, consent, no
// suppression.
type Reach struct{ Line, Email, SMS int64 }

// State is what the last refresh of a segment found.
type State struct {
	// SpecHash is that of the match which the members fulfilled.
	SpecHash    string
	RefreshedAt time.Time
	Mode        string
	// Candidates is how many customers were looked at.
	Candidates int64
	Members    int64
	// Entered and Exited are those of the last refresh that changed the membership.
	Entered, Exited int64
	Reach           Reach
	// Duration of the refresh, on the machine's clock.
	Duration time.Duration
}

// State tells what the last refresh of a segment found, and whether there was one.
func (r *Refresher) State(ctx context.Context, ns, name string) (State, bool, error) {
	state, err := readState(ctx, r.Store, ns, name)
	if store.IsNotFound(err) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("read the state of segment %s: %w", name, err)
	}
	// A refresh under way holds a row that says nothing yet.
	return state, state.Mode != "", nil
}

func readState(ctx context.Context, q store.Querier, ns, name string) (State, error) {
	var s State
	var refreshed, micros int64
	err := q.QueryRow(ctx, `SELECT spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us
		FROM segments WHERE ns = $1 AND name = $2`, ns, name).
		Scan(&s.SpecHash, &refreshed, &s.Mode, &s.Candidates, &s.Members, &s.Entered, &s.Exited, &s.Reach.Line, &s.Reach.Email, &s.Reach.SMS, &micros)
	s.RefreshedAt, s.Duration = store.Time(refreshed), time.Duration(micros)*time.Microsecond
	return s, err
}

// lockState makes the segment's row and holds it until the transaction ends, so that of two refreshes
// the second begins when the first is done.
func lockState(ctx context.Context, tx *store.Tx, ns, name string) (State, error) {
	_, err := tx.Exec(ctx, `INSERT INTO segments (ns, name, spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us)
		VALUES ($1, $2, '', 0, '', 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (ns, name) DO NOTHING`, ns, name)
	if err != nil {
		return State{}, err
	}
	var locked string
	if err := tx.QueryRow(ctx, `SELECT name FROM segments WHERE ns = $1 AND name = $2`+tx.Dialect().ForUpdate(), ns, name).Scan(&locked); err != nil {
		if store.IsNotFound(err) { // deleted in between
			err = errors.Join(store.ErrRetry, err)
		}
		return State{}, err
	}
	return readState(ctx, tx, ns, name)
}

func writeState(ctx context.Context, tx *store.Tx, ns, name string, s State) error {
	_, err := tx.Exec(ctx, `UPDATE segments SET spec_hash = $3, refreshed_at = $4, mode = $5, candidates = $6, members = $7,
		entered = $8, exited = $9, reach_line = $10, reach_email = $11, reach_sms = $12, duration_us = $13
		WHERE ns = $1 AND name = $2`, ns, name, s.SpecHash, store.Millis(s.RefreshedAt), s.Mode, s.Candidates, s.Members,
		s.Entered, s.Exited, s.Reach.Line, s.Reach.Email, s.Reach.SMS, s.Duration.Microseconds())
	return err
}

// Delete forgets a segment: its members and its state.
func (r *Refresher) Delete(ctx context.Context, ns, name string) error {
	err := r.Store.Tx(ctx, func(tx *store.Tx) error {
		// Waits for a refresh, which holds this row.
		if _, err := tx.Exec(ctx, `DELETE FROM segments WHERE ns = $1 AND name = $2`, ns, name); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM memberships WHERE ns = $1 AND segment = $2`, ns, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete segment %s: %w", name, err)
	}
	return nil
}
