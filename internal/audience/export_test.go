// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// SetUpPlanner does to a transaction what a refresh does before it evaluates.
func SetUpPlanner(ctx context.Context, tx *store.Tx) error {
	if tx.Dialect() == store.SQLite {
		return nil
	}
	_, err := tx.Exec(ctx, plannerSettings)
	return err
}
