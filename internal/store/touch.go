// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"slices"
)

// Touched says what kind of thing was learnt about a customer, as bits.
type Touched int64

// The kinds of things. Events and segments have bits by their names, of which several share one: who
// asks for one of them looks at some customers too many, never at one too few.
const (
	TouchedOrders Touched = 1 << iota
	// TouchedCustomer is another address or attribute.
	TouchedCustomer
	// TouchedReach is another set of channels that reach the customer.
	TouchedReach
	TouchedSubscription
	TouchedEngagement
	TouchedFavourite
	TouchedReplenishment
	// TouchedNew is a customer of whom nothing was known.
	TouchedNew

	firstEventBit, eventBits     = 8, 27
	firstSegmentBit, segmentBits = firstEventBit + eventBits, 27

	// TouchedAnything is everything that may be learnt.
	TouchedAnything Touched = 1<<(firstSegmentBit+segmentBits) - 1
)

// TouchedEvent is an event of that name.
func TouchedEvent(name string) Touched { return bitOf(name, firstEventBit, eventBits) }

// TouchedSegment is that the customer entered or left the segment of that name.
func TouchedSegment(name string) Touched { return bitOf(name, firstSegmentBit, segmentBits) }

func bitOf(name string, from, bits uint32) Touched {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	return 1 << (from + hash.Sum32()%bits)
}

// touches are those of a transaction, by namespace and customer.
type touches map[string]map[string]*touch

type touch struct {
	kinds Touched
	// before is the standing that the transaction found.
	before Field[standing]
}

// standing is what percentages rank a customer by: the counted orders, their total, and the last of
// them. Who has none is not ranked.
type standing struct{ orders, spend, last int64 }

// Touch records that something was learnt about a customer in this transaction, so that the next
// refresh of a segment looks at them. It is written when the transaction commits.
func (t *Tx) Touch(ns, customer string, what Touched) { t.touchOf(ns, customer).kinds |= what }

// touchOrders is Touch for metrics that changed. What they were before lets thresholds be kept.
func (t *Tx) touchOrders(ns string, old metricsRow, customer string) {
	o := t.touchOf(ns, customer)
	o.kinds |= TouchedOrders
	if _, known := o.before.Get(); !known {
		last, _ := old.last.Get()
		o.before = Value(standing{old.orders, old.spend, last})
	}
}

func (t *Tx) touchOf(ns, customer string) *touch {
	if t.touched == nil {
		t.touched = touches{}
	}
	of := t.touched[ns]
	if of == nil {
		of = map[string]*touch{}
		t.touched[ns] = of
	}
	o := of[customer]
	if o == nil {
		o = &touch{}
		of[customer] = o
	}
	return o
}

var touchedColumns = []string{"ns", "seq", "customer_id", "kinds", "orders_before", "spend_before", "last_before"}

// writeTouches is the last thing a transaction does: from here to its commit it holds the shop's row
// of the feed, so that numbers are taken in the order of commits, and nobody waits longer for it.
func (t *Tx) writeTouches(ctx context.Context) error {
	for _, ns := range slices.Sorted(maps.Keys(t.touched)) {
		if err := t.arriveChanged(ctx, ns, t.touched[ns]); err != nil {
			return err
		}
		// Without a segment or recommendations nobody will ask; the first of them looks at everybody.
		var seq int64
		var asked bool
		if err := t.QueryRow(ctx, `INSERT INTO feeds (ns, seq, complete_from) VALUES ($1, 1, 1)
			ON CONFLICT (ns) DO UPDATE SET seq = feeds.seq + 1,
				complete_from = CASE WHEN EXISTS (SELECT 1 FROM segments s WHERE s.ns = feeds.ns) OR EXISTS (SELECT 1 FROM recommendations r WHERE r.ns = feeds.ns)
					THEN feeds.complete_from ELSE feeds.seq + 1 END
			RETURNING seq, seq > complete_from`, ns).Scan(&seq, &asked); err != nil {
			return fmt.Errorf("number what was touched: %w", err)
		}
		if !asked {
			continue
		}
		if _, err := BulkInsert(ctx, t, "touched", touchedColumns, touchedRows(ns, seq, t.touched[ns])); err != nil {
			return err
		}
	}
	t.touched = nil
	return nil
}

func touchedRows(ns string, seq int64, of map[string]*touch) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, len(touchedColumns))
		for _, id := range slices.Sorted(maps.Keys(of)) {
			o := of[id]
			row[0], row[1], row[2], row[3], row[4], row[5], row[6] = ns, seq, id, int64(o.kinds), nil, nil, nil
			if before, known := o.before.Get(); known && before.orders > 0 {
				row[4], row[5], row[6] = before.orders, before.spend, before.last
			}
			if !yield(row) {
				return
			}
		}
	}
}
