// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// behaviour is the part of the oracle that is about what customers do.
func (o oracle) behaviour(p *person, c *v1alpha1.Condition) bool {
	switch {
	case c.Event != nil:
		return counts(c.Event.Count, o.eventCount(p, c.Event))
	case c.RFM != nil:
		return o.rfm(p, c.RFM)
	case c.Subscription != nil:
		return o.subscription(p, c.Subscription)
	case c.Engagement != nil:
		return counts(c.Engagement.Count, o.engagements(p, c.Engagement))
	case c.Favourite != nil:
		return o.favourite(p, c.Favourite)
	}
	panic("a condition that the oracle does not know")
}

func counts(c v1alpha1.Count, n int) bool {
	switch {
	case c.Exactly != nil:
		return n == int(*c.Exactly)
	case c.AtLeast == nil && c.AtMost == nil:
		return n > 0
	}
	return (c.AtLeast == nil || n >= int(*c.AtLeast)) && (c.AtMost == nil || n <= int(*c.AtMost))
}

// moments are when an event of that name happened to a customer, orders included.
func (o oracle) moments(p *person, name string, where map[string]v1alpha1.PropertyValues) []time.Time {
	var out []time.Time
	for _, e := range o.events {
		fits := e.customer == p.id && e.name == name
		for property, values := range where {
			fits = fits && e.properties[property] != "" && slices.Contains(values, e.properties[property])
		}
		known := slices.ContainsFunc(o.purchases, func(b purchase) bool { return b.id == e.properties["order_id"] })
		if fits && (name != "Order Completed" || len(where) > 0 || !known) {
			out = append(out, e.at)
		}
	}
	if name == "Order Completed" && len(where) == 0 {
		out = append(out, o.times(p)...)
	}
	return out
}

func (o oracle) eventCount(p *person, c *v1alpha1.EventCondition) (n int) {
	for _, at := range o.moments(p, c.Name, c.Where) {
		ok := c.Within == "" || at.After(o.ago(c.Within))
		if c.NotFollowedBy != nil {
			over := at.Add(c.NotFollowedBy.Within.Duration())
			later := func(l time.Time) bool { return l.After(at) && !l.After(over) }
			followed := slices.ContainsFunc(o.moments(p, c.NotFollowedBy.Name, nil), later) ||
				slices.ContainsFunc(o.events, func(e happening) bool { return e.customer == p.id && e.name == c.NotFollowedBy.Name && later(e.at) })
			ok = ok && !over.After(o.now) && !followed
		}
		if ok {
			n++
		}
	}
	return n
}

// rfm counts for each buyer how many stand better, and cuts the buyers into fifths.
func (o oracle) rfm(p *person, c *v1alpha1.RFMCondition) bool {
	scores := func(p *person) (recency, frequency, monetary int64, bought bool) {
		times := o.times(p)
		if len(times) == 0 {
			return 0, 0, 0, false
		}
		spent, _ := o.spent(p, &v1alpha1.SpendCondition{})
		return times[len(times)-1].UnixMilli(), int64(len(times)), spent, true
	}
	r, f, m, bought := scores(p)
	if !bought {
		return false
	}
	var buyers, betterR, betterF, betterM int64
	for i := range o.people {
		or, of, om, also := scores(&o.people[i])
		if !also {
			continue
		}
		buyers++
		for _, b := range []struct {
			more  bool
			count *int64
		}{{or > r, &betterR}, {of > f, &betterF}, {om > m, &betterM}} {
			if b.more {
				*b.count++
			}
		}
	}
	in := func(better int64, within *v1alpha1.QuintileRange) bool {
		if within == nil {
			return true
		}
		q := 5 - int32(5*better/buyers)
		return (within.AtLeast == 0 || q >= within.AtLeast) && (within.AtMost == 0 || q <= within.AtMost)
	}
	return in(betterR, c.Recency) && in(betterF, c.Frequency) && in(betterM, c.Monetary)
}

func (o oracle) subscription(p *person, c *v1alpha1.SubscriptionCondition) bool {
	some := false
	for _, s := range o.contracts {
		if s.customer != p.id {
			continue
		}
		some = true
		if (len(c.Status) == 0 || slices.Contains(c.Status, v1alpha1.SubscriptionStatus(s.status))) &&
			(len(c.Plan) == 0 || s.plan != "" && slices.Contains(c.Plan, s.plan)) &&
			(c.CancelledWithin == "" || !s.cancelled.IsZero() && s.cancelled.After(o.ago(c.CancelledWithin))) &&
			(c.NextDeliveryWithin == "" || !s.delivers.IsZero() && s.delivers.After(o.now) && !s.delivers.After(o.now.Add(c.NextDeliveryWithin.Duration()))) {
			return true
		}
	}
	return !some && slices.Contains(c.Status, "None")
}

func (o oracle) engagements(p *person, c *v1alpha1.EngagementCondition) (n int) {
	for _, m := range o.sent {
		at, became := m.became[strings.ToLower(c.Kind)]
		if became && m.customer == p.id && (c.Scenario == "" || m.scenario == string(c.Scenario)) && (c.Channel == "" || m.channel == string(c.Channel)) &&
			(c.Within == "" || at.After(o.ago(c.Within))) {
			n++
		}
	}
	return n
}

func (o oracle) favourite(p *person, c *v1alpha1.FavouriteCondition) bool {
	latest := map[string]happening{}
	for _, e := range o.events {
		if e.customer != p.id || e.properties["product_id"] == "" || e.name != "Product Added to Wishlist" && e.name != "Product Removed from Wishlist" {
			continue
		}
		old, known := latest[e.properties["product_id"]]
		if newer := strings.Compare(e.at.Format("20060102150405.000"), old.at.Format("20060102150405.000")); !known || newer > 0 ||
			newer == 0 && (e.name > old.name || e.name == old.name && e.id > old.id) {
			latest[e.properties["product_id"]] = e
		}
	}
	for product, e := range latest {
		category := e.properties["category"]
		if category == "" {
			category = o.catalogue[product]
		}
		if e.name == "Product Added to Wishlist" && (c.Product == "" || c.Product == product) &&
			(c.Category == "" || c.Category == category) && (c.Within == "" || e.at.After(o.ago(c.Within))) {
			return true
		}
	}
	return false
}
