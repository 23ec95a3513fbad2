// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"time"
)

// Step follows the feeds of all shops once, without the pauses that Run makes. It takes the place of Run
// where somebody else moves the clock.
func (f *Follower) Step(ctx context.Context) error {
	if f.shops == nil {
		f.shops = map[string]*followed{}
	}
	for _, shop := range f.shops {
		shop.next = time.Time{}
		clear(shop.full)
	}
	return f.follow(ctx)
}
