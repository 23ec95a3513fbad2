// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
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
	EmailWebhooks            EmailWebhooks
	// Fingerprint changes with the channel's configuration and credentials: what paused the channel
	// may be mended then.
	Fingerprint string
}

// EmailWebhooks verify what mail providers tell of mails; empty for those that are not used.
type EmailWebhooks struct{ SESTopicARN, SendGridPublicKey, MailgunSigningKey string }

// Channels are the channels that the senders know, by namespace and name. It is safe for
// concurrent use.
type Channels struct {
	mu      sync.RWMutex
	entries map[Ref]*Channel
	// paused are the channels' pauses.
	paused pauses
	// store is where processes share what they know of channels; nil where there is one process.
	store *store.Store
	// read says that the pauses in the store are known; syncing is held by who reads and writes them.
	read    atomic.Bool
	syncing sync.Mutex
	// cuts are how often the rates of channels were cut. Only follow uses them.
	cuts map[Ref]int64
	// changed is told of each channel that stops or starts.
	changed func(Ref)
	// alerts are what operators should look at.
	alerts alerts
	// resumed counts how often a channel became one that can be sent through.
	resumed atomic.Int64
}

// Ref names a namespaced resource.
type Ref struct{ Namespace, Name string }

// NewChannels returns an empty set. changed, which may be nil, is called when a channel is paused.
func NewChannels(changed func(Ref)) *Channels {
	if changed == nil {
		changed = func(Ref) {}
	}
	return &Channels{entries: map[Ref]*Channel{}, paused: newPauses(), changed: changed}
}

// share has the channels' rates and pauses shared by all processes of a store.
func (c *Channels) share(st *store.Store) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st == nil || c.store == st {
		return
	}
	c.store = st
	for ref, e := range c.entries {
		e.Limiter.SetLeaser(c.leaser(ref))
	}
}

// Put makes a channel known, or changes it. A pause that was for the old configuration ends. Senders
// belong to the caller, who closes them.
func (c *Channels) Put(ref Ref, ch *Channel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.entries[ref]
	if before != nil && before != ch && before.same(ch) {
		// Whoever waits for the limiter goes by it: where each look at a channel made it another one, those who
		// wait for longer than it takes between two looks would lose their turn, and come to none.
		return
	}
	was, _ := c.usable(ref)
	if before != nil && before.Limiter != nil {
		// The rate goes on where it is: a changed channel must not burst.
		ch.Limiter = before.Limiter
	}
	if ch.Limiter == nil {
		ch.Limiter = channel.NewLimiter(ch.PerSecond, c.leaser(ref))
	}
	ch.Limiter.SetRate(ch.PerSecond)
	c.entries[ref] = ch
	if usable, _ := c.usable(ref); usable != nil && (was == nil || was.Kind != ch.Kind) {
		c.resumed.Add(1)
	}
}

// same tells whether another channel would send in the same way.
func (ch *Channel) same(other *Channel) bool {
	if ch.Sender != other.Sender {
		return false
	}
	a, b := *ch, *other
	a.Sender, b.Sender, a.Limiter, b.Limiter = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// Remove forgets a channel. Its messages wait for it to come back.
func (c *Channels) Remove(ref Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, ref)
}

// Forget removes a channel that is gone for good.
func (c *Channels) Forget(ref Ref) {
	c.Remove(ref)
	c.alerts.forget(ref)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused.end(ref, true)
}

// Get gives a channel that may be sent through now, or says why there is none.
func (c *Channels) Get(ref Ref) (ch *Channel, why string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.usable(ref)
}

func (c *Channels) usable(ref Ref) (ch *Channel, why string) {
	e := c.entries[ref]
	if e == nil {
		return nil, "ChannelNotReady"
	}
	if e.Suspended {
		return nil, "ChannelSuspended"
	}
	if p := c.paused.of(ref, e.Fingerprint); p != nil {
		return nil, p.Reason
	}
	return e, ""
}

// Configured gives a channel whether or not it may be sent through now.
func (c *Channels) Configured(ref Ref) (*Channel, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.entries[ref]; e != nil {
		return e, true
	}
	return nil, false
}
