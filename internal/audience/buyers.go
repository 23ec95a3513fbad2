// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import "github.com/kaeru-dev/kaeru/api/v1alpha1"

// needsOrder tells whether only customers with an order can match, so that their metrics are all
// there is to look at. It may say no where yes would be right, never the other way round.
func needsOrder(match v1alpha1.Match) bool {
	for i := range match.All {
		if nestedNeedsOrder(&match.All[i], true) {
			return true
		}
	}
	for i := range match.None {
		if nestedNeedsOrder(&match.None[i], false) {
			return true
		}
	}
	for i := range match.Any {
		if !nestedNeedsOrder(&match.Any[i], true) {
			return false
		}
	}
	return len(match.Any) > 0
}

// nestedNeedsOrder tells whether a customer of whom the condition holds (or fails) has an order.
func nestedNeedsOrder(c *v1alpha1.NestedCondition, holds bool) bool {
	group, every := []v1alpha1.Condition{c.Condition}, true
	switch {
	case len(c.AnyOf) > 0:
		group, every = c.AnyOf, holds
	case len(c.AllOf) > 0:
		group, every = c.AllOf, !holds
	}
	for i := range group {
		if conditionNeedsOrder(&group[i], holds) != every {
			return !every
		}
	}
	return every
}

func conditionNeedsOrder(c *v1alpha1.Condition, holds bool) bool {
	switch {
	case c.Orders != nil:
		atLeast, _ := c.Orders.Range()
		return (atLeast == 0) != holds
	case c.Spend != nil:
		if c.Spend.TopPercent != nil || c.Spend.BottomPercent != nil {
			return holds
		}
		limits, err := spendLimits(c.Spend, "")
		return err == nil && limits.contain(0) != holds
	case c.FirstOrder != nil, c.LastOrder != nil, c.RFM != nil:
		return holds
	case c.Lifecycle != nil:
		prospect := false
		for _, stage := range c.Lifecycle.In {
			prospect = prospect || stage == v1alpha1.StageProspect
		}
		return prospect != holds
	}
	return false
}
