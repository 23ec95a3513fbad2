// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// MomentOf is what SQLite asks Go for.
func MomentOf(text string, zone *time.Location) (time.Time, bool) { return momentOf(text, zone) }

// UsesNow tells whether an expression depends on the time.
func UsesNow(text string) (bool, error) {
	s := &statement{env: Env{Dialect: store.SQLite}, bound: make(map[any]int)}
	_, usesNow, err := s.expression(text, "spec")
	return usesNow, err
}
