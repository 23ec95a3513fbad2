// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// sendsPerShard is how many messages of one shard are under way at once. Connections and rates
	// are the channel's own limits; this only keeps them busy.
	sendsPerShard = 16
	// patience is how long a worker stays with a shard whose messages wait for another try; after
	// that it gives the shard back, to be taken up when they are due.
	patience = 5 * time.Second
	// leftAlone is when a shard is taken up again that had to be left because of an error.
	leftAlone = 5 * time.Second
)

// later is what a message waits for that did not come to its end. The zero value is: nothing.
type later struct {
	// at is when to try again, on machine time.
	at time.Time
	// tries counts those that the store knows nothing of, because nothing was begun.
	tries int
	// held says that its channel cannot be sent through now.
	held bool
	// behind says that others go first: nothing here brings it on.
	behind bool
}

// work sends what is left of a shard. It ends when the shard is done, when all that is left has to
// wait, when the lease is lost, or with ctx; messages under way end first.
func (e *Engine) work(ctx context.Context, s shard) error {
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go e.keep(held, s, stop)

	waiting := map[string]later{}
	for {
		var err error
		if waiting, err = e.pass(held, s, waiting); err != nil {
			if errors.Is(context.Cause(held), errLeaseLost) {
				return nil
			}
			from := time.Now()
			if ctx.Err() == nil {
				from = from.Add(leftAlone)
			}
			return errors.Join(err, e.release(ctx, s, from))
		}
		if len(waiting) == 0 {
			done, err := e.finish(held, s)
			if err == nil && !done {
				if quiet, err := e.inQuietHours(held, s); err != nil || quiet {
					return errors.Join(err, e.holdBack(ctx, s, time.Time{}))
				}
			}
			if err != nil || !done {
				// A message came back between the last page and now: another pass will find it.
				err = errors.Join(err, e.release(ctx, s, time.Now()))
			}
			return err
		}
		next, isHeld := earliest(waiting)
		if isHeld && (next.IsZero() || time.Until(next) > patience) {
			// Nothing else can be done for it now: a channel that is paused must not keep workers from
			// the others.
			return e.holdBack(ctx, s, next)
		}
		if time.Until(next) > patience || allBehind(waiting) {
			return e.release(ctx, s, next)
		}
		select {
		case <-time.After(time.Until(next)):
		case <-held.Done():
			return e.release(ctx, s, time.Now())
		}
	}
}

var errLeaseLost = errors.New("the shard went to another worker")

// keep renews the lease until ctx ends. Where it cannot, the work stops before the lease runs out.
func (e *Engine) keep(ctx context.Context, s shard, stop context.CancelCauseFunc) {
	valid := time.Now().Add(leaseFor)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(renewEvery):
		}
		asked := time.Now()
		// A store that does not answer is one that cannot be asked.
		within, cancel := context.WithTimeout(ctx, renewEvery-time.Second)
		ours, err := e.renew(within, s)
		cancel()
		switch {
		case err == nil && !ours:
			stop(errLeaseLost)
			return
		case err == nil:
			valid = asked.Add(leaseFor)
		case time.Now().Add(renewEvery).After(valid):
			stop(errLeaseLost)
			return
		}
	}
}

// pass goes through the open messages of a shard once, and returns what those wait for that did not
// come to their end. before is what the last pass returned.
func (e *Engine) pass(ctx context.Context, s shard, before map[string]later) (map[string]later, error) {
	after := nilKey
	// Only what this pass sees goes on waiting: what was cancelled meanwhile does not.
	waiting := map[string]later{}
	held := map[string]bool{}
	for {
		letters, err := e.page(ctx, s, after, held)
		if err != nil || len(letters) == 0 {
			return waiting, err
		}
		after = letters[len(letters)-1].id
		for i := range letters {
			letters[i].resting = time.Now().Before(before[letters[i].id].at)
		}
		if err := e.prepare(ctx, letters); err != nil {
			return waiting, err
		}
		results := make([]later, len(letters))
		group, each := errgroup.WithContext(ctx)
		group.SetLimit(sendsPerShard)
		for i := range letters {
			l := &letters[i]
			old := before[l.id]
			if l.resting {
				results[i] = old
				continue
			}
			if each.Err() != nil {
				break
			}
			l.tries = old.tries
			group.Go(func() error {
				var err error
				results[i], err = e.send(each, s, l)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return waiting, err
		}
		if err := ctx.Err(); err != nil {
			return waiting, err
		}
		for i := range letters {
			if results[i].held {
				held[letters[i].channel] = true
			}
			if results[i] != (later{}) {
				waiting[letters[i].id] = results[i]
			}
		}
		e.notify(s.ref)
	}
}

// allBehind tells whether all that is left waits for others.
func allBehind(waiting map[string]later) bool {
	for _, l := range waiting {
		if !l.behind {
			return false
		}
	}
	return true
}

// earliest is the first moment at which a message can be tried again, zero if there is none, and
// whether any is held by its channel.
func earliest(waiting map[string]later) (first time.Time, held bool) {
	for _, l := range waiting {
		if l.held {
			held = true
		} else if first.IsZero() || l.at.Before(first) {
			first = l.at
		}
	}
	return first, held
}
