// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// happen lets one thing happen, in the shop in memory and in the database.
func (h *history) happen(step int) {
	id := ""
	if len(h.shop.people) > 0 {
		id = h.shop.people[h.IntN(len(h.shop.people))].id
	}
	delta := &shop{Shop: h.shop.Shop}
	switch what := h.IntN(12); {
	case what == 0 || id == "":
		p := person{id: fmt.Sprintf("n%d-%d", step, len(h.shop.people)), attributes: map[string]any{}, consents: map[string]bool{"email": true}}
		p.email = pick(h.random, "", p.id+"@example.com", "b@example.com")
		h.shop.people, delta.people = append(h.shop.people, p), []person{p}
	case what <= 3:
		at := h.when(h.now)
		b := purchase{id: fmt.Sprintf("o%d-%d", step, len(h.shop.purchases)), customer: id, at: at, total: money.Amount(h.IntN(30)) * money.Unit, status: pick(h.random, statuses...)}
		b.items = []item{{pick(h.random, products...), pick(h.random, categories...)}}
		h.shop.purchases, delta.purchases = append(h.shop.purchases, b), []purchase{b}
	case what <= 5 && len(h.shop.purchases) > 0:
		// An order is cancelled, paid, corrected, or turns out to be somebody else's.
		b := &h.shop.purchases[h.IntN(len(h.shop.purchases))]
		switch h.IntN(4) {
		case 0:
			b.status = pick(h.random, statuses...)
		case 1:
			b.total = money.Amount(h.IntN(30)) * money.Unit
		case 2:
			b.customer = id
		case 3:
			b.at, b.items = h.when(h.now), nil
		}
		// What a row does not say stays.
		if b.status == "" {
			b.status = "paid"
		}
		if b.source == "" {
			b.source = "web"
		}
		delta.purchases = []purchase{*b}
	case what == 6:
		e := h.happening(h.shop, id, h.now)
		if len(h.shop.events) > 0 && h.IntN(3) == 0 {
			e.id = h.shop.events[h.IntN(len(h.shop.events))].id
		}
		h.shop.events = replaced(h.shop.events, e, func(e happening) string { return e.id })
		delta.events = []happening{e}
	case what == 7:
		c := h.contract(h.shop, id, h.now)
		if len(h.shop.contracts) > 0 && h.IntN(2) == 0 {
			c.id = h.shop.contracts[h.IntN(len(h.shop.contracts))].id
		}
		h.shop.contracts = replaced(h.shop.contracts, c, func(c contract) string { return c.id })
		delta.contracts = []contract{c}
	case what == 8:
		m := h.sending(id, h.now)
		if len(h.shop.sent) > 0 && h.IntN(2) == 0 { // more is heard of it, or less
			old := h.shop.sent[h.IntN(len(h.shop.sent))]
			m.id, m.customer, m.scenario, m.channel = old.id, old.customer, old.scenario, old.channel
		}
		h.shop.sent = replaced(h.shop.sent, m, func(m sending) string { return m.id })
		delta.sent = []sending{m}
	case what == 9:
		h.address(id, delta)
	case what == 10:
		product := pick(h.random, "p1", "p2", "p9")
		h.shop.catalogue[product] = pick(h.random, "tea", "food")
		delta.catalogue = map[string]string{product: h.shop.catalogue[product]}
	default:
		p := h.person(id)
		name := pick(h.random, names[:6]...)
		p.attributes[name] = pick(h.random, append(others, texts...)...)
		delta.people = []person{{id: id, email: p.email, phone: p.phone, line: p.line, attributes: map[string]any{name: p.attributes[name]}}}
	}
	delta.load(h.t, h.db, h.ns, h.now)
}

// address changes how a customer can be reached.
func (h *history) address(id string, delta *shop) {
	p := h.person(id)
	switch h.IntN(3) {
	case 0:
		p.email = pick(h.random, "", "b@example.com", "x"+id+"@example.com")
		delta.people = []person{{id: id, email: p.email, phone: p.phone, line: p.line}}
	case 1:
		channel, granted := pick(h.random, "email", "line", "sms"), h.IntN(2) == 0
		p.consents[channel] = granted
		state := map[bool]string{true: store.ConsentGranted, false: store.ConsentWithdrawn}[granted]
		if err := h.db.SetConsent(h.t.Context(), h.ns, id, channel, state, "preferences", h.now); err != nil {
			h.t.Fatal(err)
		}
	case 2:
		if a := (address{"email", p.email}); p.email != "" && !slices.Contains(h.shop.suppressed, a) {
			h.shop.suppressed, delta.suppressed = append(h.shop.suppressed, a), []address{a}
		}
	}
}

func (h *history) person(id string) *person {
	return &h.shop.people[slices.IndexFunc(h.shop.people, func(p person) bool { return p.id == id })]
}

func replaced[T any](list []T, v T, id func(T) string) []T {
	if at := slices.IndexFunc(list, func(old T) bool { return id(old) == id(v) }); at >= 0 {
		list[at] = v
		return list
	}
	return append(list, v)
}
