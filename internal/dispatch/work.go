// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

const (
	// sendsPerShard is how many messages of one shard are under way at once. Connections and rates
	// are the channel's own limits; this only keeps them busy.
	sendsPerShard = 16
	// patience is how long a worker stays with a shard whose messages wait for another try; after
	// that it gives the shard back, to be taken up when they are due.
	patience = 5 * time.Second
	// heldBack is when a shard is looked at again whose channel cannot be sent through now.
	heldBack = 5 * time.Second
	// firstBackoff and lastBackoff bound the wait between tries of one message.
	firstBackoff, lastBackoff = time.Second, 5 * time.Minute
)

// work sends what is left of a shard. It ends when the shard is done, when all that is left has to
// wait, when the lease is lost, or with ctx; messages under way end first.
func (e *Engine) work(ctx context.Context, s shard) error {
	held, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go e.keep(held, s, stop)

	waiting := map[string]time.Time{} // when to try again, by message
	for {
		if err := e.pass(held, s, waiting); err != nil {
			if errors.Is(context.Cause(held), errLeaseLost) {
				return nil
			}
			return errors.Join(err, e.release(context.WithoutCancel(ctx), s, time.Now()))
		}
		if len(waiting) == 0 {
			done, err := e.finish(held, s)
			if err == nil && !done {
				// A message came back between the last page and now: another pass will find it.
				err = e.release(held, s, time.Now())
			}
			return err
		}
		next := earliest(waiting)
		if time.Until(next) > patience {
			return e.release(held, s, next)
		}
		select {
		case <-time.After(time.Until(next)):
		case <-held.Done():
			return e.release(context.WithoutCancel(ctx), s, time.Now())
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
		ours, err := e.renew(ctx, s)
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

// pass goes through the open messages of a shard once. What has to wait is noted with its time.
func (e *Engine) pass(ctx context.Context, s shard, waiting map[string]time.Time) error {
	after := nilKey
	for {
		letters, err := e.page(ctx, s, after)
		if err != nil || len(letters) == 0 {
			return err
		}
		after = letters[len(letters)-1].id
		results := make([]time.Time, len(letters))
		group, each := errgroup.WithContext(ctx)
		group.SetLimit(sendsPerShard)
		for i := range letters {
			l := &letters[i]
			if at, ok := waiting[l.id]; ok && time.Now().Before(at) {
				results[i] = at
				continue
			}
			if each.Err() != nil {
				break
			}
			group.Go(func() error {
				var err error
				results[i], err = e.send(each, s, l)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range letters {
			if results[i].IsZero() {
				delete(waiting, letters[i].id)
			} else {
				waiting[letters[i].id] = results[i]
			}
		}
		e.progress(s.ref)
	}
}

func earliest(waiting map[string]time.Time) time.Time {
	var first time.Time
	for _, at := range waiting {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// backoff is when to try again after so many tries, at least after least.
func backoff(attempts int, least time.Duration) time.Time {
	wait := lastBackoff
	if attempts < 9 {
		wait = min(firstBackoff<<attempts, lastBackoff)
	}
	wait = max(wait, least)
	return time.Now().Add(wait + rand.N(wait/4+1)) //nolint:gosec // jitter needs no secrecy
}

// send brings one message to its end, or returns when to try again, on machine time. An error means
// that the store did not take what happened, and that the shard is to be left.
func (e *Engine) send(ctx context.Context, s shard, l *letter) (again time.Time, err error) {
	if l.state == StatePlanned {
		if skip := l.skip(); skip != "" {
			return time.Time{}, e.end(ctx, s, l, end{state: StateSkipped, reason: skip})
		}
		if l.expires.Before(e.clock.Now()) {
			return time.Time{}, e.end(ctx, s, l, end{state: StateFailed, reason: ReasonExpired})
		}
	}
	ref := Ref{l.ref.Namespace, l.channel}
	ch, _ := e.channels.Get(ref)
	if ch == nil || ch.Kind != l.kind {
		return time.Now().Add(heldBack), nil
	}
	if l.state == StatePlanned && ch.Mode == ModeAllowList && !ch.AllowList[l.customer] {
		return time.Time{}, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonNotOnAllowList})
	}
	m, reason, err := e.render(ctx, ch, l)
	if err != nil {
		return time.Time{}, err
	}
	if reason != "" {
		if l.state == StateSending {
			return time.Time{}, e.end(ctx, s, l, end{state: StateUnknown, reason: reason})
		}
		state := StateFailed
		if reason == ReasonMissingValue || reason == ReasonConverted {
			state = StateSkipped
		}
		return time.Time{}, e.end(ctx, s, l, end{state: state, reason: reason})
	}
	if ch.Mode == ModeSandbox {
		return time.Time{}, e.record(ctx, s, l)
	}
	if err := ch.Limiter.Wait(ctx); err != nil {
		return time.Time{}, nil //nolint:nilerr // the shard is being left: nothing was begun
	}
	return e.deliver(ctx, s, l, ch, m)
}

// record ends a message of a channel in mode Sandbox: it was rendered, and nobody was called.
func (e *Engine) record(ctx context.Context, s shard, l *letter) error {
	err := e.ledger.Begin(ctx, s.lease, l, l.state == StateSending)
	if errors.Is(err, errNotOurs) {
		return nil
	}
	if err != nil {
		return err
	}
	return e.end(ctx, s, l, end{state: StateSent, reason: ReasonSandbox})
}

// deliver hands a message to its provider, or finds out what became of it.
func (e *Engine) deliver(ctx context.Context, s shard, l *letter, ch *Channel, m *channel.Message) (again time.Time, err error) {
	begun := l.state == StateSending
	var refused error
	var out channel.Outcome
	if begun {
		if refused = e.ledger.Begin(ctx, s.lease, l, true); refused == nil {
			out = ch.Sender.Resolve(ctx, m)
		}
	} else {
		out = ch.Sender.Send(ctx, m, func(ctx context.Context) error {
			refused = e.ledger.Begin(ctx, s.lease, l, false)
			begun = refused == nil
			return refused
		})
	}
	if errors.Is(refused, errNotOurs) {
		// Cancelled, not consented to any more, or another's: the next pass reads why.
		return time.Now().Add(firstBackoff), nil
	}
	if refused != nil {
		return time.Time{}, refused
	}
	return e.settle(ctx, s, l, ch, out, begun)
}

// settle records an outcome and reacts to it.
func (e *Engine) settle(ctx context.Context, s shard, l *letter, ch *Channel, out channel.Outcome, begun bool) (again time.Time, err error) {
	if out.Slow {
		ch.Limiter.Slow(max(out.RetryAfter, time.Second))
	}
	if out.Pause != nil {
		e.channels.Pause(Ref{l.ref.Namespace, l.channel}, *out.Pause)
	}
	e.metrics.outcome(l, out)
	to := end{reason: out.Reason, providerID: out.ProviderID, parts: max(out.Parts, l.parts, 1)}
	if out.Suppress {
		to.suppress = &suppression{ns: l.ref.Namespace, channel: l.kind, address: l.address, reason: out.Reason}
	}
	switch out.End {
	case channel.Sent:
		to.state = StateSent
		to.cost, err = ch.Price.Mul(int64(to.parts))
	case channel.Failed:
		to.state = StateFailed
	case channel.Unknown:
		if out.Reason != channel.ReasonOutcomeLost && !l.expires.Before(e.clock.Now()) {
			// Nobody could be asked what became of it. It stays as it is, to be asked about again.
			return backoff(l.attempts, out.RetryAfter), nil
		}
		to.state = StateUnknown // and its cost counts: the provider may charge it
		to.cost, err = ch.Price.Mul(int64(to.parts))
	default: // Retry
		late := l.expires.Before(e.clock.Now())
		switch {
		case late && out.Ambiguous:
			to.state = StateUnknown
		case late:
			to.state = StateFailed
		case out.Ambiguous || !begun:
			// It stays as it is in the store: being sent, with the same key; or not begun at all.
			return backoff(l.attempts, out.RetryAfter), nil
		default:
			to.state = StatePlanned
		}
	}
	if err != nil {
		// A price that no amount can hold is no reason to forget what the provider said.
		e.log.Error(err, "Message has no cost", "namespace", l.ref.Namespace, "channel", l.channel)
	}
	if err := e.end(ctx, s, l, to); err != nil || to.state != StatePlanned {
		return time.Time{}, err
	}
	return backoff(l.attempts, out.RetryAfter), nil
}

// end records how a message goes on. It is not cut short by ctx: what a provider said must not be
// lost to a shutdown.
func (e *Engine) end(ctx context.Context, s shard, l *letter, to end) error {
	if to.state != StatePlanned {
		to.at = e.clock.Now()
	}
	if to.parts == 0 {
		to.parts = 1
	}
	e.metrics.ended(l, to)
	return e.ledger.End(context.WithoutCancel(ctx), s.lease, l.id, to)
}
