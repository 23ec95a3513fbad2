// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"time"
)

// Active is a rule with what it has done so far.
type Active struct {
	Rule
	// Seen requests fitted provider, operation and recipient; Hit ones went wrong.
	Seen int `json:"seen"`
	Hit  int `json:"hit"`
}

type armed struct {
	Active
	random *rand.Rand
	// had are the recipients that were hit, where each is hit once.
	had map[string]bool
}

// Book holds the rules in force. The first one that hits a request decides.
type Book struct {
	seed uint64

	mu    sync.Mutex
	next  int
	rules []*armed
}

// NewBook starts a book; the same seed hits the same requests again.
func NewBook(seed uint64, rules ...Rule) (*Book, error) {
	b := &Book{seed: seed}
	for _, r := range rules {
		if _, err := b.Add(r); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Add puts a rule in force, in place of one with the same ID.
func (b *Book) Add(r Rule) (Rule, error) {
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("fault rule: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.ID == "" {
		b.next++
		r.ID = fmt.Sprintf("fault-%d", b.next)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.ID))
	a := &armed{Active: Active{Rule: r}, random: rand.New(rand.NewPCG(b.seed, h.Sum64())), had: map[string]bool{}}
	for i := range b.rules {
		if b.rules[i].ID == r.ID {
			b.rules[i] = a
			return r, nil
		}
	}
	b.rules = append(b.rules, a)
	return r, nil
}

// Remove takes a rule out of force.
func (b *Book) Remove(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.rules {
		if b.rules[i].ID == id {
			b.rules = append(b.rules[:i:i], b.rules[i+1:]...)
			return true
		}
	}
	return false
}

// Clear takes all rules out of force.
func (b *Book) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rules = nil
}

// List returns the rules in the order they are asked.
func (b *Book) List() []Active {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Active, 0, len(b.rules))
	for _, r := range b.rules {
		out = append(out, r.Active)
	}
	return out
}

// Hit returns what happens to a request; the zero Effect where nothing does.
func (b *Book) Hit(provider, operation, to string) Effect {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.rules {
		if r.hit(provider, operation, to) {
			return r.Effect
		}
	}
	return Effect{}
}

func (r *armed) hit(provider, operation, to string) bool {
	if r.Provider != provider || (r.Operation != "" && r.Operation != operation) {
		return false
	}
	m := r.Match
	if m.To != "" {
		if ok, err := path.Match(strings.ToLower(m.To), strings.ToLower(to)); err != nil || !ok {
			return false
		}
	}
	if m.Count > 0 && r.Active.Hit >= m.Count {
		return false
	}
	if m.Once && r.had[to] {
		return false
	}
	r.Seen++
	n := r.Seen - m.Skip
	if n <= 0 || (m.Every > 1 && n%m.Every != 0) {
		return false
	}
	if m.Probability > 0 && r.random.Float64() >= m.Probability {
		return false
	}
	r.Active.Hit++
	if m.Once {
		r.had[to] = true
	}
	return true
}

// Wait sleeps for d, or until ctx ends.
func Wait(ctx context.Context, d Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
