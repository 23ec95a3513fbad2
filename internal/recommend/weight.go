// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"fmt"
	"math"
	"math/big"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// Popularity fades: a buyer counts half as much for each half-life that has passed since they last bought. Instead of
// making old weights smaller as time passes, newer ones are made larger (forward decay): the weight of a day never
// changes, and neither does the order of two sums.
//
// Weights are whole numbers, so that what is added can be taken away again and nothing is left: the sum is the same
// in whatever order it was made. A float64 of it, which the database sorts by, would overflow in 2099.

// halfLife is in days.
const halfLife = 30

// landmark is the day 0, 2020-01-01 in UTC. What was bought 20 half-lives before it has no weight.
const landmark = 1_577_836_800_000

// weightBits is how exact a weight is at the landmark. Later ones are as exact as that, or more.
const weightBits = 20

// dayOf is the day that a purchase counts for. What is dated in the future counts as today: a typing error must not
// lead the list for years.
func dayOf(at, now int64) int64 {
	since := min(at, now) - landmark
	day := since / replenish.Day
	if since%replenish.Day < 0 {
		day--
	}
	return day
}

// mantissas are those of the days of a half-life.
var mantissas = func() (out [halfLife]*big.Int) {
	for i := range out {
		out[i] = big.NewInt(int64(math.Round(math.Exp2(weightBits + float64(i)/halfLife))))
	}
	return out
}()

// weightOf is what a buyer counts who last bought that day.
func weightOf(day int64) *big.Int {
	lives, rest := day/halfLife, day%halfLife
	if rest < 0 {
		lives, rest = lives-1, rest+halfLife
	}
	if lives < 0 {
		return new(big.Int).Rsh(mantissas[rest], uint(-lives))
	}
	return new(big.Int).Lsh(mantissas[rest], uint(lives))
}

// scoreOf is a sum of weights to sort by.
func scoreOf(weight *big.Int) float64 {
	score, _ := new(big.Float).SetInt(weight).Float64()
	return score
}

func parseWeight(text string) (*big.Int, error) {
	weight, ok := new(big.Int).SetString(text, 16)
	if !ok {
		return nil, fmt.Errorf("the weight %q is no number", text)
	}
	return weight, nil
}
