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
	"github.com/kaeru-dev/kaeru/internal/journey"
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

// triesTogether is how often a batch is tried before its entries are tried one by one.
const triesTogether = 5

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

// begin is one worker's wish to send one message. Two workers may wish for the same one at once,
// when a lease has just changed hands within a process.
type begin struct {
	lease lease
	id    string
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
	// letter is the message that is to begin, and refusal why it may not.
	letter  *letter
	refusal error
}

// end is how a message goes on: one of the five ends, or planned again.
type end struct {
	state, reason, providerID string
	// detail says more than reason, such as the value that was missing. It is stored with it.
	detail string
	parts  int
	cost   money.Amount
	at     time.Time
	// notBefore is when a message that is planned again may be looked at again.
	notBefore time.Time
	// instead is how a message goes out that is planned again as its step's fallback, and fellBack why.
	instead  *journey.Way
	fellBack string
	// suppress, where set, is an address that must not be used again.
	suppress *suppression
	// forgetReply deletes the reply token that the message went out with.
	forgetReply bool
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
	return l.write(ctx, &ledgerEntry{lease: of, id: m.id, begin: true, resolve: resolve, ns: m.ref.Namespace, links: m.short, letter: m})
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
	try := 0
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		// The writing is not bound to a worker's context, or a shutdown would lose the ends.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		begun, err := l.commit(ctx, batch)
		cancel()
		if err == nil {
			for _, e := range batch {
				e.answer(begun)
			}
			return
		}
		batch = dropBegins(batch, err)
		if try++; try >= triesTogether {
			batch = l.apart(batch)
		}
		if len(batch) == 0 {
			return
		}
		time.Sleep(wait)
	}
}

func (e *ledgerEntry) answer(begun map[begin]bool) {
	switch {
	case e.begin && e.refusal != nil:
		e.reply <- e.refusal
	case e.begin && !begun[begin{e.lease, e.id}]:
		e.reply <- errNotOurs
	default:
		e.reply <- nil
	}
}

// apart writes ends one by one: one that the store does not take must not hold up all others for
// ever. Its worker gets the error, and what became of its message is found out anew. apart returns
// those that failed because the store takes nothing.
func (l *ledger) apart(batch []*ledgerEntry) []*ledgerEntry {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var left []*ledgerEntry
	for _, e := range batch {
		_, err := l.commit(ctx, []*ledgerEntry{e})
		switch {
		case err == nil:
			e.reply <- nil
		case l.writable(ctx):
			e.reply <- err
		default:
			left = append(left, e)
		}
	}
	return left
}

// writable says whether a write succeeds that changes nothing, and that has nothing of any entry in it.
func (l *ledger) writable(ctx context.Context) bool {
	_, err := l.store.Exec(ctx, `UPDATE messages SET attempts = attempts WHERE id = (SELECT id FROM messages LIMIT 1)`)
	return err == nil
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
