// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Alias says that a customer is another one.
type Alias struct{ PreviousID, CustomerID string }

// Validate tells what an alias cannot be.
func (a *Alias) Validate() error {
	if err := validID("previous_id", a.PreviousID); err != nil {
		return err
	}
	if err := validID("customer_id", a.CustomerID); err != nil {
		return err
	}
	if a.PreviousID == a.CustomerID {
		return &FieldError{"previous_id", "is the same as customer_id: write the id that the customer had before"}
	}
	return nil
}

// MergeAll merges customers in their order. now is the business time.
func (t *Tx) MergeAll(ctx context.Context, ns string, aliases []Alias, now time.Time) (counts Counts, err error) {
	for _, a := range aliases {
		merged, err := t.Merge(ctx, ns, a.PreviousID, a.CustomerID, now)
		switch {
		case err != nil:
			return Counts{}, err
		case merged:
			counts.New++
		default:
			counts.Unchanged++
		}
	}
	return counts, nil
}

// Survivors are the customers into whom these were merged, by the ids that are aliases. Whoever writes
// facts of customers asks first, and writes them for the survivors.
func (t *Tx) Survivors(ctx context.Context, ns string, ids []string) (map[string]string, error) {
	var of map[string]string
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var alias, survivor string
		err := rows.Scan(&alias, &survivor)
		if of == nil {
			of = map[string]string{}
		}
		of[alias] = survivor
		return err
	}, `SELECT alias, customer_id FROM aliases WHERE ns = $1 AND alias `+t.dialect.AnyText(2), ns, List(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("read aliases: %w", err)
	}
	return of, nil
}

// survivor is Survivors for one, who is their own where they are no alias.
func (t *Tx) survivor(ctx context.Context, ns, id string) (string, error) {
	of, err := t.Survivors(ctx, ns, []string{id})
	if survivor, merged := of[id]; merged {
		id = survivor
	}
	return id, err
}

// ofSurvivors gives facts to those into whom their customers were merged. It changes none of the facts it
// was given: a transaction that begins again gets them as they were said.
func ofSurvivors[F any](ctx context.Context, t *Tx, ns string, facts []F, customer func(*F) *string) ([]F, error) {
	ids := make([]string, len(facts))
	for i := range facts {
		ids[i] = *customer(&facts[i])
	}
	of, err := t.Survivors(ctx, ns, distinct(ids))
	if err != nil || len(of) == 0 {
		return facts, err
	}
	facts = append([]F(nil), facts...)
	for i := range facts {
		if survivor, merged := of[*customer(&facts[i])]; merged {
			*customer(&facts[i]) = survivor
		}
	}
	return facts, nil
}

// notMerged makes the transaction begin again where one of these customers, whose rows it has locked or
// made, was merged into another one while it waited for that.
func (t *Tx) notMerged(ctx context.Context, ns string, ids []string) error {
	if t.dialect == SQLite || len(ids) == 0 {
		return nil // nobody else can have written
	}
	of, err := t.Survivors(ctx, ns, ids)
	if err == nil && len(of) > 0 {
		err = fmt.Errorf("a customer was merged: %w", ErrRetry)
	}
	return err
}
