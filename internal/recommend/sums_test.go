// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// TestPrior holds the prior of sums against that of replenish, which reads all orders.
func TestPrior(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var sample replenish.Sample
	s := newSums()
	for customer := range 400 {
		mean := math.Log(30) + 0.5*r.NormFloat64()
		var history replenish.History
		var b bought
		at := 0.0
		for range 1 + r.IntN(9) {
			sample.Add(fmt.Sprint(customer), int64(at*replenish.Day))
			if logDays, ends := history.Add(int64(at * replenish.Day)); ends {
				b.logSum += millionths(logDays)
				b.logSquares += millionths(logDays * logDays)
			}
			at += math.Exp(mean + 0.4*r.NormFloat64())
		}
		b.purchases = history.Purchases
		s.count(b, 1)
	}
	want, _ := sample.Prior()
	got, ok := s.prior()
	if !ok || got.Intervals != want.Intervals || math.Abs(got.Centre-want.Centre) > 0.1 || math.Abs(got.Within-want.Within) > 1e-5 || math.Abs(got.K-want.K) > 1e-4 {
		t.Errorf("got %+v, want %+v but for the median", got, want)
	}
	if _, ok := newSums().prior(); ok {
		t.Error("nothing has a prior")
	}
}
