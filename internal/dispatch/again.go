// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// again sends a message whose last try may have reached its provider, and that somebody wants to be sent all the
// same. The provider is asked first, as after a crash: LINE tells by the retry key, Twilio shows what it has. Only
// where it cannot be asked, or does not show it, is the message sent once more; to LINE never, since a push without
// its key would be another message.
func (e *Engine) again(ctx context.Context, s shard, l *letter, ch *Channel, m *channel.Message) (channel.Outcome, error) {
	if refused := e.ledger.Begin(ctx, s.lease, l, false); refused != nil {
		return channel.Outcome{}, refused
	}
	out := ch.Sender.Resolve(ctx, m)
	asked := l.kind != string(journey.KindEmail)
	if out.End != channel.Unknown {
		l.lost = !asked
		return out, nil
	}
	if out.Reason != channel.ReasonOutcomeLost {
		// It could not be looked up now. Nothing was sent, so it waits as one that is planned.
		return channel.Outcome{End: channel.Retry, Reason: out.Reason, Detail: out.Detail}, nil
	}
	if l.kind == string(journey.KindLine) {
		return out, nil
	}
	// Twilio's word is that it has not got it; of a mail nobody knows.
	l.lost = !asked
	return ch.Sender.Send(ctx, m, func(context.Context) error { return nil }), nil
}

// stillLost keeps a message that may have gone out before from ending as one that did not: it is as unknown as it
// was, whatever kept it from being sent once more.
func (l *letter) stillLost(to *end) {
	if !l.lost || to.state != StateSkipped && to.state != StateFailed {
		return
	}
	*to = end{state: StateUnknown, reason: channel.ReasonOutcomeLost, detail: "not sent again: " + to.reason, parts: to.parts, suppress: to.suppress}
}
