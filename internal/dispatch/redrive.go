// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// redriveBatch is how many messages one transaction plans again; they become a shard for each scenario.
const redriveBatch = 500

// Redrive says which messages to plan again.
type Redrive struct {
	Which
	// Unknown takes those as well that the provider may have.
	Unknown bool
	// DryRun changes nothing.
	DryRun bool
	// Limit is how many messages are looked at, the newest first.
	Limit int
}

// Redriven is what became of one of them.
type Redriven struct {
	Outgoing
	// Refused is why it is left as it is; empty for what was planned again.
	Refused string `json:"refused,omitempty"`
}

// errDry undoes what a dry run has done.
var errDry = errors.New("nothing is changed by a dry run")

// Run plans messages again that were not sent, with the keys that they have, so that a provider that knows a key
// tells, and the ledger lets each go once. Whoever sends them looks at consent, suppressions, caps and quiet hours
// again. each is told of every message that was looked at, and may end it with an error.
func (r Redrive) Run(ctx context.Context, st *store.Store, clk clock.PassiveClock, each func(Redriven) error) error {
	if len(r.States) == 0 && r.Key == "" {
		r.States = []string{StateFailed}
		if r.Unknown {
			r.States = append(r.States, StateUnknown)
		}
	}
	if !within(r.States, unsent) {
		return fmt.Errorf("--state: only messages that ended without being sent can be planned again: write %s, %s or %s", StateFailed, StateUnknown, StateSkipped)
	}
	of := r.Which
	of.after = &Outgoing{}
	for left := r.Limit; left > 0; {
		page, err := Messages(ctx, st, of, min(left, redriveBatch))
		if err != nil || len(page) == 0 {
			return err
		}
		done, err := r.batch(ctx, st, clk, page)
		if err != nil {
			return err
		}
		for i := range done {
			if err := each(done[i]); err != nil {
				return err
			}
		}
		if of.Key != "" {
			return nil
		}
		left -= len(page)
		of.after = &page[len(page)-1]
	}
	return nil
}

// batch decides about a page, and plans what may be sent again, in one transaction.
func (r Redrive) batch(ctx context.Context, st *store.Store, clk clock.PassiveClock, page []Outgoing) (done []Redriven, err error) {
	err = st.Tx(ctx, func(tx *store.Tx) error {
		done = nil
		// Locked in the order of their names, before their messages, as by whoever arms or deletes one.
		epochs := map[string]place{}
		for i := range page {
			epochs[page[i].Scenario] = place{}
		}
		for _, name := range slices.Sorted(maps.Keys(epochs)) {
			at, err := standing(ctx, tx, Ref{r.Namespace, name}, "")
			if err != nil {
				return err
			}
			epochs[name] = at
		}
		now, err := readUnsent(ctx, tx, r.Namespace, page)
		if err != nil {
			return err
		}
		again := map[string][]string{}
		for i := range page {
			m := Redriven{Outgoing: page[i]}
			u, known := now[m.Key]
			if known {
				m.State, m.Reason = u.state, u.reason
			}
			if m.Refused = u.refusal(&m.Outgoing, epochs[m.Scenario], r.Unknown); m.Refused == "" {
				again[m.Scenario] = append(again[m.Scenario], m.Key)
			}
			done = append(done, m)
		}
		for _, name := range slices.Sorted(maps.Keys(again)) {
			if err := planAgain(ctx, tx, clk.Now(), Ref{r.Namespace, name}, again[name]); err != nil {
				return err
			}
		}
		if r.DryRun {
			return errDry
		}
		return nil
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("planning messages again: %w", err)
	}
	return done, nil
}

// planAgain puts messages of a scenario into a shard of their own, which is open.
func planAgain(ctx context.Context, tx *store.Tx, now time.Time, ref Ref, ids []string) error {
	d, shard := tx.Dialect(), uuid.NewString()
	// Its fences are above all under which one of these messages was sent: what a worker still has to say that lost
	// its lease is about another try.
	var fence int64
	if err := tx.QueryRow(ctx, `SELECT MAX(fence) FROM messages WHERE id `+d.AnyUUID(1), store.List(d, ids)).Scan(&fence); err != nil {
		return fmt.Errorf("reading their fences: %w", err)
	}
	_, err := tx.Exec(ctx, `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
VALUES ($1, $2, $3, $4, 0, $5, 'open', '', 0, $6, $7)`, shard, ref.Namespace, ref.Name, shard, len(ids), fence, store.Millis(now))
	if err != nil {
		return fmt.Errorf("adding a shard: %w", err)
	}
	// What it has cost stays: an outcome that was lost is not counted twice. It counts among the newly planned for caps.
	_, err = tx.Exec(ctx, `UPDATE messages SET state = 'planned', reason = '', provider_id = NULL, ended_at = NULL, begun_at = NULL,
  lost_at = CASE WHEN state = 'unknown' THEN COALESCE(lost_at, begun_at) ELSE lost_at END,
  fence = 0, asked = 0, not_before = NULL, shard = $1, planned_at = $2, expires_at = $3
WHERE `+isUnsent+` AND id `+d.AnyUUID(4), shard, store.Millis(now), store.Millis(now.Add(usefulFor)), store.List(d, ids))
	if err != nil {
		return fmt.Errorf("writing them: %w", err)
	}
	return nil
}

// unsentMessage is what decides whether a message may be planned again.
type unsentMessage struct {
	state, reason       string
	known               bool // the customer is still in the store
	consent, suppressed string
	withdrawn           bool // the customer has withdrawn what it is for
	addressed           bool
	exited, stopped     string
	begun               time.Time // machine time of the first try; zero for none
}

// readUnsent reads and locks the messages of a page.
func readUnsent(ctx context.Context, tx *store.Tx, ns string, page []Outgoing) (_ map[string]unsentMessage, err error) {
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].Key
	}
	slices.Sort(ids)
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT m.id, m.state, m.reason, c.id IS NOT NULL, COALESCE(k.state, ''), COALESCE(w.state, '') = 'withdrawn',
  CASE m.kind WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id ELSE c.phone END IS NOT NULL, COALESCE(s.reason, ''),
  CASE WHEN e.state IN ('exited', 'cancelled') THEN e.reason ELSE '' END, COALESCE(r.reason, n.stopped, ''), COALESCE(m.lost_at, m.begun_at)
FROM messages m
LEFT JOIN customers c ON c.ns = m.ns AND c.id = m.customer_id
LEFT JOIN consents k ON k.ns = m.ns AND k.customer_id = m.customer_id AND k.channel = m.kind
LEFT JOIN purpose_consents w ON w.ns = m.ns AND w.customer_id = m.customer_id AND w.channel = m.kind AND w.purpose = m.purpose
LEFT JOIN suppressions s ON s.ns = m.ns AND s.channel = m.kind
  AND s.address = CASE m.kind WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id ELSE c.phone END
LEFT JOIN enrolments e ON e.ns = m.ns AND e.scenario = m.scenario AND e.epoch = m.epoch AND e.customer_id = m.customer_id AND e.entry = m.entry
LEFT JOIN runs r ON r.ns = m.ns AND r.scenario = m.scenario AND r.run = m.run
LEFT JOIN scenarios n ON n.ns = m.ns AND n.name = m.scenario AND m.run = ''
WHERE m.ns = $1 AND m.id `+d.AnyUUID(2)+` ORDER BY m.id`+d.ForUpdateOf("m"), ns, store.List(d, ids))
	if err != nil {
		return nil, fmt.Errorf("reading them: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := make(map[string]unsentMessage, len(page))
	for rows.Next() {
		var id string
		var u unsentMessage
		var begun sql.NullInt64
		if err := rows.Scan(&id, &u.state, &u.reason, &u.known, &u.consent, &u.withdrawn, &u.addressed, &u.suppressed, &u.exited, &u.stopped, &begun); err != nil {
			return nil, fmt.Errorf("reading them: %w", err)
		}
		u.begun = store.NullTime(begun)
		out[id] = u
	}
	return out, rows.Err()
}
