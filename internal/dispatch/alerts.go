// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// ReasonSignatureInvalid is that of callbacks that are not the provider's, or that cannot be verified.
const ReasonSignatureInvalid = "SignatureInvalid"

// ReasonSlowedDown is of a channel whose rate was cut because its provider refused what came too fast.
const ReasonSlowedDown = "SlowedDown"

// alertAt is from how many within alertWithin a channel raises an alert. Single ones happen: a recipient's
// carrier filters, a scanner tries the gateway's addresses.
var alertAt = map[string]int{
	channel.ReasonContentFiltered: 3,
	channel.ReasonTooManyToOne:    1,
	ReasonSlowedDown:              3,
	ReasonSignatureInvalid:        3,
}

// alertWithin is also how long nothing more is said of the same.
const alertWithin = time.Hour

// Alert is something that an operator should look at, though the channel goes on.
type Alert struct {
	Reason string
	// Count is how many there were since Since.
	Count int
	Since time.Time
}

// alerts counts what happens, by channel and reason, on machine time. What a count is of lives no longer
// than alertWithin, so that it is bounded by the number of channels.
type alerts struct {
	mu     sync.Mutex
	counts map[Ref]map[string]*tally
}

type tally struct {
	since time.Time
	n     int
	told  bool
}

// Alert counts something that happened on a channel. Reasons that are no alerts are none.
func (c *Channels) Alert(ref Ref, reason string) {
	if alertAt[reason] > 0 && c.alerts.count(ref, reason, time.Now()) {
		c.changed(ref)
	}
}

// Alerts gives the alerts of a channel that were not given yet.
func (c *Channels) Alerts(ref Ref) []Alert {
	a := &c.alerts
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Alert
	for reason, t := range a.counts[ref] {
		if !t.told && t.n >= alertAt[reason] {
			t.told = true
			out = append(out, Alert{reason, t.n, t.since})
		}
	}
	return out
}

// count says whether there is something to say now.
func (a *alerts) count(ref Ref, reason string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[Ref]map[string]*tally{}
	}
	if a.counts[ref] == nil {
		a.counts[ref] = map[string]*tally{}
	}
	t := a.counts[ref][reason]
	if t == nil || now.Sub(t.since) > alertWithin {
		t = &tally{since: now}
		a.counts[ref][reason] = t
	}
	t.n++
	return !t.told && t.n >= alertAt[reason]
}

// forget drops what was counted of a channel that is gone.
func (a *alerts) forget(ref Ref) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.counts, ref)
}
