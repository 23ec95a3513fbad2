// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package people says what is special about a recipient: who has blocked the
// shop on LINE, whose number is a landline, whose mailbox is gone.
package people

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// States a recipient can be in. Whom the book does not mention is reachable.
const (
	Reachable   = "reachable"
	Blocked     = "blocked"     // LINE: has blocked the account; a push is accepted and not delivered
	Unknown     = "unknown"     // LINE: no such user; email: no such mailbox
	Full        = "full"        // email: mailbox over quota
	Landline    = "landline"    // SMS: 21614
	OptedOut    = "opted-out"   // SMS: 21610
	Invalid     = "invalid"     // SMS: 21211
	Unreachable = "unreachable" // SMS: accepted, then undelivered with 30003
)

var states = map[string][]string{
	record.LINE:  {Reachable, Blocked, Unknown},
	record.Email: {Reachable, Unknown, Full},
	record.SMS:   {Reachable, Landline, OptedOut, Invalid, Unreachable},
}

// Recipient is one entry of the book.
type Recipient struct {
	Channel string `json:"channel"`
	// ID is a LINE user id, a mail address or a phone number in E.164.
	ID string `json:"id"`
	// State is one of the channel's states; empty is reachable.
	State string `json:"state"`
	// Name is what LINE's profile answers with; empty makes one up.
	Name string `json:"name,omitempty"`
}

// Book holds what is special about recipients.
type Book struct {
	mu      sync.RWMutex
	entries map[[2]string]Recipient
}

// NewBook starts a book with the given recipients.
func NewBook(recipients ...Recipient) (*Book, error) {
	b := &Book{entries: map[[2]string]Recipient{}}
	for _, r := range recipients {
		if err := b.Set(r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func key(channel, id string) [2]string { return [2]string{channel, strings.ToLower(id)} }

// Set writes a recipient down, replacing what was there.
func (b *Book) Set(r Recipient) error {
	if r.State == "" {
		r.State = Reachable
	}
	allowed, ok := states[r.Channel]
	if !ok {
		return fmt.Errorf("channel %q is not known: write email, line or sms", r.Channel)
	}
	if !slices.Contains(allowed, r.State) {
		return fmt.Errorf("state %q does not exist on channel %s: write one of %s", r.State, r.Channel, strings.Join(allowed, ", "))
	}
	if r.ID == "" {
		return fmt.Errorf("id is missing: write the LINE user id, mail address or phone number")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.State == Reachable && r.Name == "" {
		delete(b.entries, key(r.Channel, r.ID))
		return nil
	}
	b.entries[key(r.Channel, r.ID)] = r
	return nil
}

// Get returns what is known of a recipient.
func (b *Book) Get(channel, id string) Recipient {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if r, ok := b.entries[key(channel, id)]; ok {
		return r
	}
	return Recipient{Channel: channel, ID: id, State: Reachable}
}

// List returns all entries, by channel and id.
func (b *Book) List() []Recipient {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]Recipient, 0, len(b.entries))
	for _, r := range b.entries {
		out = append(out, r)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Channel != out[j].Channel {
			return out[i].Channel < out[j].Channel
		}
		return out[i].ID < out[j].ID
	})
	return out
}
