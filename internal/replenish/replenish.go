// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package replenish predicts when a customer buys again: a product, something of a category, or
// anything. It is arithmetic alone; docs/replenishment.md has the model, its sources, and how well it
// does on real purchases. Times are milliseconds since 1970 UTC.
package replenish

import "math"

// Day is a day in milliseconds. Intervals are counted in days.
const Day = 24 * 60 * 60 * 1000

// Tolerance is how many days a purchase may be off its predicted date for the prediction to be right.
const Tolerance = 7

// leastSurvival is how unlikely it may be, for who will come back, to have stayed away so long.
// Beyond it the lognormal knows nothing, and there is no prediction.
const leastSurvival = 0.001

// farthest is the longest interval that is predicted, in days.
const farthest = 100 * 365

// History is what a prediction needs of a customer's purchases.
type History struct {
	Purchases int64   // orders less than a day after the order before are of the same purchase
	LastAt    int64   // the last order
	LogSum    float64 // of the natural logarithms of the intervals, of which there is one less than purchases
}

// Add adds an order that is not before the last. It returns the logarithm of the interval that this
// ends, if it ends one.
func (h *History) Add(at int64) (logDays float64, ends bool) {
	gap := at - h.LastAt
	switch {
	case h.Purchases == 0:
		h.Purchases = 1
	case gap >= Day:
		logDays, ends = math.Log(float64(gap)/Day), true
		h.Purchases++
		h.LogSum += logDays
	}
	h.LastAt = at
	return logDays, ends
}

// Prior is what is known of a customer before their first interval: of those who buy the same.
type Prior struct {
	Intervals int64   // it was learnt from
	Centre    float64 // logarithm of the median interval in days
	Within    float64 // variance of a customer's log intervals around their own mean
	K         float64 // Within by the variance of those means: how many intervals of one's own the prior is worth
}

// Prediction is when the next purchase is due.
type Prediction struct {
	DueAt      int64
	Confidence float64 // probability that it comes within Tolerance of DueAt, if ever
	Missed     int64   // predictions since the last purchase that passed without one
}

// Predict is the prediction that holds at now. When a predicted date passes without a purchase, the
// next prediction is the median of the intervals that are longer still.
func (p Prior) Predict(h History, now int64) (Prediction, bool) {
	return p.predict(h, func(prediction Prediction) bool { return prediction.DueAt >= now })
}

// After is the prediction after so many were missed.
func (p Prior) After(h History, missed int64) (Prediction, bool) {
	return p.predict(h, func(prediction Prediction) bool { return prediction.Missed == missed })
}

func (p Prior) predict(h History, holds func(Prediction) bool) (Prediction, bool) {
	if h.Purchases == 0 || p.Intervals == 0 {
		return Prediction{}, false
	}
	n := float64(h.Purchases - 1)
	mean := (h.LogSum + p.K*p.Centre) / (n + p.K)
	// An interval varies around the customer's mean, and that mean around what is known of it.
	deviation := math.Sqrt(p.Within + p.Within/(n+p.K))
	longer := func(days float64) float64 { // probability
		if days <= 0 {
			return 1
		}
		return math.Erfc((math.Log(days)-mean)/deviation/math.Sqrt2) / 2
	}
	stayed := 0.0 // days without a purchase
	for missed := int64(0); ; missed++ {
		survival := longer(stayed)
		if survival < leastSurvival {
			return Prediction{}, false
		}
		days := math.Exp(mean + deviation*math.Sqrt2*math.Erfcinv(survival))
		if days > farthest {
			return Prediction{}, false
		}
		early, late := longer(max(days-Tolerance, stayed)), longer(days+Tolerance)
		prediction := Prediction{DueAt: h.LastAt + int64(days*Day), Confidence: (early - late) / survival, Missed: missed}
		if holds(prediction) {
			return prediction, true
		}
		stayed = days
	}
}
