// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "time"

// What holds where a Segment does not say. Each is named in its field's documentation.
const (
	defaultRefreshInterval = 15 * time.Minute
	defaultDormantAfter    = 150 * 24 * time.Hour
)

// RefreshIntervalOrDefault is how often membership is brought up to date.
func (s *SegmentSpec) RefreshIntervalOrDefault() time.Duration {
	return s.RefreshInterval.Or(defaultRefreshInterval)
}

// Range gives the smallest and the largest count that match; without a largest it is nil. A Count
// without a field means at least one.
func (c Count) Range() (atLeast int32, atMost *int32) {
	switch {
	case c.Exactly != nil:
		return *c.Exactly, c.Exactly
	case c.AtLeast == nil && c.AtMost == nil:
		return 1, nil
	case c.AtLeast == nil:
		return 0, c.AtMost
	default:
		return *c.AtLeast, c.AtMost
	}
}

// OfOrDefault is Total or Average.
func (c *SpendCondition) OfOrDefault() string { return or(c.Of, SpendTotal) }

// DormantAfterOr is the time without an order after which a customer is dormant; shop is the
// shop's own, zero where it does not say.
func (c *LifecycleCondition) DormantAfterOr(shop time.Duration) time.Duration {
	return c.DormantAfter.Or(or(shop, defaultDormantAfter))
}

// ModeOrDefault is Any or All.
func (c *ReachableCondition) ModeOrDefault() string { return or(c.Mode, ReachableAny) }

// or gives v, or what is given where v is not set.
func or[T comparable](v, otherwise T) T {
	var unset T
	if v == unset {
		return otherwise
	}
	return v
}
