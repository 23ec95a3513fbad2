// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Keeper keeps what recommendations are made from up to date with the orders, for the shops that want it.
type Keeper struct {
	Store *store.Store
	Clock clock.Clock
	Log   logr.Logger
	// Wanted are the namespaces whose scenarios recommend something.
	Wanted func() []string

	shops  map[string]*kept
	tidied time.Time // on business time
}

type kept struct {
	seq   int64     // of the feed, up to where the orders are counted
	noted time.Time // on business time: when the row last said that somebody looks
	next  time.Time // not before, on machine time
}

const (
	// keepEvery is how often the feed is looked at, which costs one read of a row a shop.
	keepEvery = time.Second
	// rest is how much longer than the work the pause after it is, and walkRest the same between the pieces of
	// a walk, which ends.
	rest     = 4
	walkRest = 1
	// turn is how long a shop is worked for before the next one has its turn.
	turn = 10 * time.Second
	// noteEvery is how often a shop's row says that somebody looks, so that the feed is kept for it.
	noteEvery = time.Hour
	// keptFor is how long the rows of a shop are kept that nobody wants.
	keptFor   = 7 * 24 * time.Hour
	tidyEvery = time.Hour
)

// Run keeps up with the orders until ctx ends. Two at once do no harm.
func (k *Keeper) Run(ctx context.Context) error {
	k.shops = map[string]*kept{}
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := k.keep(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error(err, "Orders could not be counted for recommendations, and will be tried again")
		}
	}
}

// CatchUp does all that there is to do for a shop now, without a rest.
func (k *Keeper) CatchUp(ctx context.Context, ns string) error {
	for more := true; more; {
		var err error
		if more, err = k.step(ctx, ns); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) keep(ctx context.Context) error {
	wanted := slices.Sorted(slices.Values(k.Wanted()))
	wanted = slices.Compact(wanted)
	failed := k.tidy(ctx, wanted)
	if len(wanted) == 0 {
		return failed
	}
	feeds, err := store.Feeds(ctx, k.Store)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, ns := range wanted {
		failed = errors.Join(failed, k.shop(ctx, ns, feeds[ns]))
	}
	return failed
}

// shop gives a shop a turn if its feed has gone on to seq, or its row should say that somebody looks.
func (k *Keeper) shop(ctx context.Context, ns string, seq int64) error {
	shop := k.shops[ns]
	if shop == nil {
		shop = &kept{}
		k.shops[ns] = shop
	}
	began, now := clock.Real().Now(), k.Clock.Now()
	if seq == shop.seq && now.Before(shop.noted.Add(noteEvery)) || began.Before(shop.next) {
		return nil
	}
	more, err := k.turn(ctx, ns, began)
	took := clock.Real().Since(began)
	shop.next = began.Add(took + max(rest*took, keepEvery))
	switch {
	case err != nil:
		return err
	case more: // it has rested in its turn
		shop.next = clock.Real().Now()
	default:
		shop.seq, shop.noted = seq, now
	}
	return nil
}

func (k *Keeper) turn(ctx context.Context, ns string, began time.Time) (more bool, err error) {
	for {
		piece := clock.Real().Now()
		if more, err = k.step(ctx, ns); err != nil || !more {
			return more, err
		}
		ended := clock.Real().Now()
		if ended.Sub(began) > turn {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-time.After(walkRest * ended.Sub(piece)):
		}
	}
}

// tidy drops the rows of shops that nobody has wanted for a week.
func (k *Keeper) tidy(ctx context.Context, wanted []string) error {
	now := k.Clock.Now()
	if now.Before(k.tidied.Add(tidyEvery)) {
		return nil
	}
	old, err := store.Texts(ctx, k.Store, `SELECT ns FROM recommendations WHERE seen_at < $1 OR state = 'dropping' ORDER BY ns`, store.Millis(now.Add(-keptFor)))
	if err != nil {
		return fmt.Errorf("find recommendations that nobody wants: %w", err)
	}
	for _, ns := range old {
		if slices.Contains(wanted, ns) {
			continue
		}
		if err := k.drop(ctx, ns); err != nil {
			return fmt.Errorf("drop the recommendations of %s: %w", ns, err)
		}
		delete(k.shops, ns)
	}
	k.tidied = now
	return nil
}

func (k *Keeper) drop(ctx context.Context, ns string) error {
	if _, err := k.Store.Exec(ctx, `UPDATE recommendations SET state = 'dropping' WHERE ns = $1`, ns); err != nil {
		return err
	}
	for there := true; there; {
		err := k.Store.Tx(ctx, func(tx *store.Tx) error {
			var state string
			err := tx.QueryRow(ctx, `SELECT state FROM recommendations WHERE ns = $1`+tx.Dialect().ForUpdate(), ns).Scan(&state)
			if there = err == nil && state == stateDropping; !there {
				if store.IsNotFound(err) {
					return nil
				}
				return err
			}
			return dropSome(ctx, tx, ns)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
