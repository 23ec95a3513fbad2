// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/tracking"
)

const (
	// intakeBatch is how many facts share a transaction, about.
	intakeBatch = 2000
	// intakeQueue is how many may wait for one.
	intakeQueue = 50_000
)

// An intake lets the facts of requests that come together share a transaction, and its statements too: a
// thousand events cost little more than one. Like a writer it writes at once what is alone, and lets what
// comes meanwhile gather.
type intake struct {
	store *store.Store
	clock clock.PassiveClock
	log   logr.Logger

	mu      sync.Mutex
	queue   []*delivery
	size    int
	writing bool
	running sync.WaitGroup
}

// delivery is what one request brings.
type delivery struct {
	ns    string
	facts *tracking.Facts
	done  chan error
}

// write returns when the facts are durable, or says why they are not. When ctx ends first they may be
// written all the same.
func (in *intake) write(ctx context.Context, ns string, facts *tracking.Facts) error {
	if facts.Size() == 0 {
		return nil
	}
	d := &delivery{ns: ns, facts: facts, done: make(chan error, 1)}
	in.mu.Lock()
	if in.size > 0 && in.size+facts.Size() > intakeQueue {
		in.mu.Unlock()
		return errBusy
	}
	in.queue = append(in.queue, d)
	in.size += facts.Size()
	if !in.writing {
		in.writing = true
		in.running.Add(1)
		go in.drain()
	}
	in.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	select {
	case err := <-d.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the store: %w", ctx.Err())
	}
}

// wait returns when nothing is being written.
func (in *intake) wait(ctx context.Context) error { return waitFor(ctx, &in.running) }

func (in *intake) drain() {
	defer in.running.Done()
	for {
		batch := in.next()
		if batch == nil {
			return
		}
		in.flush(batch)
	}
}

// next takes deliveries for one shop off the queue, in their order, and nil at its end.
func (in *intake) next() []*delivery {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) == 0 {
		in.queue, in.writing = nil, false
		return nil
	}
	var batch, rest []*delivery
	size := 0
	for _, d := range in.queue {
		if d.ns != in.queue[0].ns || size > 0 && size+d.facts.Size() > intakeBatch {
			rest = append(rest, d)
			continue
		}
		batch = append(batch, d)
		size += d.facts.Size()
	}
	in.queue = rest
	in.size -= size
	return batch
}

func (in *intake) flush(batch []*delivery) {
	err := in.commit(batch)
	if err != nil && len(batch) > 1 && in.answers() {
		// What cannot be written must not take the others with it.
		for _, d := range batch {
			in.answer([]*delivery{d}, in.commit([]*delivery{d}))
		}
		return
	}
	in.answer(batch, err)
}

// answers tells whether the store does, so that it was what came that it did not take.
func (in *intake) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return in.store.Ping(ctx) == nil
}

func (in *intake) commit(batch []*delivery) error {
	// Not a request's context: the others' facts are in this transaction too.
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	all := batch[0].facts
	if len(batch) > 1 {
		all = &tracking.Facts{}
		for _, d := range batch {
			all.Add(d.facts)
		}
	}
	return in.store.Tx(ctx, func(tx *store.Tx) error { return all.Write(ctx, tx, batch[0].ns, in.clock.Now()) })
}

func (in *intake) answer(batch []*delivery, err error) {
	if err != nil {
		in.log.Error(store.WithoutData(err), "Could not write what was tracked", "requests", len(batch))
	}
	for _, d := range batch {
		d.done <- err
	}
}
