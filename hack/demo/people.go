// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// step is a step of the samples, and how its messages are known.
type step struct {
	scenario, name, channel string
	is                      func(m *sandbox.Message) bool
}

func (s *step) String() string { return s.scenario + "/" + s.name }

var steps = []*step{
	{"second-purchase", "review-request", "email", func(m *sandbox.Message) bool { return strings.Contains(m.Subject, "使い心地") }},
	{"second-purchase", "line-reminder", "line", func(m *sandbox.Message) bool {
		return m.Line != nil && strings.Contains(string(m.Line.Messages), "おすすめ")
	}},
	{"second-purchase", "last-call", "sms", func(m *sandbox.Message) bool { return strings.Contains(m.Text, "送料無料") }},
	{"winter-letter", "letter", "email", func(m *sandbox.Message) bool { return strings.Contains(m.Subject, "冬のお便り") }},
}

// arrival is a message that reached the doubles.
type arrival struct {
	step    *step
	who     *customer
	at      time.Time
	message sandbox.Message

	opened, clicked bool
}

// people are the customers with what they received and did.
type people struct {
	shop    *shop
	api     *sandbox.Client
	browser *browser
	buy     func(ctx context.Context, orders []*order) error

	next     int64
	arrivals []*arrival
	strange  []string
	plans    []*plan
	bought   []*order
	has      map[*customer]bool // bought since the demo began
	left     map[[2]string]time.Time

	day map[string]int // counts of the business day, by what is shown
}

// plan is something that somebody will do.
type plan struct {
	at   time.Time
	what string
	in   *arrival
}

func newPeople(s *shop, api *sandbox.Client, b *browser) *people {
	return &people{shop: s, api: api, browser: b, has: map[*customer]bool{}, left: map[[2]string]time.Time{}, day: map[string]int{}}
}

// receive looks what has arrived, and has the customers make their plans.
func (p *people) receive(ctx context.Context) error {
	for {
		page, err := p.api.Messages(ctx, sandbox.Query{After: p.next, Limit: 200})
		if err != nil {
			return err
		}
		for i := range page.Messages {
			m := page.Messages[i]
			a := &arrival{who: p.shop.byAddress[[2]string{m.Channel, m.To}], at: m.Time, message: m}
			for _, s := range steps {
				if s.channel == m.Channel && s.is(&m) {
					a.step = s
				}
			}
			if a.who == nil || a.step == nil {
				p.strange = append(p.strange, fmt.Sprintf("message %d to %s is of no step, or to nobody: %s", m.Seq, m.To, m.Subject))
				continue
			}
			p.arrivals = append(p.arrivals, a)
			p.day[m.Channel]++
			p.decide(a)
		}
		p.next = page.Next
		if len(page.Messages) < 200 {
			return nil
		}
	}
}

// habits are how likely people do something, by channel.
var habits = map[string]struct{ open, click, buy, leave float64 }{
	"email": {open: 0.58, click: 0.42, buy: 0.30, leave: 0.05},
	"line":  {open: 0.85, click: 0.42, buy: 0.30, leave: 0.03},
	"sms":   {open: 1, click: 0.30, buy: 0.40},
}

// decide makes the plans of who received a message. They hang on the customer and the step alone.
func (p *people) decide(a *arrival) {
	if a.who.gone[a.step.channel] != "" {
		return // nobody is there
	}
	luck := func(what string) float64 { return chance(a.who.id, a.step.name, what) }
	h := habits[a.step.channel]
	if luck("robot") < 0.06 {
		p.plan(a, "robot", a.at)
	}
	if luck("open") >= h.open {
		return
	}
	opened := a.at.Add(between(30*time.Minute, 9*time.Hour, luck("opened at")))
	if a.step.channel == "email" {
		p.plan(a, "open", opened)
	}
	if luck("click") >= h.click {
		if luck("leave") < h.leave {
			p.plan(a, "leave", quiet(opened.Add(time.Hour), luck("left at")))
		}
		return
	}
	p.plan(a, "click", opened.Add(between(time.Minute, 40*time.Minute, luck("clicked at"))))
	if a.step.scenario == "second-purchase" && luck("buy") < h.buy {
		p.plan(a, "buy", quiet(opened.Add(2*time.Hour), luck("bought at")))
	}
}

func (p *people) plan(a *arrival, what string, at time.Time) {
	p.plans = append(p.plans, &plan{at, what, a})
}

// quiet is a moment late in the evening or in the night. No step is due then, so that it is certain
// which message came last before an order.
func quiet(after time.Time, luck float64) time.Time {
	t := after.In(tokyo)
	evening := time.Date(t.Year(), t.Month(), t.Day(), 21, 0, 0, 0, tokyo)
	if t.Before(evening) {
		return evening.Add(between(0, 2*time.Hour, luck))
	}
	return evening.Add(6 * time.Hour).Add(between(0, 2*time.Hour, luck))
}

func between(from, to time.Duration, luck float64) time.Duration {
	return from + time.Duration(luck*float64(to-from))
}

// chance is a number from 0 to 1 that is always the same for the same words.
func chance(words ...string) float64 {
	h := fnv.New64a()
	for _, w := range words {
		_, _ = h.Write(append([]byte(w), 0))
	}
	// FNV alone is too even over words that differ in their last letters.
	return rand.New(rand.NewPCG(h.Sum64(), seed)).Float64()
}

// atOnce is how many people do something at the same time.
const atOnce = 16

// act does what is due.
func (p *people) act(ctx context.Context, now time.Time) error {
	var due, later []*plan
	for _, x := range p.plans {
		if x.at.After(now) {
			later = append(later, x)
		} else {
			due = append(due, x)
		}
	}
	p.plans = later
	var orders []*order
	var group sync.WaitGroup
	room := make(chan struct{}, atOnce)
	failed := make([]error, len(due))
	for i, x := range due {
		switch {
		case x.what == "buy":
			if !p.has[x.in.who] {
				p.has[x.in.who] = true
				orders = append(orders, p.newOrder(x.in.who, now))
			}
			continue
		case x.what == "click" || x.what == "open":
			if !x.in.opened && x.in.step.channel == "email" {
				x.in.opened = true
				p.day["opened"]++
			}
			if x.what == "click" {
				x.in.clicked = true
				p.day["clicked"]++
			}
		case x.what == "leave":
			p.left[[2]string{x.in.step.channel, x.in.who.id}] = now
			p.day["unsubscribed"]++
		}
		room <- struct{}{}
		group.Go(func() {
			failed[i] = p.browser.do(ctx, x.what, x.in)
			<-room
		})
	}
	group.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	if len(orders) == 0 {
		return nil
	}
	p.day["bought"] += len(orders)
	p.bought = append(p.bought, orders...)
	return p.buy(ctx, orders)
}

func (p *people) newOrder(c *customer, now time.Time) *order {
	o := &order{id: "n-" + c.id, who: c, placed: now.In(tokyo).Truncate(time.Second), status: "completed", source: "web"}
	r := rand.New(rand.NewPCG(seed, uint64(chance(c.id)*1e15)))
	p.shop.fill(o, r, 1+r.IntN(3))
	c.orders = append(c.orders, o)
	return o
}
