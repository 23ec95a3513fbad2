// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// States of a message; the last five are ends.
const (
	StatePlanned   = "planned"
	StateSending   = "sending"
	StateSent      = "sent"
	StateFailed    = "failed"
	StateSkipped   = "skipped"
	StateCancelled = "cancelled"
	StateUnknown   = "unknown"
)

// errNotOurs is what Begin answers when the message may not be sent by this worker now: its lease
// went to another, it was cancelled, or the consent was withdrawn a moment ago.
var errNotOurs = errors.New("the message may not be sent by this worker now")

// ledgerBatch is how many entries one transaction of the ledger takes at most.
const ledgerBatch = 500

// A ledger writes beginnings and ends of sends. Workers hand in entries one by one; what has come
// together while the last transaction ran goes into the next one, so that each beginning is
// durable before its provider is called and yet a commit is shared by many.
type ledger struct {
	store *store.Store
	clock clock.PassiveClock
	in    chan *ledgerEntry
	done  chan struct{}
}

// lease names the shard under which a worker writes. Entries of a lease that was lost are refused.
type lease struct {
	shard string
	fence int64
}

type ledgerEntry struct {
	lease lease
	id    string
	// begin asks to be the one who sends; resolve, to be the one who finds out.
	begin, resolve bool
	ns             string
	links          []content.ShortLink
	end            end
	reply          chan error
}

// end is how a message goes on: one of the five ends, or planned again.
type end struct {
	state, reason, providerID string
	parts                     int
	cost                      money.Amount
	at                        time.Time
	// suppress, where set, is an address that must not be used again.
	suppress *suppression
}

type suppression struct{ ns, channel, address, reason string }

// newLedger starts the ledger's writers, which end when in is closed.
func newLedger(st *store.Store, clk clock.PassiveClock) *ledger {
	l := &ledger{store: st, clock: clk, in: make(chan *ledgerEntry, 4*ledgerBatch), done: make(chan struct{})}
	go l.run()
	return l
}

// close writes what was handed in, and ends.
func (l *ledger) close() {
	close(l.in)
	<-l.done
}

// Begin marks a message as being sent, durably, with the short links that are in it. errNotOurs
// means that it must not be sent.
func (l *ledger) Begin(ctx context.Context, of lease, m *letter, resolve bool) error {
	return l.write(ctx, &ledgerEntry{lease: of, id: m.id, begin: true, resolve: resolve, ns: m.ref.Namespace, links: m.short})
}

// End records how a message goes on. It waits until that is durable: the worker's next message
// can be begun meanwhile by others, and the share of a commit is small.
func (l *ledger) End(ctx context.Context, of lease, id string, e end) error {
	return l.write(ctx, &ledgerEntry{lease: of, id: id, end: e})
}

func (l *ledger) write(ctx context.Context, e *ledgerEntry) error {
	e.reply = make(chan error, 1)
	select {
	case l.in <- e:
	case <-ctx.Done():
		return ctx.Err()
	}
	// Not cut short by ctx: the entry is on its way, and what became of it matters.
	return <-e.reply
}

func (l *ledger) run() {
	defer close(l.done)
	for first := range l.in {
		batch := append(make([]*ledgerEntry, 0, ledgerBatch), first)
	gather:
		for len(batch) < ledgerBatch {
			select {
			case e, ok := <-l.in:
				if !ok {
					break gather
				}
				batch = append(batch, e)
			default:
				break gather
			}
		}
		l.flush(batch)
	}
}

// flush writes a batch. A store that is away is asked again: an end that a provider gave must not
// be lost as long as this process lives, and nothing new begins meanwhile.
func (l *ledger) flush(batch []*ledgerEntry) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		// The writing is not bound to a worker's context, or a shutdown would lose the ends.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		begun, err := l.commit(ctx, batch)
		cancel()
		if err == nil {
			for _, e := range batch {
				if e.begin && !begun[e.id] {
					e.reply <- errNotOurs
				} else {
					e.reply <- nil
				}
			}
			return
		}
		batch = dropBegins(batch, err)
		if len(batch) == 0 {
			return
		}
		time.Sleep(wait)
	}
}

// dropBegins answers the beginnings with err, since nothing was begun, and keeps the ends.
func dropBegins(batch []*ledgerEntry, err error) []*ledgerEntry {
	var ends []*ledgerEntry
	for _, e := range batch {
		if e.begin {
			e.reply <- fmt.Errorf("marking a message as being sent: %w", err)
		} else {
			ends = append(ends, e)
		}
	}
	return ends
}

func (l *ledger) commit(ctx context.Context, batch []*ledgerEntry) (begun map[string]bool, err error) {
	err = l.store.Tx(ctx, func(tx *store.Tx) error {
		begun = map[string]bool{}
		if err := l.ends(ctx, tx, batch); err != nil {
			return err
		}
		byLease := map[lease][2][]string{}
		for _, e := range batch {
			if e.begin {
				if err := keepLinks(ctx, tx, e); err != nil {
					return err
				}
				ids := byLease[e.lease]
				if e.resolve {
					ids[1] = append(ids[1], e.id)
				} else {
					ids[0] = append(ids[0], e.id)
				}
				byLease[e.lease] = ids
			}
		}
		for of, ids := range byLease {
			if err := l.begins(ctx, tx, of, ids[0], beginSQL, begun); err != nil {
				return err
			}
			if err := l.begins(ctx, tx, of, ids[1], resolveSQL, begun); err != nil {
				return err
			}
		}
		return nil
	})
	return begun, err
}

func keepLinks(ctx context.Context, tx *store.Tx, e *ledgerEntry) error {
	for _, s := range e.links {
		_, err := tx.Exec(ctx, `INSERT INTO links (code, ns, message_id, kind, url) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO NOTHING`,
			s.Code, e.ns, e.id, string(rune(s.Kind)), s.URL)
		if err != nil {
			return fmt.Errorf("keeping a short link: %w", err)
		}
	}
	return nil
}

// The lease must still be this worker's, and consent must still be given: both are decided here,
// in the transaction that lets the message go.
const (
	beginSQL = `UPDATE messages SET state = 'sending', fence = $2, attempts = attempts + 1, begun_at = $3
WHERE state = 'planned'
  AND EXISTS (SELECT 1 FROM shards h WHERE h.id = $1 AND h.fence = $2 AND h.state = 'open')
  AND EXISTS (SELECT 1 FROM consents c WHERE c.ns = messages.ns AND c.customer_id = messages.customer_id
              AND c.channel = messages.kind AND c.state = 'granted')
  AND shard = $1 AND id `
	resolveSQL = `UPDATE messages SET fence = $2, attempts = attempts + 1, begun_at = COALESCE(begun_at, $3)
WHERE state = 'sending'
  AND EXISTS (SELECT 1 FROM shards h WHERE h.id = $1 AND h.fence = $2 AND h.state = 'open')
  AND shard = $1 AND id `
)

func (l *ledger) begins(ctx context.Context, tx *store.Tx, of lease, ids []string, query string, begun map[string]bool) error {
	if len(ids) == 0 {
		return nil
	}
	d := tx.Dialect()
	rows, err := tx.Query(ctx, query+d.AnyUUID(4)+` RETURNING id`,
		of.shard, of.fence, time.Now().UnixMilli(), store.List(d, ids))
	if err != nil {
		return fmt.Errorf("marking messages as being sent: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("reading which messages were marked: %w", err)
		}
		begun[id] = true
	}
	return rows.Err()
}

var endTypes = []string{"UUID", "BIGINT", "TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT"}

func (l *ledger) ends(ctx context.Context, tx *store.Tx, batch []*ledgerEntry) error {
	var rows [][]any
	for _, e := range batch {
		if e.begin {
			continue
		}
		rows = append(rows, []any{
			e.id, e.lease.fence, e.end.state, e.end.reason, nullable(e.end.providerID),
			e.end.parts, int64(e.end.cost), store.NullMillis(e.end.at),
		})
		// An address that is none cannot be kept from being used, nor is it in need of that.
		if s := e.end.suppress; s != nil && isAddress(s) {
			if err := tx.Suppress(ctx, s.ns, s.channel, s.address, s.reason, l.clock.Now()); err != nil {
				return err
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	values, args := valuesOf(tx.Dialect(), nil, endTypes, rows)
	// A callback may have told of the message before the provider's answer came: what it said stays.
	_, err := tx.Exec(ctx, `WITH v (id, fence, state, reason, provider_id, parts, cost, ended_at) AS (VALUES `+values+`)
UPDATE messages SET state = v.state, reason = v.reason,
  provider_id = COALESCE(v.provider_id, messages.provider_id),
  parts = v.parts, cost = v.cost, ended_at = v.ended_at,
  begun_at = CASE WHEN v.state = 'planned' THEN NULL ELSE messages.begun_at END
FROM v
WHERE messages.id = v.id AND messages.state IN ('planned', 'sending')
  AND (messages.fence = v.fence OR messages.state = 'planned' AND EXISTS (
    SELECT 1 FROM shards h WHERE h.id = messages.shard AND h.fence = v.fence))`, args...)
	if err != nil {
		return fmt.Errorf("recording what became of messages: %w", err)
	}
	return nil
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func isAddress(s *suppression) bool {
	_, err := store.NormalizeAddress(s.channel, s.address)
	return err == nil
}
