// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// seed makes the shop the same at every run.
const seed = 20261201

const howMany = 3000

// Shares of the whole: who gave an address, and of those, who said yes to messages.
var reach = map[string]struct{ address, consent float64 }{
	"email": {0.96, 0.80},
	"line":  {0.62, 0.90},
	"sms":   {0.85, 0.45},
}

type product struct {
	id, name, category string
	price              int64
	number             int
}

type customer struct {
	id, last, first, prefecture, birthday string
	// address and consent by channel; no address is empty.
	address map[string]string
	consent map[string]bool
	// gone by channel is an address that nobody is at any more.
	gone map[string]string

	orders []*order
}

type order struct {
	id     string
	who    *customer
	placed time.Time
	total  int64
	status string
	source string
	items  []item
}

type item struct {
	ID       string `json:"product_id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
}

// shop is all that there is to know of a shop.
type shop struct {
	url       string
	products  []product
	customers []*customer
	orders    []*order

	byAddress map[[2]string]*customer
	rand      *rand.Rand
	zone      *time.Location
}

// newShop makes up a shop whose history ends the day before today.
func newShop(url string, today time.Time) *shop {
	s := &shop{
		url: url, zone: today.Location(), byAddress: map[[2]string]*customer{},
		rand: rand.New(rand.NewPCG(seed, seed)),
	}
	for i, shelf := range shelves {
		for k, name := range shelf.names {
			n := i*10 + k + 1
			s.products = append(s.products, product{fmt.Sprintf("p-%03d", n), name, shelf.category, shelf.prices[k], n})
		}
	}
	for n := range howMany {
		c := s.newCustomer(n + 1)
		s.customers = append(s.customers, c)
		s.history(c, today)
	}
	return s
}

func (s *shop) newCustomer(n int) *customer {
	last, first := pick(s.rand, lastNames), pick(s.rand, firstNames)
	// A third of the people live where a third of the people live.
	where := min(s.rand.IntN(len(prefectures)), s.rand.IntN(len(prefectures)))
	c := &customer{
		id: fmt.Sprintf("c-%05d", n), last: last.kanji, first: first.kanji, prefecture: prefectures[where],
		birthday: time.Date(1950+s.rand.IntN(56), 1, 1+s.rand.IntN(365), 0, 0, 0, 0, time.UTC).Format(time.DateOnly),
		address:  map[string]string{}, consent: map[string]bool{}, gone: map[string]string{},
	}
	all := map[string]string{
		"email": fmt.Sprintf("%s.%s.%d@shop.example", first.roman, last.roman, n),
		"line":  fmt.Sprintf("U%016x%016x", s.rand.Uint64(), s.rand.Uint64()),
		"sms":   fmt.Sprintf("+8190%08d", 10_000_000+n*7919%89_999_999),
	}
	gone := map[string]string{"email": "unknown", "line": "blocked", "sms": "landline"}
	for _, channel := range channels {
		if s.rand.Float64() < reach[channel].address {
			c.address[channel] = all[channel]
			c.consent[channel] = s.rand.Float64() < reach[channel].consent
			s.byAddress[[2]string{channel, all[channel]}] = c
			if s.rand.Float64() < 0.015 {
				c.gone[channel] = gone[channel]
			}
		}
	}
	return c
}

// channels in the order in which they are told of.
var channels = []string{"email", "line", "sms"}

// history gives a customer two years of orders, or none.
func (s *shop) history(c *customer, today time.Time) {
	count, since := 0, 0
	switch p := s.rand.Float64(); {
	case p < 0.12: // has looked around, and that was it
	case p < 0.40:
		count, since = 1, 1+s.rand.IntN(729)
	case p < 0.46: // came with the autumn campaign: a few of them turn 30 days old each day
		count, since = 1, 20+s.rand.IntN(21)
	default:
		count, since = 2+int(s.rand.ExpFloat64()*2.5), 60+s.rand.IntN(670)
	}
	// Who comes often has also come lately; the others drop out.
	days := since
	for n := range count {
		s.place(c, days, today)
		if n < count-1 {
			days -= 1 + s.rand.IntN(max(1, min(days, 120)))
		}
		if days < 1 {
			return
		}
	}
}

func (s *shop) place(c *customer, daysAgo int, today time.Time) {
	// In the evening or early in the morning. So nobody turns 30 days old while a run starts, and
	// the demo can say in advance whom a run is for.
	hour := 17 + s.rand.IntN(7)
	if s.rand.IntN(4) == 0 {
		hour = 6 + s.rand.IntN(2)
	}
	day := today.AddDate(0, 0, -daysAgo)
	o := &order{
		id: fmt.Sprintf("o-%06d", len(s.orders)+1), who: c, status: "completed", source: pick(s.rand, []string{"web", "web", "app"}),
		placed: time.Date(day.Year(), day.Month(), day.Day(), hour, s.rand.IntN(60), s.rand.IntN(60), 0, s.zone),
	}
	if s.rand.Float64() < 0.02 {
		o.status = "cancelled"
	}
	s.fill(o, s.rand, 1+s.rand.IntN(3))
	s.orders, c.orders = append(s.orders, o), append(c.orders, o)
}

// fill puts products into an order.
func (s *shop) fill(o *order, r *rand.Rand, kinds int) {
	for range kinds {
		p := pick(r, s.products)
		quantity := int64(1 + r.IntN(2))
		o.items = append(o.items, item{p.id, p.name, p.category, quantity, p.price})
		o.total += quantity * p.price
	}
}

// candidates are whom the Segment f2-candidates is to hold at a moment, worked out another way than
// Kaeru does: bought once, 30 to 180 days ago, and reachable somehow.
func (s *shop) candidates(at time.Time) []*customer {
	var out []*customer
	for _, c := range s.customers {
		var last time.Time
		n := 0
		for _, o := range c.orders {
			if o.status != "cancelled" && !o.placed.After(at) {
				n, last = n+1, o.placed
			}
		}
		age := at.Sub(last)
		if n == 1 && age >= 30*24*time.Hour && age <= 180*24*time.Hour && (c.consent["email"] || c.consent["line"] || c.consent["sms"]) {
			out = append(out, c)
		}
	}
	return out
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func (s *shop) customersCSV() []byte {
	return table(len(s.customers), []string{
		"id", "email", "line_user_id", "phone", "last_name", "first_name", "prefecture", "birthday",
		"consent_email", "consent_line", "consent_sms", "attributes",
	}, func(i int) []string {
		c := s.customers[i]
		return []string{
			c.id, c.address["email"], c.address["line"], c.address["sms"], c.last, c.first, c.prefecture, c.birthday,
			c.said("email"), c.said("line"), c.said("sms"), s.attributes(c),
		}
	})
}

func (c *customer) said(channel string) string {
	if c.address[channel] == "" {
		return ""
	}
	return strconv.FormatBool(c.consent[channel])
}

// attributes hold what the shop wants to write about: the last product, and one to go with it.
func (s *shop) attributes(c *customer) string {
	if len(c.orders) == 0 {
		return ""
	}
	last := c.orders[len(c.orders)-1].items[0]
	i := 0
	for i < len(s.products) && s.products[i].id != last.ID {
		i++
	}
	next := s.products[(i+10)%len(s.products)]
	text, err := json.Marshal(map[string]any{
		"last_item": map[string]any{"id": last.ID, "name": last.Name, "price": last.Price},
		"next_item": map[string]any{"id": next.id, "name": next.name, "price": next.price},
	})
	if err != nil {
		panic(err) // texts and numbers
	}
	return string(text)
}

func (s *shop) productsCSV() []byte {
	return table(len(s.products), []string{"id", "name", "category", "price", "stock", "url", "image_url"}, func(i int) []string {
		p := s.products[i]
		return []string{
			p.id, p.name, p.category, strconv.FormatInt(p.price, 10), strconv.Itoa(20 + p.number*13%180),
			s.url + "/products/" + p.id, s.url + "/images/" + p.id + ".png",
		}
	})
}

func ordersCSV(orders []*order) []byte {
	return table(len(orders), []string{"id", "customer_id", "placed_at", "total", "currency", "status", "source", "items"}, func(i int) []string {
		o := orders[i]
		items, err := json.Marshal(o.items)
		if err != nil {
			panic(err) // texts and numbers
		}
		return []string{o.id, o.who.id, o.placed.Format(time.RFC3339), strconv.FormatInt(o.total, 10), "JPY", o.status, o.source, string(items)}
	})
}

func table(rows int, header []string, row func(i int) []string) []byte {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	_ = w.Write(header) // a buffer takes everything
	for i := range rows {
		_ = w.Write(row(i))
	}
	w.Flush()
	return out.Bytes()
}
