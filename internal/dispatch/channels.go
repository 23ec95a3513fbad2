// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/money"
)

// Mode says whether a channel's messages really leave.
type Mode string

// The modes of a channel.
const (
	ModeLive      Mode = "Live"
	ModeSandbox   Mode = "Sandbox"
	ModeAllowList Mode = "AllowList"
)

// Channel is a channel that messages can go through.
type Channel struct {
	Sender channel.Sender
	// PerSecond is how many messages may leave in a second. Put makes the Limiter of it.
	PerSecond float64
	Limiter   *channel.Limiter
	Kind      string
	Mode      Mode
	AllowList map[string]bool
	// Quiet is when nothing is sent; nil for never.
	Quiet *Quiet
	// Caps are how many messages one customer gets.
	Caps []Cap
	// Suspended holds messages back until somebody resumes the channel.
	Suspended bool
	// Price of a message, of a part for SMS.
	Price money.Amount
	// Clicks and Opens say what a mail's tracking measures.
	Clicks, Opens bool
	// StatusCallback is the URL that the provider tells of delivery, empty for none.
	StatusCallback string
	// AuthToken and ChannelSecret verify the callbacks of Twilio and of LINE.
	AuthToken, ChannelSecret string
	// Fingerprint changes with the channel's configuration and credentials: what paused the channel
	// may be mended then.
	Fingerprint string
}

// Channels are the channels that the senders know, by namespace and name. It is safe for
// concurrent use.
type Channels struct {
	mu      sync.RWMutex
	entries map[Ref]*entry
	// changed is told of each channel that stops or starts.
	changed func(Ref)
	// resumed counts how often a channel became one that can be sent through.
	resumed atomic.Int64
}

// Ref names a namespaced resource.
type Ref struct{ Namespace, Name string }

type entry struct {
	channel *Channel
	pause   *channel.Pause
}

// NewChannels returns an empty set. changed, which may be nil, is called when a channel is paused.
func NewChannels(changed func(Ref)) *Channels {
	if changed == nil {
		changed = func(Ref) {}
	}
	return &Channels{entries: map[Ref]*entry{}, changed: changed}
}

// Put makes a channel known, or changes it. A pause that was for the old configuration ends. Senders
// belong to the caller, who closes them.
func (c *Channels) Put(ref Ref, ch *Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.entries[ref]
	now := &entry{channel: ch}
	if before != nil {
		if before.channel.Fingerprint == ch.Fingerprint {
			now.pause = before.pause
		}
		if before.channel.Limiter != nil {
			// The bucket goes on where it is: a changed channel must not burst.
			ch.Limiter = before.channel.Limiter
		}
	}
	if ch.Limiter == nil {
		ch.Limiter = channel.NewLimiter(ch.PerSecond)
	}
	ch.Limiter.SetRate(ch.PerSecond)
	if usable, _ := now.usable(); usable != nil {
		if was, _ := before.usable(); was == nil || was.Kind != ch.Kind {
			c.resumed.Add(1)
		}
	}
	c.entries[ref] = now
}

// Remove forgets a channel. Its messages wait for it to come back.
func (c *Channels) Remove(ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, ref)
}

// Get gives a channel that may be sent through now, or says why there is none.
func (c *Channels) Get(ref Ref) (ch *Channel, why string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[ref].usable()
}

func (e *entry) usable() (ch *Channel, why string) {
	switch {
	case e == nil:
		return nil, "ChannelNotReady"
	case e.channel.Suspended:
		return nil, "ChannelSuspended"
	case e.pause != nil && (e.pause.Until.IsZero() || time.Now().Before(e.pause.Until)):
		return nil, e.pause.Reason
	}
	return e.channel, ""
}

// Configured gives a channel whether or not it may be sent through now.
func (c *Channels) Configured(ref Ref) (*Channel, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.entries[ref]; e != nil {
		return e.channel, true
	}
	return nil, false
}

// Pause stops a channel until the pause ends, the channel changes, or Resume.
func (c *Channels) Pause(ref Ref, p channel.Pause) {
	c.mu.Lock()
	e := c.entries[ref]
	again := e == nil || e.pause != nil && *e.pause == p
	if e != nil {
		e.pause = &p
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
	if e := c.entries[ref]; e != nil && e.pause != nil {
		e.pause = nil
		c.resumed.Add(1)
	}
}

// Paused tells of a pause that is in force.
func (c *Channels) Paused(ref Ref) (channel.Pause, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.entries[ref]
	if e == nil || e.pause == nil || !e.pause.Until.IsZero() && !time.Now().Before(e.pause.Until) {
		return channel.Pause{}, false
	}
	return *e.pause, true
}
