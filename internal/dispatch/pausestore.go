// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// followEvery is how often a process looks what the others know of channels, on machine time.
	followEvery = time.Second
	// ratesEvery is how often it looks whether they slowed channels down.
	ratesEvery = 5 * time.Second
)

// follow writes and reads what all processes know of channels, until ctx ends.
func (c *Channels) follow(ctx context.Context, log logr.Logger) {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	rates := time.Time{}
	for {
		var err error
		if time.Since(rates) >= ratesEvery {
			rates, err = time.Now(), c.readRates(ctx)
		}
		if err = errors.Join(err, c.sync(ctx)); err != nil && ctx.Err() == nil {
			log.Error(err, "What others know of channels is not known, and is looked for again")
		}
		select {
		case <-ctx.Done():
			return
		case <-c.paused.stale:
		case <-ticker.C:
		}
	}
}

// known makes sure that the pauses of before were read before anything is sent.
func (c *Channels) known(ctx context.Context) error {
	if c.read.Load() {
		return nil
	}
	return c.sync(ctx)
}

// sync writes the pauses that are new here, and takes over those of the others.
func (c *Channels) sync(ctx context.Context) error {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	if c.store == nil || !c.mayDiffer() {
		return nil
	}
	if err := c.savePauses(ctx); err != nil {
		return err
	}
	stored, err := c.readPauses(ctx)
	if err != nil {
		return err
	}
	for _, ref := range c.takeOver(stored) {
		c.changed(ref)
	}
	c.read.Store(true)
	return nil
}

// mayDiffer tells whether the store may know what this process does not, or the other way round. SQLite has no
// other process.
func (c *Channels) mayDiffer() bool {
	if !c.read.Load() || c.store.Dialect() != store.SQLite {
		return true
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.paused.ended) > 0 || len(c.paused.unsaved()) > 0
}

type savedPause struct {
	ref         Ref
	fingerprint string
	pause       *pause
}

func (p *pauses) unsaved() (out []savedPause) {
	for ref, each := range p.byChannel {
		for fingerprint, one := range each {
			if one.unsaved {
				out = append(out, savedPause{ref, fingerprint, one})
			}
		}
	}
	return out
}

// savePauses writes what is new, which is little: how long is left is the same for clocks that disagree.
func (c *Channels) savePauses(ctx context.Context) error {
	c.mu.Lock()
	ended, unsaved := c.paused.ended, c.paused.unsaved()
	c.paused.ended = map[Ref]bool{}
	c.mu.Unlock()
	err := c.endPauses(ctx, ended)
	if err != nil {
		c.mu.Lock()
		for ref, gone := range ended {
			c.paused.ended[ref] = c.paused.ended[ref] || gone
		}
		c.mu.Unlock()
		return err
	}
	for _, s := range unsaved {
		var left *int64
		if !s.pause.Until.IsZero() {
			ms := time.Until(s.pause.Until).Milliseconds()
			left = &ms
		}
		_, err := c.store.Exec(ctx, `INSERT INTO channel_pauses (ns, channel, fingerprint, reason, detail, until_at)
VALUES ($1, $2, $3, $4, $5, `+c.store.Dialect().NowMillis()+` + CAST($6 AS BIGINT))
ON CONFLICT (ns, channel, fingerprint) DO UPDATE SET reason = excluded.reason, detail = excluded.detail, until_at = excluded.until_at`,
			s.ref.Namespace, s.ref.Name, s.fingerprint, s.pause.Reason, storable(s.pause.Detail), left)
		if err != nil {
			return fmt.Errorf("keeping the pause of channel %s/%s: %w", s.ref.Namespace, s.ref.Name, err)
		}
		c.mu.Lock()
		s.pause.unsaved = false
		c.mu.Unlock()
	}
	return nil
}

func (c *Channels) endPauses(ctx context.Context, ended map[Ref]bool) error {
	for ref, gone := range ended {
		if _, err := c.store.Exec(ctx, `DELETE FROM channel_pauses WHERE ns = $1 AND channel = $2`, ref.Namespace, ref.Name); err != nil {
			return fmt.Errorf("ending the pause of channel %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		if !gone {
			continue
		}
		if _, err := c.store.Exec(ctx, `DELETE FROM channel_rates WHERE ns = $1 AND channel = $2`, ref.Namespace, ref.Name); err != nil {
			return fmt.Errorf("forgetting the rate of channel %s/%s: %w", ref.Namespace, ref.Name, err)
		}
	}
	return nil
}

// readPauses reads the pauses that are not over, until when on this process's clock.
func (c *Channels) readPauses(ctx context.Context) (_ map[Ref]map[string]*pause, err error) {
	now := c.store.Dialect().NowMillis()
	rows, err := c.store.Query(ctx, `SELECT ns, channel, fingerprint, reason, detail, until_at - `+now+` FROM channel_pauses WHERE until_at IS NULL OR until_at > `+now)
	if err != nil {
		return nil, fmt.Errorf("reading the pauses of channels: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	stored := pauses{byChannel: map[Ref]map[string]*pause{}}
	for rows.Next() {
		var ref Ref
		var fingerprint string
		var p pause
		var left *int64
		if err := rows.Scan(&ref.Namespace, &ref.Name, &fingerprint, &p.Reason, &p.Detail, &left); err != nil {
			return nil, fmt.Errorf("reading the pauses of channels: %w", err)
		}
		if left != nil {
			p.Until = time.Now().Add(time.Duration(*left) * time.Millisecond)
		}
		stored.set(ref, fingerprint, &p)
	}
	return stored.byChannel, rows.Err()
}

// exact is by how much the end of a pause may differ from one reading of the clocks to the next.
const exact = 2 * time.Second

// takeOver makes the store's pauses those of this process, except for what has changed here meanwhile, and returns
// the channels that this stops or starts.
func (c *Channels) takeOver(stored map[Ref]map[string]*pause) (changed []Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := newPauses()
	for ref, each := range stored {
		if _, ended := c.paused.ended[ref]; ended {
			continue
		}
		for fingerprint, p := range each {
			if had := c.paused.byChannel[ref][fingerprint]; had.same(p.Pause) && had.Until.Sub(p.Until).Abs() < exact {
				p = had
			}
			next.set(ref, fingerprint, p)
		}
	}
	for _, s := range c.paused.unsaved() {
		next.set(s.ref, s.fingerprint, s.pause)
	}
	for ref, e := range c.entries {
		was, is := c.paused.of(ref, e.Fingerprint), next.of(ref, e.Fingerprint)
		if is == nil && was == nil || is != nil && was.same(is.Pause) {
			continue
		}
		if is == nil {
			c.resumed.Add(1)
		}
		changed = append(changed, ref)
	}
	c.paused.byChannel = next.byChannel
	return changed
}

// readRates tells of channels that some process has slowed down since it was looked last.
func (c *Channels) readRates(ctx context.Context) (err error) {
	if c.store == nil || c.store.Dialect() == store.SQLite {
		return nil
	}
	rows, err := c.store.Query(ctx, `SELECT ns, channel, state FROM channel_rates`)
	if err != nil {
		return fmt.Errorf("reading the rates of channels: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	cuts := map[Ref]int64{}
	for rows.Next() {
		var ref Ref
		var text string
		if err := rows.Scan(&ref.Namespace, &ref.Name, &text); err != nil {
			return fmt.Errorf("reading the rates of channels: %w", err)
		}
		var r channel.Rate
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return fmt.Errorf("reading the rate of channel %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		cuts[ref] = r.Cuts
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the rates of channels: %w", err)
	}
	before := c.cuts
	c.cuts = cuts
	if before == nil {
		return nil // of before this process was there
	}
	for ref, n := range cuts {
		for range n - before[ref] {
			c.Alert(ref, ReasonSlowedDown)
		}
	}
	return nil
}
