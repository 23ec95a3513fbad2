// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

var (
	happenings = []string{"Product Added", "Product Viewed", "Order Completed", "Product Added to Wishlist", "Product Removed from Wishlist"}
	plans      = []string{"monthly", "yearly", ""}
	outcomes   = []string{"delivered", "opened", "clicked", "converted"}
	scenarios  = []string{"welcome", "winback"}
	channels   = []string{"mail-main", "line-main"}
)

// when is a moment about as far from now as the windows are long, often exactly.
func (r random) when(now time.Time) time.Time {
	return now.AddDate(0, 0, -pick(r, days...)).Add(pick(r, 0, 0, time.Millisecond, -time.Millisecond, -2*time.Hour, 2*time.Hour))
}

// behave adds what customers did to a shop.
func (r random) behave(s *shop, now time.Time) {
	s.catalogue = map[string]string{"p1": "tea", "p2": "food", "p9": "tea"}
	for _, p := range s.people {
		for range max(0, r.IntN(7)-2) {
			s.events = append(s.events, r.happening(s, p.id, now))
		}
		for range max(0, r.IntN(4)-2) {
			s.contracts = append(s.contracts, r.contract(s, p.id, now))
		}
		for range max(0, r.IntN(5)-2) {
			s.sent = append(s.sent, r.sending(p.id, now))
		}
	}
}

func (r random) happening(s *shop, customer string, now time.Time) happening {
	e := happening{id: fmt.Sprintf("e%d", len(s.events)), customer: customer, name: pick(r, happenings...), at: r.when(now), properties: map[string]string{}}
	for name, values := range map[string][]string{"product_id": append(products, "", "p9"), "category": append(categories, "", ""), "order_id": {"", "", customer + "-0"}} {
		if v := pick(r, values...); v != "" {
			e.properties[name] = v
		}
	}
	return e
}

func (r random) contract(s *shop, customer string, now time.Time) contract {
	c := contract{id: fmt.Sprintf("s%d", len(s.contracts)), customer: customer, plan: pick(r, plans...), status: pick(r, "Active", "Paused", "Cancelled")}
	if r.IntN(2) == 0 {
		c.cancelled = r.when(now)
	}
	if r.IntN(2) == 0 {
		c.delivers = now.AddDate(0, 0, pick(r, days...)).Add(pick(r, 0, time.Millisecond, -time.Millisecond, time.Hour))
	}
	return c
}

func (r random) sending(customer string, now time.Time) sending {
	id, err := uuid.NewRandomFromReader(reader{r})
	if err != nil {
		panic(err)
	}
	m := sending{id: id.String(), customer: customer, scenario: pick(r, scenarios...), channel: pick(r, channels...), became: map[string]time.Time{}}
	for _, outcome := range outcomes {
		if r.IntN(2) == 0 {
			m.became[outcome] = r.when(now)
		}
	}
	return m
}

// reader gives random bytes.
type reader struct{ random }

func (r reader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

func (r random) behaviour() v1alpha1.Condition {
	switch r.IntN(7) {
	case 0, 1:
		c := &v1alpha1.EventCondition{Count: r.count(), Name: pick(r, happenings...), Within: r.within()}
		if r.IntN(3) == 0 {
			c.Where = map[string]v1alpha1.PropertyValues{pick(r, "product_id", "category"): some(r, "p1", "p2", "tea", "food")}
		}
		if r.IntN(3) == 0 {
			c.NotFollowedBy = &v1alpha1.FollowUp{Name: pick(r, happenings...), Within: pick[v1alpha1.Duration](r, "1h", "2h", "1d", "30d")}
		}
		return v1alpha1.Condition{Event: c}
	case 2:
		c := &v1alpha1.RFMCondition{}
		for _, of := range []**v1alpha1.QuintileRange{&c.Recency, &c.Frequency, &c.Monetary} {
			if r.IntN(2) == 0 {
				*of = pick(r, &v1alpha1.QuintileRange{AtLeast: 4}, &v1alpha1.QuintileRange{AtMost: 2}, &v1alpha1.QuintileRange{AtLeast: 2, AtMost: 3}, &v1alpha1.QuintileRange{AtLeast: 1}, &v1alpha1.QuintileRange{AtLeast: 5, AtMost: 5})
			}
		}
		return v1alpha1.Condition{RFM: c}
	case 3, 4:
		c := &v1alpha1.SubscriptionCondition{}
		switch r.IntN(3) {
		case 0:
			c.Status = some[v1alpha1.SubscriptionStatus](r, "Active", "Paused", "Cancelled", "None")
			return v1alpha1.Condition{Subscription: c}
		case 1:
			c.Status = some[v1alpha1.SubscriptionStatus](r, "Active", "Paused", "Cancelled")
		}
		if r.IntN(2) == 0 {
			c.Plan = some(r, "monthly", "yearly")
		}
		if r.IntN(3) == 0 {
			c.CancelledWithin = pick(r, windows...)
		}
		if r.IntN(3) == 0 {
			c.NextDeliveryWithin = pick(r, windows...)
		}
		return v1alpha1.Condition{Subscription: c}
	case 5:
		return v1alpha1.Condition{Engagement: &v1alpha1.EngagementCondition{
			Count: r.count(), Kind: pick(r, "Delivered", "Opened", "Clicked", "Converted"), Within: r.within(),
			Scenario: pick[v1alpha1.ObjectName](r, "", "welcome"), Channel: pick[v1alpha1.ObjectName](r, "", "mail-main"),
		}}
	}
	c := &v1alpha1.FavouriteCondition{Product: pick(r, "", "p1", "p9"), Category: pick(r, "", "tea", "food"), Within: r.within()}
	return v1alpha1.Condition{Favourite: c}
}
