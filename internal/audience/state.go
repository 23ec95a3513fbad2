// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The modes of a refresh: everybody was looked at, or those for whom something had changed.
const (
	ModeFull        = "Full"
	ModeIncremental = "Incremental"
)

// Reach counts the members who can be sent a message, by kind of channel: an address, consent, no
// suppression.
type Reach struct{ Line, Email, SMS int64 }

// add counts n more customers who are reached by the channels of these bits.
func (r *Reach) add(bits, n int64) {
	for _, c := range []struct {
		bit   int64
		count *int64
	}{{store.ReachLINE, &r.Line}, {store.ReachEmail, &r.Email}, {store.ReachSMS, &r.SMS}} {
		if bits&c.bit != 0 {
			*c.count += n
		}
	}
}

func (r *Reach) plus(other Reach) {
	r.Line, r.Email, r.SMS = r.Line+other.Line, r.Email+other.Email, r.SMS+other.SMS
}

// State is what the last refresh of a segment found.
type State struct {
	// SpecHash is that of the match which the members fulfilled.
	SpecHash string
	// RefreshedAt is up to when what changes by time passing is in the membership.
	RefreshedAt time.Time
	// ChangedAt is when the numbers or the match changed the last time.
	ChangedAt time.Time
	Mode      string
	// Candidates is how many customers were looked at.
	Candidates int64
	Members    int64
	// Entered and Exited are those of the last refresh that changed the membership.
	Entered, Exited int64
	Reach           Reach
	// Duration of the refresh, on the machine's clock.
	Duration time.Duration
	// FullAt is when everybody was looked at the last time.
	FullAt time.Time
	// KeptSince is from when on it is known who came and left.
	KeptSince time.Time
}

// remembered is what a refresh needs of the one before, beside its State.
type remembered struct {
	State
	definition string
	seq        int64 // of the feed
	cuts       Thresholds
	base       int64 // how many were looked at when it was everybody
}

// State tells what the last refresh of a segment found, and whether there was one.
func (r *Refresher) State(ctx context.Context, ns, name string) (State, bool, error) {
	states, err := readStates(ctx, r.Store, `ns = $1 AND name = $2`, ns, name)
	if err != nil {
		return State{}, false, fmt.Errorf("read the state of segment %s: %w", name, err)
	}
	// A refresh under way holds a row that says nothing yet.
	state := states[name]
	return state.State, state.Mode != "", nil
}

// readStates reads the states of segments, by name. condition may end in a lock.
func readStates(ctx context.Context, q store.Querier, condition string, args ...any) (_ map[string]remembered, err error) {
	rows, err := q.Query(ctx, `SELECT name, spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us,
		definition, seq, cuts, full_at, base, kept_since, changed_at FROM segments WHERE `+condition, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[string]remembered{}
	for rows.Next() {
		var s remembered
		var name, cuts string
		var refreshed, full, kept, changed, micros int64
		if err := rows.Scan(&name, &s.SpecHash, &refreshed, &s.Mode, &s.Candidates, &s.Members, &s.Entered, &s.Exited,
			&s.Reach.Line, &s.Reach.Email, &s.Reach.SMS, &micros, &s.definition, &s.seq, &cuts, &full, &s.base, &kept, &changed); err != nil {
			return nil, err
		}
		s.RefreshedAt, s.Duration = store.Time(refreshed), time.Duration(micros)*time.Microsecond
		s.FullAt, s.KeptSince, s.ChangedAt = store.Time(full), store.Time(kept), store.Time(changed)
		if s.cuts, err = parseThresholds(cuts); err != nil {
			return nil, fmt.Errorf("the thresholds of segment %s: %w", name, err)
		}
		out[name] = s
	}
	return out, rows.Err()
}

// lockState makes the segment's row and holds it until the transaction ends, so that of two refreshes
// the second begins when the first is done.
func lockState(ctx context.Context, tx *store.Tx, ns, name string) (remembered, error) {
	lock := func() (remembered, bool, error) {
		states, err := readStates(ctx, tx, `ns = $1 AND name = $2`+tx.Dialect().ForUpdate(), ns, name)
		state, there := states[name]
		return state, there, err
	}
	state, there, err := lock()
	if err != nil || there {
		return state, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO segments (ns, name, spec_hash, refreshed_at, mode, candidates, members, entered, exited, reach_line, reach_email, reach_sms, duration_us)
		VALUES ($1, $2, '', 0, '', 0, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (ns, name) DO NOTHING`, ns, name)
	if err != nil {
		return remembered{}, err
	}
	if state, there, err = lock(); err == nil && !there { // deleted in between
		err = errors.Join(store.ErrRetry, sql.ErrNoRows)
	}
	return state, err
}

func writeState(ctx context.Context, tx *store.Tx, ns, name string, s remembered) error {
	_, err := tx.Exec(ctx, `UPDATE segments SET spec_hash = $3, refreshed_at = $4, mode = $5, candidates = $6, members = $7,
		entered = $8, exited = $9, reach_line = $10, reach_email = $11, reach_sms = $12, duration_us = $13,
		definition = $14, seq = $15, cuts = $16, full_at = $17, base = $18, kept_since = $19, changed_at = $20
		WHERE ns = $1 AND name = $2`, ns, name, s.SpecHash, store.Millis(s.RefreshedAt), s.Mode, s.Candidates, s.Members,
		s.Entered, s.Exited, s.Reach.Line, s.Reach.Email, s.Reach.SMS, s.Duration.Microseconds(),
		s.definition, s.seq, s.cuts.text(), store.Millis(s.FullAt), s.base, store.Millis(s.KeptSince), store.Millis(s.ChangedAt))
	return err
}

// storedCut is a Cut with its value, as a segment remembers it.
type storedCut struct {
	Cut
	Value *int64
}

func (t Thresholds) text() string {
	list := make([]storedCut, 0, len(t))
	for cut, value := range t {
		c := storedCut{Cut: cut}
		if value.Valid {
			c.Value = &value.Int64
		}
		list = append(list, c)
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // it is of numbers and texts
	}
	return string(text)
}

func parseThresholds(text string) (Thresholds, error) {
	out := Thresholds{}
	if text == "" {
		return out, nil
	}
	var list []storedCut
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	for _, c := range list {
		out[c.Cut] = sql.NullInt64{}
		if c.Value != nil {
			out[c.Cut] = sql.NullInt64{Int64: *c.Value, Valid: true}
		}
	}
	return out, nil
}

// Delete forgets a segment: its members, those it had, and its state.
func (r *Refresher) Delete(ctx context.Context, ns, name string) error {
	err := r.Store.Tx(ctx, func(tx *store.Tx) error {
		// The first waits for a refresh, which holds this row.
		for _, statement := range []string{
			`DELETE FROM segments WHERE ns = $1 AND name = $2`,
			`DELETE FROM memberships WHERE ns = $1 AND segment = $2`,
			`DELETE FROM past_memberships WHERE ns = $1 AND segment = $2`,
		} {
			if _, err := tx.Exec(ctx, statement, ns, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete segment %s: %w", name, err)
	}
	return nil
}

// Suspend keeps rounds from refreshing a segment. A refresh of its own ends that, and looks at everybody.
func (r *Refresher) Suspend(ctx context.Context, ns, name string) error {
	if _, err := r.Store.Exec(ctx, `UPDATE segments SET definition = '' WHERE ns = $1 AND name = $2 AND definition <> ''`, ns, name); err != nil {
		return fmt.Errorf("suspend segment %s: %w", name, err)
	}
	return nil
}

// Name is a segment of a shop.
type Name struct{ Namespace, Segment string }

// Known are all segments that there is a state of.
func (r *Refresher) Known(ctx context.Context) (_ []Name, err error) {
	rows, err := r.Store.Query(ctx, `SELECT ns, name FROM segments ORDER BY ns, name`)
	if err != nil {
		return nil, fmt.Errorf("list the segments: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var names []Name
	for rows.Next() {
		var n Name
		if err := rows.Scan(&n.Namespace, &n.Segment); err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, rows.Err()
}

// Forget drops what is known of who left the segments of a shop before a moment.
func (r *Refresher) Forget(ctx context.Context, ns string, before time.Time) error {
	states, err := readStates(ctx, r.Store, `ns = $1`, ns)
	if err != nil {
		return fmt.Errorf("list the segments of %s: %w", ns, err)
	}
	for name := range states {
		err := r.Store.Tx(ctx, func(tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE segments SET kept_since = $3 WHERE ns = $1 AND name = $2 AND kept_since > 0 AND kept_since < $3`, ns, name, store.Millis(before)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DELETE FROM past_memberships WHERE ns = $1 AND segment = $2 AND exited_at < $3`, ns, name, store.Millis(before))
			return err
		})
		if err != nil {
			return fmt.Errorf("forget who was in segment %s: %w", name, err)
		}
	}
	return nil
}
