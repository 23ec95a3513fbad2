// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// pool lends connections, so many at a time.
type pool struct {
	slots chan struct{}
	keep  time.Duration
	dial  func(context.Context) (*conn, error)

	mu     sync.Mutex
	idle   []*conn // the latest used is the last
	closed bool
}

func newPool(size int, keep time.Duration, dial func(context.Context) (*conn, error)) *pool {
	return &pool{slots: make(chan struct{}, size), keep: keep, dial: dial}
}

// get waits for a free place and returns a connection that waited, or a new one. Every connection
// goes back with put or drop.
func (p *pool) get(ctx context.Context) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, &stepError{connecting, ctx.Err()}
	}
	for {
		c, err := p.waiting()
		if err != nil {
			<-p.slots
			return nil, err
		}
		if c == nil {
			break
		}
		if c.alive() {
			c.reused = true
			return c, nil
		}
		_ = c.raw.Close()
	}
	c, err := p.dial(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

// waiting takes the connection used last out of those that wait; nil when none does.
func (p *pool) waiting() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, &stepError{connecting, channel.ErrClosed}
	}
	if len(p.idle) == 0 {
		return nil, nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	c.idle.Stop()
	return c, nil
}

// put gives a connection back for the next mail.
func (p *pool) put(c *conn) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	if !p.closed {
		c.idle = time.AfterFunc(p.keep, func() { p.expire(c) })
		p.idle = append(p.idle, c)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	c.quit()
}

// drop closes a connection that cannot be used again.
func (p *pool) drop(c *conn) {
	_ = c.raw.Close()
	p.release()
}

// release gives a place back that has no connection any more.
func (p *pool) release() { <-p.slots }

func (p *pool) expire(c *conn) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		c.quit()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range idle {
		c.idle.Stop()
		all.Go(c.quit)
	}
	all.Wait()
}
