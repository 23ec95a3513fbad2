// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

var suppressions = table[store.Suppression]{
	columns: map[string]func(*store.Suppression, cell, *Options) error{
		"channel": required(func(s *store.Suppression) *string { return &s.Channel }, text),
		"address": required(func(s *store.Suppression) *string { return &s.Address }, text),
		"reason": func(s *store.Suppression, value cell, _ *Options) (err error) {
			s.Reason, err = value.plain()
			return err
		},
		// As an export has it. When an address came to the list it is imported into is what counts there.
		"at": func(*store.Suppression, cell, *Options) error { return nil },
	},
	required: []string{"channel", "address"},
	validate: (*store.Suppression).Check,
	upsert: func(ctx context.Context, tx *store.Tx, ns string, facts []store.Suppression, now time.Time) (store.Counts, error) {
		return tx.UpsertSuppressions(ctx, ns, facts, now)
	},
}
