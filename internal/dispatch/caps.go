// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// atMostUnsent is how long before it is sent a message may have been planned: as long as it is useful, and
// a night of quiet hours.
const atMostUnsent = usefulFor + 48*time.Hour

// had is a message that a customer got, is getting, or is about to.
type had struct {
	id, channel string
	at          time.Time
	// waiting says that it is planned and due.
	waiting  bool
	priority int
}

// restrict answers the beginnings of which a cap allows no more, in the transaction that lets the others
// go. It locks their customers, so that of two transactions the second counts what the first let go.
func (l *ledger) restrict(ctx context.Context, tx *store.Tx, batch []*ledgerEntry) error {
	capped := map[string][]*ledgerEntry{}
	for _, e := range batch {
		e.refusal = nil // of a try before
		if e.begin && !e.resolve && e.letter != nil && e.letter.capped() {
			capped[e.ns] = append(capped[e.ns], e)
		}
	}
	for _, ns := range slices.Sorted(maps.Keys(capped)) {
		if err := l.restrictIn(ctx, tx, ns, capped[ns]); err != nil {
			return fmt.Errorf("counting what customers had: %w", err)
		}
	}
	return nil
}

func (l *ledger) restrictIn(ctx context.Context, tx *store.Tx, ns string, entries []*ledgerEntry) error {
	now := l.clock.Now()
	var ids []string
	longest := time.Duration(0)
	for _, e := range entries {
		ids = append(ids, e.letter.customer)
		for _, c := range e.letter.allCaps() {
			longest = max(longest, c.Per)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if err := lockCustomers(ctx, tx, ns, ids); err != nil {
		return err
	}
	of, err := readHad(ctx, tx, ns, ids, now, now.Add(-longest-atMostUnsent))
	if err != nil {
		return err
	}
	planning, err := firstInPlanning(ctx, tx, ns)
	if err != nil {
		return err
	}
	// Who goes first does so here as well.
	slices.SortStableFunc(entries, func(a, b *ledgerEntry) int {
		return cmp.Or(cmp.Compare(b.letter.priority, a.letter.priority), a.letter.due.Compare(b.letter.due), cmp.Compare(a.id, b.id))
	})
	for _, e := range entries {
		m := e.letter
		if e.refusal = m.judge(of[m.customer], now); e.refusal == nil && planning > m.priority {
			e.refusal = errOthersFirst
		}
		if e.refusal == nil {
			of[m.customer] = append(of[m.customer], had{id: e.id, channel: m.channel, at: now})
		}
	}
	return nil
}

// allCaps are the channel's and the customer's own.
func (l *letter) allCaps() []Cap {
	if l.chosenCap == nil {
		return l.caps
	}
	return append(slices.Clone(l.caps), *l.chosenCap)
}

// judge says why a message may not go, if so, after what its customer had.
func (l *letter) judge(had []had, now time.Time) error {
	var wait error
	for i, c := range l.allCaps() {
		sent, ahead := 0, 0
		for _, h := range had {
			switch {
			case h.id == l.id || !c.Namespace && h.channel != l.channel:
			case h.waiting && h.priority > l.priority:
				ahead++
			case !h.waiting && now.Sub(h.at) < c.Per:
				sent++
			}
		}
		switch {
		case sent >= c.Messages && i >= len(l.caps):
			return errChosen
		case sent >= c.Messages:
			return errCapped
		case sent+ahead >= c.Messages:
			wait = errOthersFirst
		}
	}
	return wait
}

func lockCustomers(ctx context.Context, tx *store.Tx, ns string, ids []string) error {
	if tx.Dialect() == store.SQLite {
		return nil // which has one writer
	}
	_, err := tx.Exec(ctx, `SELECT id FROM customers WHERE ns = $1 AND id `+tx.Dialect().AnyText(2)+` ORDER BY id`+tx.Dialect().ForUpdate(),
		ns, store.List(tx.Dialect(), ids))
	return err
}

// readHad reads the messages of customers that were sent, may have been, or wait to be, and were planned
// since a moment.
func readHad(ctx context.Context, tx *store.Tx, ns string, ids []string, now, since time.Time) (_ map[string][]had, err error) {
	rows, err := tx.Query(ctx, `SELECT customer_id, id, channel, state, priority, COALESCE(ended_at, $4) FROM messages
WHERE ns = $1 AND customer_id `+tx.Dialect().AnyText(2)+` AND planned_at > $3 AND kind <> 'webhook'
  AND (state IN ('sending', 'sent', 'unknown') OR state = 'planned' AND due_at <= $4 AND COALESCE(not_before, 0) <= $4)`,
		ns, store.List(tx.Dialect(), ids), store.Millis(since), store.Millis(now))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[string][]had{}
	for rows.Next() {
		var customer, state string
		var h had
		var at int64
		if err := rows.Scan(&customer, &h.id, &h.channel, &state, &h.priority, &at); err != nil {
			return nil, err
		}
		h.at, h.waiting = store.Time(at), state == StatePlanned
		out[customer] = append(out[customer], h)
	}
	return out, rows.Err()
}

// firstInPlanning is the highest priority of the runs that are being planned; below all where none is.
func firstInPlanning(ctx context.Context, tx *store.Tx, ns string) (priority int, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(MAX(priority), -1) FROM runs WHERE ns = $1 AND state IN ('enrolling', 'planning')
  AND state IN ('enrolling', 'held', 'planning', 'planned', 'running') -- as the index has it`, ns).Scan(&priority)
	return priority, err
}
