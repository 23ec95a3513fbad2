// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// desk has a reconciler's resources, each with when it is to be looked at again: what a work queue is in
// a cluster, but in an order that is the same each time.
type desk struct {
	reconciler reconcile.Reconciler
	clock      clock.PassiveClock
	// machine says that the reconciler asks to be called again on machine time, which is not followed.
	machine bool

	mu     sync.Mutex
	nudged map[types.NamespacedName]bool
	due    map[types.NamespacedName]time.Time
	// idle are those whose moments may wait until something else happens.
	idle map[types.NamespacedName]bool
}

func newDesk(r reconcile.Reconciler, clk clock.PassiveClock) *desk {
	return &desk{
		reconciler: r, clock: clk,
		nudged: map[types.NamespacedName]bool{}, due: map[types.NamespacedName]time.Time{}, idle: map[types.NamespacedName]bool{},
	}
}

// nudge has a resource looked at now. It may be called from any goroutine.
func (d *desk) nudge(ref dispatch.Ref) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nudged[types.NamespacedName(ref)] = true
}

// busy says whether somebody nudged.
func (d *desk) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.nudged) > 0
}

// work reconciles what was nudged and what is due, and says whether there was any.
func (d *desk) work(ctx context.Context) (worked bool, err error) {
	names := d.take()
	for _, name := range names {
		result, err := d.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: name})
		if err != nil {
			return true, fmt.Errorf("reconciling %s: %w", name, err)
		}
		if result.RequeueAfter > 0 && !d.machine {
			d.mu.Lock()
			d.due[name] = d.clock.Now().Add(result.RequeueAfter)
			d.mu.Unlock()
		}
	}
	return len(names) > 0, nil
}

func (d *desk) take() []types.NamespacedName {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, at := range d.due {
		if !at.After(d.clock.Now()) {
			d.nudged[name] = true
		}
	}
	names := slices.SortedFunc(maps.Keys(d.nudged), func(a, b types.NamespacedName) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for _, name := range names {
		delete(d.due, name)
	}
	clear(d.nudged)
	return names
}

// next is the first moment at which something is due that cannot wait; zero for none.
func (d *desk) next() (next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, at := range d.due {
		if !d.idle[name] {
			next = earlier(next, at)
		}
	}
	return next
}

// earlier is the earlier of two moments, either of which may be zero for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
