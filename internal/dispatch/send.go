// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/money"
)

// firstBackoff and lastBackoff bound the wait between tries of one message.
const firstBackoff, lastBackoff = time.Second, 5 * time.Minute

// backoff is when to try again after so many tries, at least after least.
func (e *Engine) backoff(attempts int, least time.Duration) time.Time {
	wait := lastBackoff
	if attempts < 9 {
		wait = min(e.firstBackoff<<attempts, lastBackoff)
	}
	wait = max(wait, least)
	return time.Now().Add(wait + rand.N(wait/4+1))
}

// send brings one message to its end, or returns what it waits for. An error means that the store
// did not take what happened, and that the shard is to be left.
func (e *Engine) send(ctx context.Context, s shard, l *letter) (later, error) {
	late := l.expires.Before(e.clock.Now())
	if l.state == StatePlanned {
		if skip := l.skip(); skip != "" {
			return later{}, e.end(ctx, s, l, end{state: StateSkipped, reason: skip})
		}
		if late {
			return later{}, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonExpired})
		}
	}
	ref := Ref{l.ref.Namespace, l.channel}
	ch, _ := e.channels.Get(ref)
	switch {
	case ch != nil && ch.Kind == l.kind:
	case late:
		// Begun, and its channel does not come back in time: nobody will find out any more.
		return e.giveUp(ctx, s, l, channel.ReasonOutcomeLost)
	default:
		return later{held: true}, nil
	}
	if l.state == StatePlanned && ch.Mode == ModeAllowList && !ch.AllowList[l.customer] {
		return later{}, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonNotOnAllowList})
	}
	if l.state == StatePlanned {
		if next, done, err := e.restrain(ctx, s, l, ch); done || err != nil {
			return next, err
		}
	}
	if l.notReady {
		return later{at: time.Now().Add(notReadyWait), tries: l.tries, behind: true}, nil // the keeper goes first
	}
	m, unmade, err := e.render(ctx, ch, l)
	if err != nil {
		return later{}, err
	}
	switch {
	case unmade.reason == "":
	case l.state == StateSending:
		return e.giveUp(ctx, s, l, unmade.reason)
	case unmade.reason == ReasonMissingValue || unmade.reason == ReasonConverted:
		unmade.state = StateSkipped
		return later{}, e.end(ctx, s, l, unmade)
	default:
		unmade.state = StateFailed
		if err := e.end(ctx, s, l, unmade); err != nil {
			return later{}, err
		}
		return later{}, e.refuse(ctx, s, l, unmade.reason, "")
	}
	if ch.Mode == ModeSandbox {
		return e.record(ctx, s, l)
	}
	if m.Line != nil && m.Line.ReplyToken == "" {
		if m.Line.Unit, err = e.units.of(ctx, l); err != nil {
			return later{}, err
		}
	}
	if err := ch.Limiter.Wait(ctx); err != nil {
		return later{}, nil //nolint:nilerr // the shard is being left: nothing was begun
	}
	if now, _ := e.channels.Get(ref); now != ch {
		// It was paused, suspended or changed while this message waited for its turn.
		return later{at: time.Now(), tries: l.tries}, nil
	}
	return e.deliver(ctx, s, l, ch, m)
}

// giveUp ends a message that was begun, by whomever, and of which nobody can find out what became.
func (e *Engine) giveUp(ctx context.Context, s shard, l *letter, reason string) (later, error) {
	err := e.ledger.Begin(ctx, s.lease, l, true) // or the end would be refused as that of another lease
	if errors.Is(err, errNotOurs) {
		return later{at: time.Now().Add(e.firstBackoff)}, nil
	}
	if err != nil {
		return later{}, err
	}
	return later{}, e.end(ctx, s, l, end{state: StateUnknown, reason: reason})
}

// record ends a message of a channel in mode Sandbox: it was rendered, and nobody was called. Nor is
// anybody asked about a message that was begun before the channel was in this mode.
func (e *Engine) record(ctx context.Context, s shard, l *letter) (later, error) {
	if l.state == StateSending {
		return e.giveUp(ctx, s, l, channel.ReasonOutcomeLost)
	}
	err := e.ledger.Begin(ctx, s.lease, l, false)
	if next, handled, err := e.refused(ctx, s, l, err); handled {
		return next, err
	}
	if err != nil {
		return later{}, err
	}
	return later{}, e.end(ctx, s, l, end{state: StateSent, reason: ReasonSandbox})
}

// deliver hands a message to its provider, or finds out what became of it.
func (e *Engine) deliver(ctx context.Context, s shard, l *letter, ch *Channel, m *channel.Message) (later, error) {
	begun := l.state == StateSending
	var refused error
	var out channel.Outcome
	switch {
	case begun:
		if refused = e.ledger.Begin(ctx, s.lease, l, true); refused == nil {
			out = ch.Sender.Resolve(ctx, m)
		}
	case l.lost:
		out, refused = e.again(ctx, s, l, ch, m)
		begun = refused == nil
	default:
		out = ch.Sender.Send(ctx, m, func(ctx context.Context) error {
			refused = e.ledger.Begin(ctx, s.lease, l, false)
			begun = refused == nil
			return refused
		})
	}
	if next, handled, err := e.refused(ctx, s, l, refused); handled {
		return next, err
	}
	if refused != nil {
		return later{}, refused
	}
	return e.settle(ctx, s, l, ch, out, begun)
}

// settle records an outcome and reacts to it.
func (e *Engine) settle(ctx context.Context, s shard, l *letter, ch *Channel, out channel.Outcome, begun bool) (later, error) {
	var err error
	late, wait := l.expires.Before(e.clock.Now()), e.backoff(l.attempts+l.tries, out.RetryAfter)
	if out.Slow {
		ch.Limiter.Slow(max(out.RetryAfter, time.Second))
	}
	if out.Pause != nil {
		pause := *out.Pause
		pause.Detail = out.Detail
		e.channels.Pause(Ref{l.ref.Namespace, l.channel}, pause)
	}
	e.channels.Alert(Ref{l.ref.Namespace, l.channel}, out.Reason)
	e.metrics.outcome(l, out)
	to := end{reason: out.Reason, providerID: out.ProviderID, parts: max(out.Parts, l.parts, 1)}
	if out.Suppress {
		to.suppress = &suppression{ns: l.ref.Namespace, channel: l.kind, address: l.address, reason: out.Reason}
	}
	switch out.End {
	case channel.Sent:
		to.state = StateSent
		to.cost, err = l.price(ch, to.parts)
	case channel.Failed:
		to.state = StateFailed
	case channel.Unknown:
		if out.Reason != channel.ReasonOutcomeLost && !late {
			// Nobody could be asked what became of it. It stays as it is, to be asked about again.
			return later{at: wait, tries: l.tries + 1}, nil
		}
		to.state = StateUnknown // and its cost counts: the provider may charge it
		to.cost, err = l.price(ch, to.parts)
	default: // Retry
		switch {
		case late && out.Ambiguous:
			to.state = StateUnknown
		case late:
			to.state = StateFailed
		case out.Ambiguous || !begun:
			// It stays as it is in the store: being sent, with the same key; or not begun at all.
			return later{at: wait, tries: l.tries + 1}, nil
		default:
			to.state = StatePlanned
			if out.Reason == channel.ReasonReplyExpired {
				to.forgetReply, wait = true, time.Now() // it is pushed
			}
			return later{at: wait}, e.end(ctx, s, l, to)
		}
	}
	if err != nil {
		// A price that no amount can hold is no reason to forget what the provider said.
		e.log.Error(err, "Message has no cost", "namespace", l.ref.Namespace, "channel", l.channel)
	}
	if out.End == channel.Sent {
		e.refusals.taken(l)
	}
	if err := e.end(ctx, s, l, to); err != nil || out.End != channel.Failed || l.fallsBack(&to) {
		return later{}, err
	}
	return later{}, e.refuse(ctx, s, l, out.Reason, out.Detail)
}

// price is what a message costs. LINE does not count answers, and what is counted is not counted again.
func (l *letter) price(ch *Channel, parts int) (money.Amount, error) {
	if l.reply != nil || l.priced {
		return 0, nil
	}
	return ch.Price.Mul(int64(parts))
}

// end records how a message goes on. It is not cut short by ctx: what a provider said must not be
// lost to a shutdown.
func (e *Engine) end(ctx context.Context, s shard, l *letter, to end) error {
	l.stillLost(&to)
	if l.fallsBack(&to) {
		to.instead, to.fellBack = l.planned.Fallback, to.reason
		to.state, to.reason, to.detail = StatePlanned, "", ""
	}
	if to.state != StatePlanned {
		to.at = e.clock.Now()
		to.forgetReply = l.reply != nil
	}
	if to.parts == 0 {
		to.parts = 1
	}
	e.metrics.ended(l, to)
	if err := e.ledger.End(context.WithoutCancel(ctx), s.lease, l.id, to); err != nil {
		return err
	}
	e.tally.add(to.state)
	return nil
}
