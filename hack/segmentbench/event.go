// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The names of events, as the tracking protocol's e-commerce events have them.
const (
	viewed     = "Product Viewed"
	searched   = "Products Searched"
	added      = "Product Added"
	checkout   = "Checkout Started"
	wished     = store.EventWished
	unwished   = store.EventUnwished
	clicked    = "Campaign Clicked"
	wishlistIn = 25 // one event in so many adds to a wish list
)

var eventNames = weighted{{viewed, 58}, {searched, 12}, {added, 15}, {checkout, 6}, {wished, 100 / wishlistIn}, {unwished, 1}, {clicked, 4}}

type event struct {
	number, customer int
	name             string
	at               time.Time
	product          int
	campaign         int
}

func (e *event) id() string { return fmt.Sprintf("e%09d", e.number) }

func (e *event) properties() string {
	switch e.name {
	case clicked:
		return fmt.Sprintf(`{"campaign":"campaign-%d"}`, e.campaign)
	case searched:
		return fmt.Sprintf(`{"query":%q}`, category(e.product))
	}
	return fmt.Sprintf(`{"product_id":%q,"category":%q}`, productID(e.product), category(e.product))
}

func (m *maker) eventName(n int) string { return m.d.of(ofEventName, n).pick(eventNames) }

// eventNumber makes an event of the history.
func (m *maker) eventNumber(n int) *event {
	name := m.eventName(n)
	m.d.of(ofEvent, n)
	e := &m.event
	*e = event{number: n, name: name, at: m.d.at(n, m.events()), product: m.d.product(), campaign: m.d.IntN(50)}
	e.customer = m.someone(m.d, m.lives, e.at, m.visitor)
	switch {
	case name == unwished:
		if wish := m.wishBefore(n); wish >= 0 {
			at := e.at
			*e = *m.eventNumber(wish)
			e.number, e.name, e.at = n, unwished, at
		}
	case (name == added || name == checkout) && m.d.percent(60):
		// Most carts are bought, soon after.
		before := time.Duration(1+m.d.IntN(110)) * time.Minute
		o := m.orderNumber(n * m.orders() / m.events())
		e.customer, e.product, e.at = o.customer, o.items[0].product, o.at.Add(-before)
	}
	return e
}

// wishBefore is the number of an earlier event that added to a wish list, and -1 where there is none near.
func (m *maker) wishBefore(n int) int {
	first := n - 1 - m.d.IntN(min(n+1, 20_000))
	for earlier := first; earlier >= max(first-20*wishlistIn, 0); earlier-- {
		if m.eventName(earlier) == wished {
			return earlier
		}
	}
	return -1
}

// churn is what happens in a while, the first of which begins today: of one customer in a hundred something
// is learnt, half of whom buy and half look around, each of them once. They are others than in the while
// before.
type churn struct {
	*maker
	later  time.Duration
	number int
}

// size is how many orders there are, and how many events.
func (c *churn) size() int { return max(c.customers/200, 1) }

func (c *churn) begin() time.Time { return today.Add(time.Duration(c.number) * c.later) }
func (c *churn) end() time.Time   { return c.begin().Add(c.later) }

func (c *churn) at() time.Time {
	return c.begin().Add(time.Duration(c.d.Int64N(int64(c.later)))).Truncate(time.Millisecond)
}

// order is a new one of number n of the churn.
func (c *churn) order(n int) *order {
	n += c.number * c.size()
	customer := c.spread(n * 97 % c.customers) // another one for each n, of those who buy much and who do not
	c.d.of(ofNewOrder, n)
	return c.purchase(c.orders()+n, customer, c.at())
}

var newEventNames = weighted{{viewed, 60}, {added, 20}, {wished, 10}, {clicked, 10}}

func (c *churn) event(n int) *event {
	n += c.number * c.size()
	c.d.of(ofNewEvent, n)
	e := &c.maker.event
	*e = event{
		number: c.events() + n, customer: c.spread((n*89 + 13) % c.customers), name: c.d.pick(newEventNames),
		at: c.at(), product: c.d.product(), campaign: c.d.IntN(50),
	}
	return e
}
