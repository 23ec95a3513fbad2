// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// rfm compares quintiles. Who is at least in quintile q is among the best (6 - q) fifths.
func (s *statement) rfm(c *v1alpha1.RFMCondition, path string) (predicate, error) {
	var parts []predicate
	for _, of := range []struct {
		measure string
		within  *v1alpha1.QuintileRange
	}{{measureLast, c.Recency}, {measureOrders, c.Frequency}, {measureSpend, c.Monetary}} {
		if of.within == nil {
			continue
		}
		if of.within.AtLeast > 5 || of.within.AtMost > 5 || of.within.AtLeast < 0 || of.within.AtMost < 0 {
			return predicate{}, &Invalid{path, "a quintile is a number from 1 to 5"}
		}
		s.kinds |= store.TouchedOrders
		atLeast := func(q int32) Cut { return Cut{Measure: of.measure, Share: int64(6-q) * wholeShare / 5} }
		if of.within.AtLeast > 1 {
			parts = append(parts, s.within(atLeast(of.within.AtLeast)))
		}
		if most := of.within.AtMost; most != 0 && most < 5 {
			parts = append(parts, s.within(atLeast(most+1)).not())
		}
	}
	// Who has not bought has no quintile, not even the lowest.
	s.kinds |= store.TouchedOrders
	return allOf(append(parts, when(s.metric("orders")+" > 0"))), nil
}

// subscription asks for one row that fits all fields, or for none at all.
func (s *statement) subscription(c *v1alpha1.SubscriptionCondition, path string) (predicate, error) {
	var alternatives []predicate
	none := slices.Contains(c.Status, v1alpha1.SubscriptionNone)
	if none {
		s.readsSubscriptions()
		alternatives = append(alternatives, s.member(membershipIn{
			query: "SELECT o.customer_id FROM " + s.rows("subscriptions"), repeats: true, groups: s.groups(false), outside: true,
		}))
	}
	if !none || len(c.Status) > 1 {
		subscribed, err := s.subscribedIn(c, path)
		if err != nil {
			return predicate{}, err
		}
		alternatives = append(alternatives, s.member(subscribed))
	}
	return anyOf(alternatives), nil
}

// subscriptionIn is the condition as a subquery, where it asks for a row and nothing else.
func (s *statement) subscriptionIn(c *v1alpha1.SubscriptionCondition, path string) (membershipIn, error) {
	if slices.Contains(c.Status, v1alpha1.SubscriptionNone) {
		return membershipIn{}, nil
	}
	return s.subscribedIn(c, path)
}

func (s *statement) readsSubscriptions() {
	s.kinds |= store.TouchedSubscription
	s.read(factSubscriptions, "", "")
}

// subscribedIn is the customers with a row that fits all fields.
func (s *statement) subscribedIn(c *v1alpha1.SubscriptionCondition, path string) (membershipIn, error) {
	s.readsSubscriptions()
	var statuses []string
	for _, status := range c.Status {
		if status != v1alpha1.SubscriptionNone {
			statuses = append(statuses, string(status))
		}
	}
	where := []string{"SELECT o.customer_id FROM " + s.rows("subscriptions")}
	if len(statuses) > 0 {
		slices.Sort(statuses)
		where = append(where, s.among("o.status", statuses))
	}
	if len(c.Plan) > 0 {
		where = append(where, s.among("o.plan", c.Plan))
	}
	if c.CancelledWithin != "" {
		d, err := duration(c.CancelledWithin, path+".cancelledWithin")
		if err != nil {
			return membershipIn{}, err
		}
		s.moves(slice{facts: factCancellations, age: d})
		where = append(where, "o.cancelled_at > "+s.before(d))
	}
	if c.NextDeliveryWithin != "" {
		d, err := duration(c.NextDeliveryWithin, path+".nextDeliveryWithin")
		if err != nil {
			return membershipIn{}, err
		}
		s.moves(slice{facts: factDeliveries}, slice{facts: factDeliveries, age: -d})
		where = append(where, s.ahead("o.next_delivery_at", d))
	}
	return membershipIn{query: strings.Join(where, " AND "), repeats: true, groups: s.groups(c.CancelledWithin != "" || c.NextDeliveryWithin != "")}, nil
}

// ahead holds for a moment from now on, until so long after.
func (s *statement) ahead(column string, d time.Duration) string {
	return column + " > " + s.before(0) + " AND " + column + " <= " + s.before(-d)
}

func (s *statement) engagementsIn(c *v1alpha1.EngagementCondition, path string) (membershipIn, error) {
	kind := strings.ToLower(c.Kind)
	if !slices.Contains(store.Engagements, kind) {
		return membershipIn{}, &Invalid{path + ".kind", "is Delivered, Opened, Clicked or Converted"}
	}
	atLeast, most := c.Range()
	switch {
	case most != nil && *most < atLeast:
		return membershipIn{}, &Invalid{path, "atLeast must not be above atMost"}
	case atLeast == 0 && most == nil:
		return membershipIn{everybody: true}, nil
	}
	s.kinds |= store.TouchedEngagement
	s.read(factEngagements, kind, c.Within)
	where := []string{s.rows("engagements") + " AND o.kind = " + s.text(kind)}
	if c.Scenario != "" {
		where = append(where, "o.scenario = "+s.text(string(c.Scenario)))
	}
	if c.Channel != "" {
		where = append(where, "o.channel = "+s.text(string(c.Channel)))
	}
	if c.Within != "" {
		d, err := duration(c.Within, path+".within")
		if err != nil {
			return membershipIn{}, err
		}
		s.moves(slice{facts: factEngagements, name: kind, age: d})
		where = append(where, "o.at > "+s.before(d))
	}
	return s.counted(strings.Join(where, " AND "), s.groups(true), atLeast, most), nil
}

func (s *statement) favouritesIn(c *v1alpha1.FavouriteCondition, path string) (membershipIn, error) {
	s.kinds |= store.TouchedFavourite
	s.read(factFavourites, "", "")
	where := []string{"SELECT o.customer_id FROM " + s.rows("favourites")}
	if c.Product != "" {
		where = append(where, "o.product_id = "+s.text(c.Product))
	}
	if c.Category != "" {
		category := s.text(c.Category)
		where = append(where, fmt.Sprintf("(o.category = %[1]s OR o.category IS NULL AND EXISTS (SELECT 1 FROM products p WHERE p.ns = $1 AND p.id = o.product_id AND p.category = %[1]s))", category))
	}
	if c.Within != "" {
		d, err := duration(c.Within, path+".within")
		if err != nil {
			return membershipIn{}, err
		}
		s.moves(slice{facts: factFavourites, age: d})
		where = append(where, "o.added_at > "+s.before(d))
	}
	return membershipIn{query: strings.Join(where, " AND "), repeats: true, groups: s.groups(c.Product != "" || c.Within != "")}, nil
}

// replenishmentIn is the customers whose next purchase is predicted to come soon.
func (s *statement) replenishmentIn(c *v1alpha1.ReplenishmentCondition, path string) (membershipIn, error) {
	d, err := duration(c.DueWithin, path+".dueWithin")
	if err != nil {
		return membershipIn{}, err
	}
	of := Tracked{Scope: store.ReplenishAny}
	switch {
	case c.Product != "":
		of = Tracked{store.ReplenishProduct, c.Product}
	case c.Category != "":
		of = Tracked{store.ReplenishCategory, c.Category}
	}
	s.tracked = append(s.tracked, of)
	s.kinds |= store.TouchedReplenishment
	s.moves(slice{factPredictions, of.Scope, of.ID, 0}, slice{factPredictions, of.Scope, of.ID, -d})
	s.reads = append(s.reads, reading{facts: factPredictions, name: of.Scope, id: of.ID, window: -1})
	return membershipIn{query: fmt.Sprintf("SELECT o.customer_id FROM %s AND o.scope = %s AND o.id = %s AND %s",
		s.rows("replenishments"), s.text(of.Scope), s.text(of.ID), s.ahead("o.due_at", d))}, nil
}
