// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

func TestWeight(t *testing.T) {
	for day := int64(-700); day < 365*79; day += 13 {
		weight, later := weightOf(day), weightOf(day+halfLife)
		if half := new(big.Int).Rsh(later, 1); half.Cmp(weight) != 0 {
			t.Fatalf("day %d weighs %s, and a half-life later twice %s", day, weight, half)
		}
		if day < 0 {
			continue
		}
		want := math.Exp2(weightBits + float64(day)/halfLife)
		if got := scoreOf(weight); math.Abs(got/want-1) > 1e-6 {
			t.Fatalf("day %d scores %g, want %g", day, got, want)
		}
	}
	if weightOf(-halfLife*(weightBits+1)).Sign() != 0 {
		t.Error("what was long before the landmark has a weight")
	}
	crowd := new(big.Int).Mul(weightOf(365*79), big.NewInt(1e9))
	if math.IsInf(scoreOf(crowd), 0) {
		t.Error("the score of a billion buyers overflows before 2099")
	}
	if back, err := parseWeight(crowd.Text(16)); err != nil || back.Cmp(crowd) != 0 {
		t.Error(back, err)
	}
	if _, err := parseWeight("x"); err == nil {
		t.Error("x is a weight")
	}
}

func TestDay(t *testing.T) {
	now := store.Millis(time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC))
	for at, want := range map[time.Time]int64{
		time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC):         0,
		time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC):    -1,
		time.Date(2019, 12, 31, 0, 0, 0, 0, time.UTC):       -1,
		time.Date(2019, 12, 30, 23, 0, 0, 0, time.UTC):      -2,
		time.Date(2020, 1, 2, 23, 59, 0, 0, time.UTC):       1,
		time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC):         2435,
		time.Date(2099, 9, 1, 0, 0, 0, 0, time.UTC):         2435,
		time.Date(2026, 9, 1, 23, 59, 59, 0, time.UTC):      2435,
		time.Date(2026, 8, 31, 23, 59, 59, 999e6, time.UTC): 2434,
	} {
		if got := dayOf(store.Millis(at), now); got != want {
			t.Errorf("%s is day %d, want %d", at, got, want)
		}
	}
}

func TestNameStaysAsItIs(t *testing.T) {
	if got := name(japanese.together, "100%s"); got != "「100%s」をお買い上げの方に選ばれています" {
		t.Error(got)
	}
}
