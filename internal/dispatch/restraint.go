// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

// Reasons of messages that would have been too many, or at the wrong time.
const (
	ReasonQuietHours      = "QuietHours"
	ReasonFrequencyCap    = "FrequencyCap"
	ReasonFrequencyChosen = "FrequencyChosen"
)

// Quiet is when a channel sends nothing.
type Quiet struct {
	// QuietHours are in the zone of customers whose own is not known.
	schedule.QuietHours
	// Skip leaves messages out that are due then; else they wait.
	Skip bool
}

// Cap is how many messages one customer gets in a time.
type Cap struct {
	Messages int
	Per      time.Duration
	// Namespace counts those of all channels together.
	Namespace bool
}

// The attributes by which customers say when and how often they want to hear.
const (
	attributeZone      = "time_zone"
	AttributeFrequency = "frequency"
)

// What a customer may choose, beside all there is.
const (
	FrequencyNone    = "none"
	FrequencyWeekly  = "weekly"
	FrequencyMonthly = "monthly"
)

var chosenCaps = map[string]Cap{
	FrequencyWeekly:  {Messages: 1, Per: 7 * 24 * time.Hour, Namespace: true},
	FrequencyMonthly: {Messages: 1, Per: 30 * 24 * time.Hour, Namespace: true},
}

// chosen is what a customer's attributes say of that.
func (l *letter) chosen() (zone, frequency string) {
	// Few say anything, and what attributes say is looked at again to render the message.
	if text := l.who.attributes; !bytes.Contains(text, []byte(`"`+attributeZone+`"`)) && !bytes.Contains(text, []byte(`"`+AttributeFrequency+`"`)) {
		return "", ""
	}
	var said map[string]any
	if err := json.Unmarshal(l.who.attributes, &said); err != nil {
		return "", ""
	}
	zone, _ = said[attributeZone].(string)
	frequency, _ = said[AttributeFrequency].(string)
	return zone, frequency
}

// until is when, at or after now, the customer's quiet hours are over.
func (q *Quiet) until(zone string, now time.Time) time.Time {
	hours := q.QuietHours
	if zone != "" {
		if loc, err := schedule.Zone(zone); err == nil {
			hours.Location = loc
		}
	}
	return hours.NextAllowed(now)
}

// grace is how long after it was due a message waits that shares a cap with scenarios that go first: they
// may be due at the same second, and not planned yet.
const grace = 2 * time.Second

// restrain decides whether a message may go now, as far as that is not a matter of what others are being
// sent at this moment: for that it gives the letter its caps. done says that it may not, and next what
// it waits for.
func (e *Engine) restrain(ctx context.Context, s shard, l *letter, ch *Channel) (next later, done bool, err error) {
	if l.calls() {
		return later{}, false, nil
	}
	zone, frequency := l.chosen()
	if frequency == FrequencyNone {
		return later{}, true, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonFrequencyChosen})
	}
	if l.reply != nil {
		return later{}, false, nil // the customer waits for it
	}
	now := e.clock.Now()
	if ch.Quiet != nil {
		if allowed := ch.Quiet.until(zone, now); allowed.After(now) {
			if ch.Quiet.Skip {
				return later{}, true, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonQuietHours})
			}
			return later{}, true, e.end(ctx, s, l, end{state: StatePlanned, reason: ReasonQuietHours, notBefore: allowed})
		}
	}
	l.caps = ch.Caps
	if c, ok := chosenCaps[frequency]; ok {
		l.chosenCap = &c
	}
	if l.capped() && now.Before(l.due.Add(grace)) && e.othersFirst(l) {
		return later{at: time.Now().Add(clock.RealDuration(e.clock, l.due.Add(grace).Sub(now))), behind: true}, true, nil
	}
	return later{}, false, nil
}

func (l *letter) capped() bool { return len(l.caps) > 0 || l.chosenCap != nil }

// othersFirst tells whether there is a scenario in the namespace that goes before the message's, or may be.
func (e *Engine) othersFirst(l *letter) bool {
	if !e.leads() {
		return true // only who plans knows all scenarios
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for ref, a := range e.armed {
		if ref.Namespace == l.ref.Namespace && int(a.Compiled.Bundle.Spec.PriorityOrDefault()) > l.priority {
			return true
		}
	}
	return false
}

// What the ledger answers for a message of which a customer has had enough.
var (
	errCapped       = errors.New("the customer has had as many messages as a cap allows")
	errChosen       = errors.New("the customer has had as many messages as they chose")
	errOthersFirst  = errors.New("messages that go first may take what a cap leaves room for")
	othersFirstWait = time.Second
)

// refused reacts to what the ledger answered instead of letting a message go. handled is false for what
// is no answer about this message.
func (e *Engine) refused(ctx context.Context, s shard, l *letter, refusal error) (next later, handled bool, err error) {
	switch {
	case errors.Is(refusal, errNotOurs):
		// Cancelled, not consented to any more, or another's: the next pass reads why.
		return later{at: time.Now().Add(e.firstBackoff)}, true, nil
	case errors.Is(refusal, errCapped):
		return later{}, true, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonFrequencyCap})
	case errors.Is(refusal, errChosen):
		return later{}, true, e.end(ctx, s, l, end{state: StateSkipped, reason: ReasonFrequencyChosen})
	case errors.Is(refusal, errReplyGone):
		return later{at: time.Now(), tries: l.tries}, true, nil // the next pass pushes it
	case errors.Is(refusal, errOthersFirst):
		return later{at: time.Now().Add(min(othersFirstWait, max(e.firstBackoff, time.Millisecond))), behind: true}, true, nil
	}
	return later{}, false, nil
}
