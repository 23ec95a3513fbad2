// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"math"
	"math/rand/v2"
	"testing"
)

// peek lets groups grow customer by customer, looks after every so many, and gives the size at which a
// winner was found, and which; 0 and -1 where there was none up to the end.
func peek(r *rand.Rand, rates []float64, upTo, every, from int64, confidence float64) (int64, int) {
	groups := make([]Group, len(rates))
	for n := int64(1); n <= upTo; n++ {
		for i, p := range rates {
			groups[i].Size++
			if r.Float64() < p {
				groups[i].Did++
			}
		}
		if n >= from && n%every == 0 {
			if w := Winner(groups, from, confidence); w >= 0 {
				return n, w
			}
		}
	}
	return 0, -1
}

// TestEqualsAreSeldomToldApart looks a hundred times at groups that are equal.
func TestEqualsAreSeldomToldApart(t *testing.T) {
	const runs = 1000
	for _, c := range []struct {
		rates []float64
		limit float64
	}{
		{[]float64{0.02, 0.02}, 0.05}, {[]float64{0.25, 0.25}, 0.05}, {[]float64{0.1, 0.1, 0.1, 0.1}, 0.05},
	} {
		r := rand.New(rand.NewPCG(1, uint64(len(c.rates))))
		found := 0
		for range runs {
			if _, w := peek(r, c.rates, 20_000, 200, 500, 0.95); w >= 0 {
				found++
			}
		}
		// Four standard deviations above the limit would be no accident.
		if most := c.limit*runs + 4*math.Sqrt(runs*c.limit*(1-c.limit)); float64(found) > most {
			t.Errorf("of %d tests among equals at %v, %d found a winner", runs, c.rates, found)
		}
		t.Logf("%v: %d of %d", c.rates, found, runs)
	}
}

// TestTheBetterOneWins: a real difference is found, and the right one.
func TestTheBetterOneWins(t *testing.T) {
	const runs = 200
	for _, c := range []struct {
		rates   []float64
		better  int
		upTo    int64
		atLeast int
	}{
		{[]float64{0.20, 0.25}, 1, 10_000, 195}, {[]float64{0.03, 0.02}, 0, 60_000, 190}, {[]float64{0.10, 0.14, 0.10}, 1, 15_000, 195},
	} {
		r := rand.New(rand.NewPCG(2, uint64(len(c.rates))))
		won, wrong := 0, 0
		for range runs {
			switch _, w := peek(r, c.rates, c.upTo, 500, 1000, 0.95); w {
			case c.better:
				won++
			case -1:
			default:
				wrong++
			}
		}
		if won < c.atLeast || wrong > 2 {
			t.Errorf("%v: the better one won %d of %d times, another %d times", c.rates, won, runs, wrong)
		}
	}
}

func TestFewSayNothing(t *testing.T) {
	if p := PValue(Group{29, 0}, Group{1000, 1000}, 100); p != 1 {
		t.Errorf("p is %v with 29 of one group", p)
	}
	if w := Winner([]Group{{100, 100}}, 100, 0.95); w != -1 {
		t.Error("one alone won")
	}
	if p := PValue(Group{1000, 0}, Group{1000, 0}, 1000); p < 1 {
		t.Errorf("p is %v where nobody did anything", p)
	}
	if c := Confidence(Group{1000, 0}, Group{1000, 1000}, 1000); c < 0.999999 {
		t.Errorf("the confidence is %v where all of one and none of the other did it", c)
	}
}
