// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence tells whether one group does better than another, however often somebody looks.
//
// A test at 95 % that is looked at every day, and stopped on the first day that it holds, finds a winner
// among equals far more often than one time in twenty. What is here holds at all times at once: the
// probability that it ever tells two equal groups apart is at most what is asked for. It is the mixture
// of Robbins (Ann. Math. Statist. 41, 1970) in the form for proportions whose variance is estimated, the
// asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (Ann. Statist. 52,
// 2024), which is also the always-valid p-value of Johari, Koomen, Pekelis and Walsh (Oper. Res. 70, 2022).
package evidence

import "math"

// Group is how many there are, and how many of them did it.
type Group struct{ Size, Did int64 }

// Rate is the share who did; 0 of nobody.
func (g Group) Rate() float64 {
	if g.Size <= 0 {
		return 0
	}
	return float64(g.Did) / float64(g.Size)
}

// variance of one of the group. Half a success and half a failure more keep it above 0 where all or
// nobody did it.
func (g Group) variance() float64 {
	p := (float64(g.Did) + 0.5) / (float64(g.Size) + 1)
	return p * (1 - p)
}

// smallest is how many of a group are needed before anything is said: below it, sums are not yet as
// normal as they are taken to be.
const smallest = 30

// PValue is at most p, at all times of looking at once, with probability p where two groups are equal.
// expected is the size of each at which the evidence is to be sharpest; it must be chosen beforehand, and
// any choice holds.
func PValue(a, b Group, expected int64) float64 {
	if a.Size < smallest || b.Size < smallest {
		return 1
	}
	difference := b.Rate() - a.Rate()
	v := a.variance()/float64(a.Size) + b.variance()/float64(b.Size)
	// The mixture is over differences as large as the groups' noise at the expected size.
	tau := (a.variance() + b.variance()) / float64(max(expected, smallest))
	logLambda := math.Log(v/(v+tau))/2 + difference*difference*tau/(2*v*(v+tau))
	return math.Min(1, math.Exp(-logLambda))
}

// Confidence that two groups differ: 1 - PValue.
func Confidence(a, b Group, expected int64) float64 { return 1 - PValue(a, b, expected) }

// Winner is the index of the group that is better than each other one with this confidence, and -1 where
// there is none. Every pair may be compared, since it is not known before which is the best: the error is
// shared by all.
func Winner(groups []Group, expected int64, confidence float64) int {
	if len(groups) < 2 {
		return -1
	}
	best, of := 0, groups[0]
	for i, g := range groups {
		if g.Rate() > of.Rate() {
			best, of = i, g
		}
	}
	pairs := float64(len(groups)*(len(groups)-1)) / 2
	for i, g := range groups {
		if i != best && PValue(g, of, expected) > (1-confidence)/pairs {
			return -1
		}
	}
	return best
}
