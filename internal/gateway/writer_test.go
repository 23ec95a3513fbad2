// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// TestManyAtOnce: everybody's open is there when they have their answer, and none is there twice.
func TestManyAtOnce(t *testing.T) {
	stores(t, func(f *fixture) {
		ids := make([]uuid.UUID, 60)
		for i := range ids {
			ids[i] = f.message("email", "mail", "sent")
		}
		var all sync.WaitGroup
		for i := range 4 * len(ids) {
			all.Add(1)
			go func() {
				defer all.Done()
				id, kind := ids[i%len(ids)], content.Open
				want := http.StatusOK
				if i%2 == 1 {
					kind, want = content.Click, http.StatusFound
				}
				r := request(http.MethodGet, f.token(kind, id), "")
				r.RemoteAddr = fmt.Sprintf("198.51.100.%d:443", i%200)
				if w := f.do(r); w.Code != want {
					f.Errorf("status %d", w.Code)
				}
				if f.count(`SELECT COUNT(*) FROM messages WHERE id = $1 AND opened_at IS NOT NULL`, id.String()) != 1 {
					f.Error("answered before it was written")
				}
			}()
		}
		all.Wait()
		if n := f.count(`SELECT COUNT(*) FROM receipts`); n != len(ids) {
			f.Errorf("%d receipts, want one a message, as each is only opened or only clicked", n)
		}
	})
}

// TestOneThatFailsTakesNobodyWithIt fills one transaction with changes of which two cannot be written.
func TestOneThatFailsTakesNobodyWithIt(t *testing.T) {
	stores(t, func(f *fixture) {
		w := f.gateway.writer
		begun, free := make(chan struct{}), make(chan struct{})
		var once sync.Once
		errs := make(chan error, 11)
		go func() { // holds the writer until all the others stand in line
			errs <- w.write(f.Context(), func(context.Context, *store.Tx) (ref, error) {
				once.Do(func() { close(begun) })
				<-free
				return ref{}, nil
			})
		}()
		<-begun
		boom := errors.New("boom")
		for i := range 10 {
			go func() {
				errs <- w.write(f.Context(), func(ctx context.Context, tx *store.Tx) (ref, error) {
					switch i {
					case 4:
						return ref{}, boom
					case 7: // PostgreSQL fails all that follows in its transaction
						_, err := tx.Exec(ctx, `INSERT INTO nowhere (x) VALUES (1)`)
						return ref{}, errors.Join(boom, err)
					}
					_, err := tx.Exec(ctx, `INSERT INTO keys (name, value, created_at) VALUES ($1, '', 0)`, fmt.Sprint(i))
					return ref{"shop", "second"}, err
				})
			}()
		}
		for {
			w.mu.Lock()
			n := len(w.queue)
			w.mu.Unlock()
			if n == 10 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		close(free)
		failed := 0
		for range cap(errs) {
			switch err := <-errs; {
			case errors.Is(err, boom):
				failed++
			case err != nil:
				f.Error(err)
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM keys`); failed != 2 || n != 8 {
			f.Errorf("%d failed and %d were written, want 2 and 8", failed, n)
		}
		if err := w.wait(f.Context()); err != nil {
			f.Error(err)
		}
		if w.queue != nil || w.writing {
			f.Error("the writer does not rest")
		}
	})
}

func TestAFullQueueIsRefused(t *testing.T) {
	f := newSQLite(t)
	w := f.gateway.writer
	w.writing = true // nobody drains
	w.queue = make([]*pending, writeQueue)
	if err := w.write(t.Context(), nil); !errors.Is(err, errBusy) {
		t.Errorf("write: %v, want %v", err, errBusy)
	}
	w.queue = nil
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.write(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("write: %v, want an end of patience", err)
	}
}
