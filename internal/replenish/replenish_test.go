// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package replenish

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func historyOf(days ...float64) (h History) {
	for _, day := range days {
		h.Add(int64(day * Day))
	}
	return h
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

func TestHistory(t *testing.T) {
	for name, test := range map[string]struct {
		days      []float64
		purchases int64
		logSum    float64
	}{
		"none":                                 {nil, 0, 0},
		"one":                                  {[]float64{5}, 1, 0},
		"one before 1970":                      {[]float64{-5}, 1, 0},
		"two":                                  {[]float64{0, 10}, 2, math.Log(10)},
		"the same moment twice":                {[]float64{3, 3, 13}, 2, math.Log(10)},
		"an addition to an order":              {[]float64{0, 0.5, 10.5}, 2, math.Log(10)},
		"a day is an interval":                 {[]float64{0, 1, 3}, 3, math.Log(2)},
		"each less than a day after the other": {[]float64{0, 0.9, 1.8}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := historyOf(test.days...)
			if h.Purchases != test.purchases || !near(h.LogSum, test.logSum, 1e-12) {
				t.Errorf("%+v, want %d purchases and %v", h, test.purchases, test.logSum)
			}
		})
	}
}

func TestPredict(t *testing.T) {
	prior := Prior{Intervals: 100, Centre: math.Log(30), Within: 0.25, K: 2}
	for name, test := range map[string]struct {
		prior Prior
		days  []float64
		now   float64
		due   float64 // 0 for none
		miss  int64
	}{
		"no purchase":               {prior, nil, 0, 0, 0},
		"no prior":                  {Prior{}, []float64{0, 10}, 0, 0, 0},
		"the prior alone":           {prior, []float64{5}, 5, 35, 0},
		"half the own, half theirs": {prior, []float64{0, 10, 20}, 20, 20 + math.Sqrt(300), 0},
		"on the day":                {prior, []float64{0}, 29.9, 30, 0},
		"the day over":              {prior, []float64{0}, 30.1, 45.35, 1},
		"far away":                  {prior, []float64{0}, 3000, 0, 0},
		"not within our time":       {Prior{100, math.Log(40000), 0.25, 2}, []float64{0}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := historyOf(test.days...)
			got, ok := test.prior.Predict(h, int64(test.now*Day))
			if ok != (test.due != 0) || !near(float64(got.DueAt)/Day, test.due, 0.05) || got.Missed != test.miss {
				t.Fatalf("due on day %.2f, %d missed, %t: want %v and %d", float64(got.DueAt)/Day, got.Missed, ok, test.due, test.miss)
			}
			if again, _ := test.prior.After(h, got.Missed); ok && again != got {
				t.Errorf("after %d missed %+v, not %+v", got.Missed, again, got)
			}
		})
	}
}

// TestConfidence draws next intervals from the model: as many are within the tolerance as it says, of
// those who have not come by the time of each prediction.
func TestConfidence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	prior := Prior{Intervals: 100, Centre: math.Log(20), Within: 0.3, K: 1.5}
	h := historyOf(0, 12, 30)
	n := float64(h.Purchases - 1)
	mean, deviation := (h.LogSum+prior.K*prior.Centre)/(n+prior.K), math.Sqrt(prior.Within*(1+1/(n+prior.K)))
	const draws = 200_000
	intervals := make([]float64, draws)
	for i := range intervals {
		intervals[i] = math.Exp(mean + deviation*r.NormFloat64())
	}
	stayed := 0.0
	for missed := range int64(3) {
		p, ok := prior.After(h, missed)
		if !ok {
			t.Fatalf("no prediction after %d", missed)
		}
		due := float64(p.DueAt-h.LastAt) / Day
		var left, earlier, right float64
		for _, interval := range intervals {
			if interval <= stayed {
				continue
			}
			left++
			if interval < due {
				earlier++
			}
			if math.Abs(interval-due) <= Tolerance {
				right++
			}
		}
		if !near(earlier/left, 0.5, 0.02) {
			t.Errorf("%.3f of the intervals are shorter than prediction %d: it is no median", earlier/left, missed)
		}
		if !near(right/left, p.Confidence, 0.02) {
			t.Errorf("prediction %d is right for %.3f, and says %.3f", missed, right/left, p.Confidence)
		}
		stayed = due
	}
}

// TestPrior learns the variances that made-up customers were made with.
func TestPrior(t *testing.T) {
	for name, test := range map[string]struct{ within, between float64 }{
		"alike":     {0.5, 0.1},
		"different": {0.2, 0.6},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(2, 2))
			var s Sample
			for customer := range 3000 {
				mean := math.Log(40) + math.Sqrt(test.between)*r.NormFloat64()
				at := 0.0
				s.Add(fmt.Sprint(customer), 0)
				for range r.IntN(8) { // some never come back
					at += math.Exp(mean + math.Sqrt(test.within)*r.NormFloat64())
					s.Add(fmt.Sprint(customer), int64(at*Day))
				}
			}
			p, ok := s.Prior()
			if k := test.within / test.between; !ok || !near(p.Within, test.within, 0.1*test.within) || !near(p.K, k, 0.15*k) {
				t.Errorf("learnt %+v, %t: want within %v and k %v", p, ok, test.within, k)
			}
			if median := math.Exp(p.Centre); !near(median, 40, 2) {
				t.Errorf("the median is %.1f days, want 40", median)
			}
		})
	}
}

func TestPriorOfFew(t *testing.T) {
	for name, test := range map[string]struct {
		customers, each int
		ok              bool
		within, k       float64
	}{
		"nobody":                    {0, 0, false, 0, 0},
		"too few":                   {19, 1, false, 0, 0},
		"one interval each":         {20, 1, true, defaultWithin, defaultK},
		"too few customers":         {4, 30, true, defaultWithin, defaultK},
		"all the same, all regular": {30, 3, true, leastWithin, mostK},
	} {
		t.Run(name, func(t *testing.T) {
			var s Sample
			for customer := range test.customers {
				for i := range test.each + 1 {
					s.Add(fmt.Sprint(customer), int64(i)*7*Day)
				}
			}
			p, ok := s.Prior()
			if ok != test.ok || int(p.Intervals) != test.customers*test.each || p.Within != test.within || p.K != test.k {
				t.Errorf("learnt %+v, %t: want %+v", p, ok, test)
			}
			if ok && !near(math.Exp(p.Centre), 7, 1e-9) {
				t.Errorf("the median is %v days, want 7", math.Exp(p.Centre))
			}
		})
	}
}

func TestMoved(t *testing.T) {
	p := Prior{Intervals: 100, Centre: 3, Within: 1, K: 3}
	for name, test := range map[string]struct {
		to   Prior
		want bool
	}{
		"the same":          {p, false},
		"more intervals":    {Prior{200, 3, 1, 3}, false},
		"a little":          {Prior{100, 3.01, 1.1, 3.3}, false},
		"another median":    {Prior{100, 3.03, 1, 3}, true},
		"another variance":  {Prior{100, 3, 1.3, 3}, true},
		"another weight":    {Prior{100, 3, 1, 2}, true},
		"none where one is": {Prior{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.Moved(test.to); got != test.want {
				t.Errorf("moved is %t", got)
			}
		})
	}
	if !(Prior{}).Moved(p) || (Prior{}).Moved(Prior{}) {
		t.Error("no prior, and then one, is a move; none and none is not")
	}
}
