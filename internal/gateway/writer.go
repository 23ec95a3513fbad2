// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// writeBatch is how many changes share a transaction at most.
	writeBatch = 200
	// writeQueue is how many may wait for one.
	writeQueue = 5000
	// writeTimeout bounds a transaction, on machine time.
	writeTimeout = 10 * time.Second
	// writePatience is how long a request waits for its change to be written.
	writePatience = 12 * time.Second
)

var errBusy = errors.New("too many changes are waiting to be written")

// A change is what one request does to the store. It returns the scenario whose numbers it changed,
// or none. It may be run more than once, so it must have no effect elsewhere.
type change func(ctx context.Context, tx *store.Tx) (scenario ref, err error)

type ref struct{ ns, scenario string }

// A writer lets the changes of requests that come together share a transaction: a commit costs a
// disk's flush, and on SQLite, where there is one writer, each would stand in line with the senders.
// While one transaction runs the next one's changes gather; one that is alone is written at once.
type writer struct {
	store  *store.Store
	log    logr.Logger
	notify func(ns, scenario string)

	mu      sync.Mutex
	queue   []*pending
	writing bool
	running sync.WaitGroup
}

type pending struct {
	change change
	ref    ref
	done   chan error
}

// write returns when the change is durable, or says why it is not. When ctx ends first the change
// may be written all the same.
func (w *writer) write(ctx context.Context, c change) error {
	p := &pending{change: c, done: make(chan error, 1)}
	w.mu.Lock()
	if len(w.queue) >= writeQueue {
		w.mu.Unlock()
		return errBusy
	}
	w.queue = append(w.queue, p)
	if !w.writing {
		w.writing = true
		w.running.Add(1)
		go w.drain()
	}
	w.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("wait for the store: %w", ctx.Err())
	}
}

// wait returns when nothing is being written.
func (w *writer) wait(ctx context.Context) error { return waitFor(ctx, &w.running) }

func waitFor(ctx context.Context, running *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write what came in: %w", ctx.Err())
	}
}

func (w *writer) drain() {
	defer w.running.Done()
	for {
		w.mu.Lock()
		n := min(len(w.queue), writeBatch)
		batch := w.queue[:n:n]
		w.queue = w.queue[n:]
		if n == 0 {
			w.queue, w.writing = nil, false
		}
		w.mu.Unlock()
		if n == 0 {
			return
		}
		w.flush(batch)
	}
}

func (w *writer) flush(batch []*pending) {
	err := w.commit(batch)
	if err == nil || len(batch) == 1 {
		w.answer(batch, err)
		return
	}
	// One change that cannot be written must not take the others with it.
	for i := range batch {
		w.answer(batch[i:i+1], w.commit(batch[i:i+1]))
	}
}

func (w *writer) commit(batch []*pending) error {
	// Not a request's context: the others' changes are in this transaction too.
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return w.store.Tx(ctx, func(tx *store.Tx) (err error) {
		for _, p := range batch {
			if p.ref, err = p.change(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// answer tells the requests, and then whoever writes the status of their scenarios, each once.
func (w *writer) answer(batch []*pending, err error) {
	if err != nil {
		w.log.Error(err, "Could not write what came in", "changes", len(batch))
	}
	told := map[ref]bool{{}: true}
	for _, p := range batch {
		p.done <- err
		if err == nil && !told[p.ref] {
			told[p.ref] = true
			w.notify(p.ref.ns, p.ref.scenario)
		}
	}
}
