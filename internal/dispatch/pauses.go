// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// pauses are those of channels, by what they were configured with: another configuration, or other credentials,
// may be in order. Whoever uses it holds the lock of its Channels.
type pauses struct {
	byChannel map[Ref]map[string]*pause
	// ended are the channels whose pauses were ended here and not yet in the store, and whether they are gone
	// for good.
	ended map[Ref]bool
	// stale says that there is something to write.
	stale chan struct{}
}

type pause struct {
	channel.Pause
	// unsaved is of a pause that the store does not have yet.
	unsaved bool
}

func newPauses() pauses {
	return pauses{byChannel: map[Ref]map[string]*pause{}, ended: map[Ref]bool{}, stale: make(chan struct{}, 1)}
}

// of is the pause that is in force; nil for none.
func (p *pauses) of(ref Ref, fingerprint string) *pause {
	now := p.byChannel[ref][fingerprint]
	if now == nil || !now.Until.IsZero() && !time.Now().Before(now.Until) {
		return nil
	}
	return now
}

// much is by how much two pauses differ that are not the same: each message that was under way comes with one.
const much = time.Minute

func (p *pause) same(other channel.Pause) bool {
	return p != nil && p.Reason == other.Reason && p.Until.IsZero() == other.Until.IsZero() && p.Until.Sub(other.Until).Abs() < much
}

func (p *pauses) set(ref Ref, fingerprint string, to *pause) {
	if p.byChannel[ref] == nil {
		p.byChannel[ref] = map[string]*pause{}
	}
	p.byChannel[ref][fingerprint] = to
}

// end ends what pauses a channel, here and in the store.
func (p *pauses) end(ref Ref, gone bool) {
	delete(p.byChannel, ref)
	p.ended[ref] = gone
	p.save()
}

// save has the store told what is new.
func (p *pauses) save() {
	select {
	case p.stale <- struct{}{}:
	default:
	}
}

// Pause stops a channel, for all processes, until the pause ends, the channel changes, or Resume.
func (c *Channels) Pause(ref Ref, p channel.Pause) {
	c.mu.Lock()
	e := c.entries[ref]
	again := e == nil || c.paused.of(ref, e.Fingerprint).same(p)
	if !again {
		c.paused.set(ref, e.Fingerprint, &pause{Pause: p, unsaved: true})
		c.paused.save()
	}
	c.mu.Unlock()
	if !again {
		c.changed(ref)
	}
}

// Resume ends a pause.
func (c *Channels) Resume(ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[ref]
	if e != nil && c.paused.byChannel[ref][e.Fingerprint] != nil {
		c.resumed.Add(1)
	}
	c.paused.end(ref, false)
}

// Paused tells of a pause that is in force.
func (c *Channels) Paused(ref Ref) (channel.Pause, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.entries[ref]
	if e == nil {
		return channel.Pause{}, false
	}
	if p := c.paused.of(ref, e.Fingerprint); p != nil {
		return p.Pause, true
	}
	return channel.Pause{}, false
}
