// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"testing"
)

// SetAtOnce makes batches of another size for a test.
func SetAtOnce(t *testing.T, n int) {
	was := atOnce
	atOnce = n
	t.Cleanup(func() { atOnce = was })
}

// Step does one piece of the work.
func (k *Keeper) Step(ctx context.Context, ns string) (more bool, err error) { return k.step(ctx, ns) }

// Keep is a look at all shops, at most one a second of Run.
func (k *Keeper) Keep(ctx context.Context) error {
	if k.shops == nil {
		k.shops = map[string]*kept{}
	}
	return k.keep(ctx)
}
