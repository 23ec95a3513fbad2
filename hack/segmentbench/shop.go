// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

const namespace = "shop"

// today is when the shop is looked at. What was bought and done lies in the two years before.
var today = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)

const history = 730 * 24 * time.Hour

// shop is a made-up shop. Each of its rows is made of the seed and the row's number alone, so that
// nothing has to be remembered, however large it is.
type shop struct {
	customers int
	seed      uint64
}

func (s *shop) orders() int { return 5 * s.customers }
func (s *shop) events() int { return 10 * s.customers }

// The kinds of rows that are made. Each has its own random numbers.
const (
	ofCustomer = iota + 1
	ofLife
	ofConsent
	ofSubscription
	ofOrder
	ofEvent
	ofEventName
	ofNewOrder
	ofNewEvent
)

// dice gives the random numbers of one row after another.
type dice struct {
	*rand.Rand
	source *rand.PCG
	seed   uint64
}

func (s *shop) dice() *dice {
	source := new(rand.PCG)
	return &dice{rand.New(source), source, s.seed}
}

// of begins the numbers of a row.
func (d *dice) of(kind, n int) *dice {
	d.source.Seed(d.seed<<8|uint64(kind), mix(uint64(n)))
	return d
}

// mix makes numbers that follow each other into some that look unrelated (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// percent holds that often.
func (d *dice) percent(n int) bool { return d.IntN(100) < n }

// weighted is one of the values, each as often as its weight.
type weighted []struct {
	value  string
	weight int
}

func (d *dice) pick(choice weighted) string {
	n := d.IntN(100)
	for _, c := range choice {
		if n -= c.weight; n < 0 {
			return c.value
		}
	}
	return ""
}

func customerID(n int) string { return fmt.Sprintf("c%07d", n) }

// buyers is the share of customers who may buy. Few orders fall to most of them, and to some none.
const buyers = 0.95

// spread puts those who buy most everywhere among the customers. The factor is a prime.
func (s *shop) spread(rank int) int { return rank * 2_654_435_761 % s.customers }

// buyer is a customer who buys, some much more often than others.
func (s *shop) buyer(d *dice) int {
	return s.spread(int(buyers * float64(s.customers) * d.Float64() * d.Float64()))
}

// visitor is somebody who looks around: often who buys often, sometimes anybody.
func (s *shop) visitor(d *dice) int {
	if d.percent(30) {
		return d.IntN(s.customers)
	}
	return s.buyer(d)
}

// life is from when to when a customer comes to the shop.
func (s *shop) life(d *dice, customer int) (from, until time.Time) {
	d.of(ofLife, customer)
	from, until = today.Add(-history-time.Duration(d.IntN(500))*24*time.Hour), today
	if d.percent(40) {
		from = today.Add(-time.Duration(d.Int64N(int64(history))))
	}
	if d.percent(35) {
		until = from.Add(time.Duration(d.Int64N(int64(today.Sub(from)))))
	}
	return from, until
}

// at is the moment of row n of total in the history: rows come in the order of time, as they do in a shop.
func (d *dice) at(n, total int) time.Time {
	passed := (float64(n) + d.Float64()) / float64(total)
	return today.Add(time.Duration((passed - 1) * float64(history))).Truncate(time.Millisecond)
}

// someone tries to find a customer who comes to the shop at that time.
func (s *shop) someone(d, lives *dice, at time.Time, choose func(*dice) int) int {
	for try := 0; ; try++ {
		customer := choose(d)
		if from, until := s.life(lives, customer); try == 4 || at.After(from) && at.Before(until) {
			return customer
		}
	}
}

const productCount = 2000

var categories = []string{
	"skincare", "tea", "food", "kitchen", "books", "makeup", "hair", "bath", "coffee", "sweets",
	"wine", "garden", "pets", "baby", "sports", "shoes", "bags", "linen", "stationery", "toys",
}

func category(product int) string { return categories[product%len(categories)] }

func productID(product int) string { return fmt.Sprintf("p%04d", product) }

func price(product int) money.Amount {
	return money.Amount(480+mix(uint64(product))%90*120) * money.Unit
}

// product is one of the catalogue, a few much more often than others.
func (d *dice) product() int { return int(productCount * d.Float64() * d.Float64()) }

// order is a purchase, whoever made it.
type order struct {
	number, customer int
	at               time.Time
	total            money.Amount
	status, source   string
	items            []item
}

type item struct {
	product  int
	quantity int64
}

func (o *order) id() string { return fmt.Sprintf("o%08d", o.number) }

func (o *order) counted() int64 {
	if o.status == "cancelled" || o.status == "refunded" {
		return 0
	}
	return 1
}

var (
	statuses = weighted{{"completed", 77}, {"paid", 20}, {"cancelled", 2}, {"refunded", 1}}
	sources  = weighted{{"web", 48}, {"app", 32}, {"store", 14}, {"marketplace", 6}}
)

// maker makes rows of a shop, one at a time. What it made last is overwritten by the next.
type maker struct {
	*shop
	d, lives *dice
	order    order
	event    event
}

func (s *shop) maker() *maker { return &maker{shop: s, d: s.dice(), lives: s.dice()} }

// orderNumber makes an order of the history.
func (m *maker) orderNumber(n int) *order {
	m.d.of(ofOrder, n)
	at := m.d.at(n, m.orders())
	return m.purchase(n, m.someone(m.d, m.lives, at, m.buyer), at)
}

func (m *maker) purchase(n, customer int, at time.Time) *order {
	o := &m.order
	*o = order{number: n, customer: customer, at: at, status: m.d.pick(statuses), source: m.d.pick(sources), items: o.items[:0]}
	for range []int{1, 1, 1, 1, 2, 2, 2, 3, 3, 4}[m.d.IntN(10)] { // two on average
		it := item{m.d.product(), 1}
		if m.d.percent(15) {
			it.quantity += int64(1 + m.d.IntN(3))
		}
		o.items = append(o.items, it)
		o.total += price(it.product) * money.Amount(it.quantity)
	}
	return o
}
