// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package replenish

import "math"

const (
	// LeastIntervals is how many make a prior.
	LeastIntervals = 20

	// What holds where there are too few second intervals to tell, and how far from it an estimate may be.
	defaultWithin, leastWithin, mostWithin = 1.0, 0.01, 4.0
	defaultK, leastK, mostK                = 3.0, 0.2, 20.0

	// Intervals of one bin differ by less than a percent.
	binsPerUnit = 128
	bins        = 12 * binsPerUnit // up to e^12 days, 445 years
)

// Moments are sums over customers who have intervals, of whom each has n with the logarithms x.
type Moments struct {
	Customers, Intervals float64
	Sum                  float64 // Σ x
	WithinSquares        float64 // Σ x² - (Σ x)²/n
	MeanSquares          float64 // (Σ x)²/n
	CountsSquared        float64 // n²
}

// Sample learns a prior from orders. Its size does not depend on how many there are.
type Sample struct {
	customer string
	history  History
	squares  float64 // of the customer's log intervals

	moments Moments
	counts  [bins]int64
	sums    [bins]float64
}

// Add adds an order. All of a customer's come in a row, in the order of their times.
func (s *Sample) Add(customer string, at int64) {
	if customer != s.customer {
		s.fold()
		s.customer, s.history, s.squares = customer, History{}, 0
	}
	if logDays, ends := s.history.Add(at); ends {
		s.squares += logDays * logDays
		bin := min(int(logDays*binsPerUnit), bins-1)
		s.counts[bin]++
		s.sums[bin] += logDays
	}
}

// fold adds the customer's sums to those of all.
func (s *Sample) fold() {
	n := float64(s.history.Purchases - 1)
	if n < 1 {
		return
	}
	ofMean := s.history.LogSum * s.history.LogSum / n
	m := &s.moments
	m.Customers++
	m.Intervals += n
	m.Sum += s.history.LogSum
	m.WithinSquares += s.squares - ofMean
	m.MeanSquares += ofMean
	m.CountsSquared += n * n
}

// Prior ends the sample. There is none where the intervals are too few.
func (s *Sample) Prior() (Prior, bool) {
	s.fold()
	s.history = History{}
	p, ok := s.moments.Prior()
	if ok {
		p.Centre = s.median()
	}
	return p, ok
}

// Prior is the prior with the mean for its centre, which is the median of what is lognormal. There is none
// where the intervals are too few.
func (m Moments) Prior() (Prior, bool) {
	if m.Intervals < LeastIntervals {
		return Prior{Intervals: int64(m.Intervals)}, false
	}
	p := Prior{Intervals: int64(m.Intervals), Centre: m.Sum / m.Intervals, Within: defaultWithin, K: defaultK}
	free := m.Intervals - m.Customers
	if free < LeastIntervals || m.Customers < LeastIntervals {
		return p, true
	}
	// The variances of a one-way classification with unequal groups, by their moments.
	within := m.WithinSquares / free
	perCustomer := (m.Intervals - m.CountsSquared/m.Intervals) / (m.Customers - 1)
	between := ((m.MeanSquares-m.Sum*m.Sum/m.Intervals)/(m.Customers-1) - within) / perCustomer
	p.Within, p.K = min(max(within, leastWithin), mostWithin), mostK
	if between > 0 {
		p.K = min(max(p.Within/between, leastK), mostK)
	}
	return p, true
}

// median is the mean of the bin that holds the middle interval.
func (s *Sample) median() float64 {
	middle := int64(math.Ceil(s.moments.Intervals / 2))
	for bin, count := range s.counts {
		if middle -= count; middle <= 0 {
			return s.sums[bin] / float64(count)
		}
	}
	return 0
}

// Moved tells whether another prior makes other dates: by more than two percent of an interval, or
// by a fifth of what a customer's own intervals weigh or vary.
func (p Prior) Moved(to Prior) bool {
	if (p.Intervals == 0) != (to.Intervals == 0) {
		return true
	}
	apart := func(a, b float64) bool { return math.Abs(a-b) > 0.2*b }
	return p.Intervals > 0 && (math.Abs(p.Centre-to.Centre) > 0.02 || apart(to.Within, p.Within) || apart(to.K, p.K))
}
