// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"math"
	"testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

func shares(weights ...int32) *Experiment {
	x := &Experiment{}
	for i, w := range weights {
		x.Variants = append(x.Variants, crm.VariantShare{Name: string(rune('a' + i)), Weight: w})
	}
	return x
}

func assigned(x *Experiment, n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		c := fmt.Sprintf("c%06d", i)
		out[c] = x.Assign("shop", "welcome", "", "hello", c)
	}
	return out
}

func TestVariantsGetTheirShares(t *testing.T) {
	const n = 60_000
	for _, weights := range [][]int32{{50, 50}, {1, 2, 3}, {90, 10}, {1, 0, 1}, {1000, 1}, {0, 7}} {
		total := int32(0)
		for _, w := range weights {
			total += w
		}
		counts := map[string]int{}
		for _, v := range assigned(shares(weights...), n) {
			counts[v]++
		}
		for i, w := range weights {
			p := float64(w) / float64(total)
			got := counts[string(rune('a'+i))]
			if off := math.Abs(float64(got) - n*p); off > 4*math.Sqrt(n*p*(1-p)) {
				t.Errorf("%v: %d of %d got variant %d, want %.0f", weights, got, n, i, n*p)
			}
		}
	}
}

// TestVariantsAreKept: one that is added takes from all, and moves nobody between the others; one that is
// removed moves only its own; another order changes nothing.
func TestVariantsAreKept(t *testing.T) {
	const n = 10_000
	two, three := assigned(shares(50, 50), n), assigned(shares(50, 50, 50), n)
	moved := 0
	for c, v := range two {
		switch now := three[c]; now {
		case v:
		case "c":
			moved++
		default:
			t.Fatalf("%s went from %s to %s when c was added", c, v, now)
		}
	}
	if p := 1.0 / 3; math.Abs(float64(moved)-n*p) > 4*math.Sqrt(n*p*(1-p)) {
		t.Errorf("%d of %d went to the new variant", moved, n)
	}
	turned := shares(50, 50)
	turned.Variants[0], turned.Variants[1] = turned.Variants[1], turned.Variants[0]
	for c, v := range assigned(turned, n) {
		if v != two[c] {
			t.Fatalf("%s has another variant in another order", c)
		}
	}
	// Another step draws anew.
	same := 0
	for c, v := range two {
		if shares(50, 50).Assign("shop", "welcome", "", "bye", c) == v {
			same++
		}
	}
	if math.Abs(float64(same)-n/2) > 4*math.Sqrt(n/4) {
		t.Errorf("%d of %d have the same variant of two steps", same, n)
	}
}
