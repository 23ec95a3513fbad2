// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// table is how the rows of a table are made: those of number n, of so many numbers.
type table struct {
	name    string
	columns []string
	numbers int
	rows    func(m *maker, n int, yield func(...any))
}

// tables are in the order in which they are filled. Within each, rows come in the order of its key.
func (s *shop) tables() []table {
	return []table{
		{"products", strings.Fields("ns id name category price stock updated_at"), productCount, productRow},
		{"customers", strings.Fields("ns id email phone line_user_id attributes reach created_at updated_at"), s.customers, customerRow},
		{"consents", strings.Fields("ns customer_id channel state source changed_at"), s.customers, consentRows},
		{"suppressions", strings.Fields("ns channel address reason created_at"), s.customers, suppressionRow},
		{"subscriptions", strings.Fields("ns id customer_id plan status started_at cancelled_at next_delivery_at updated_at"), s.customers, subscriptionRow},
		{"orders", strings.Fields("ns id customer_id placed_at total currency status source counted received_at"), s.orders(), orderRow},
		{"order_items", strings.Fields("ns order_id line customer_id product_id name category quantity price"), s.orders(), itemRows},
		{"events", strings.Fields("ns id customer_id name occurred_at properties received_at"), s.events(), eventRow},
	}
}

func productRow(_ *maker, n int, yield func(...any)) {
	yield(namespace, productID(n), "Product "+productID(n), category(n), int64(price(n)), int64(n%50), store.Millis(today))
}

var (
	prefectures = weighted{
		{"東京都", 14}, {"神奈川県", 9}, {"大阪府", 9}, {"愛知県", 8}, {"埼玉県", 7}, {"千葉県", 6}, {"兵庫県", 5},
		{"北海道", 5}, {"福岡県", 5}, {"静岡県", 4}, {"茨城県", 4}, {"広島県", 4}, {"京都府", 4}, {"宮城県", 4},
		{"新潟県", 3}, {"長野県", 3}, {"沖縄県", 2}, {"", 4},
	}
	genders = weighted{{"female", 52}, {"male", 30}, {"other", 2}, {"", 16}}
)

func email(n int) string { return fmt.Sprintf("%07d@example.com", n) }

func customerRow(m *maker, n int, yield func(...any)) {
	from, _ := m.life(m.lives, n)
	d := m.d.of(ofCustomer, n)
	var mail, phone, line any
	if d.percent(92) {
		mail = email(n)
	}
	if d.percent(60) {
		phone = fmt.Sprintf("+8190%08d", n)
	}
	if d.percent(45) {
		line = fmt.Sprintf("U%032d", n)
	}
	attributes := []string{fmt.Sprintf(`"points":%d`, d.IntN(100)*d.IntN(100))}
	if d.percent(85) {
		attributes = append(attributes, fmt.Sprintf(`"age":%d`, 18+(d.IntN(60)+d.IntN(60))/2))
	}
	if d.percent(70) {
		born := time.Date(1945, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, d.IntN(62*365))
		attributes = append(attributes, fmt.Sprintf(`"birthday":%q`, born.Format(time.DateOnly)))
	}
	if prefecture := d.pick(prefectures); prefecture != "" {
		attributes = append(attributes, fmt.Sprintf(`"prefecture":%q`, prefecture))
	}
	if gender := d.pick(genders); gender != "" {
		attributes = append(attributes, fmt.Sprintf(`"gender":%q`, gender))
	}
	yield(namespace, customerID(n), mail, phone, line, "{"+strings.Join(attributes, ",")+"}",
		m.reach(n, mail != nil && !suppressed(n), line != nil, phone != nil), store.Millis(from), store.Millis(from))
}

// reach has the bits of the channels that reach a customer, where an address of theirs can be used.
func (m *maker) reach(n int, mail, line, phone bool) (bits int64) {
	usable := map[string]bool{store.ChannelEmail: mail, store.ChannelLINE: line, store.ChannelSMS: phone}
	m.consents(n, func(channel, state string) {
		if state == store.ConsentGranted && usable[channel] {
			bits |= store.ReachBit(channel)
		}
	})
	return bits
}

// consents tells what a customer said, in the order of the channels' names.
func (m *maker) consents(n int, tell func(channel, state string)) {
	d := m.d.of(ofConsent, n)
	for _, channel := range []struct {
		name            string
		asked, withdraw int
	}{{store.ChannelEmail, 80, 12}, {store.ChannelLINE, 45, 8}, {store.ChannelSMS, 25, 20}} {
		state := store.ConsentGranted
		if asked, withdrawn := d.percent(channel.asked), d.percent(channel.withdraw); !asked {
			continue
		} else if withdrawn {
			state = store.ConsentWithdrawn
		}
		tell(channel.name, state)
	}
}

func consentRows(m *maker, n int, yield func(...any)) {
	from, _ := m.life(m.lives, n)
	m.consents(n, func(channel, state string) {
		yield(namespace, customerID(n), channel, state, "import", store.Millis(from))
	})
}

// suppressed is so of one mail address in eighty.
func suppressed(n int) bool { return mix(uint64(n))%80 == 0 }

func suppressionRow(_ *maker, n int, yield func(...any)) {
	if suppressed(n) {
		yield(namespace, store.ChannelEmail, email(n), "bounced", store.Millis(today.Add(-history/2)))
	}
}

func subscriptionRow(m *maker, n int, yield func(...any)) {
	d := m.d.of(ofSubscription, n)
	if !d.percent(10) {
		return
	}
	from, _ := m.life(m.lives, n)
	started := from.Add(time.Duration(d.Int64N(int64(today.Sub(from)) + 1)))
	plan := d.pick(weighted{{"monthly", 60}, {"quarterly", 30}, {"yearly", 10}})
	status := d.pick(weighted{{"Active", 60}, {"Paused", 10}, {"Cancelled", 30}})
	var cancelled, next any
	switch status {
	case "Active":
		next = store.Millis(today.Add(time.Duration(d.Int64N(int64(30 * 24 * time.Hour)))))
	case "Cancelled":
		cancelled = store.Millis(started.Add(time.Duration(d.Int64N(int64(today.Sub(started)) + 1))))
	}
	yield(namespace, fmt.Sprintf("s%07d", n), customerID(n), plan, status, store.Millis(started), cancelled, next, store.Millis(started))
}

func orderRow(m *maker, n int, yield func(...any)) {
	o := m.orderNumber(n)
	at := store.Millis(o.at)
	yield(namespace, o.id(), customerID(o.customer), at, int64(o.total), "JPY", o.status, o.source, o.counted(), at)
}

func itemRows(m *maker, n int, yield func(...any)) {
	o := m.orderNumber(n)
	for line, it := range o.items {
		yield(namespace, o.id(), int64(line), customerID(o.customer), productID(it.product), nil, category(it.product), it.quantity, int64(price(it.product)))
	}
}

func eventRow(m *maker, n int, yield func(...any)) {
	e := m.eventNumber(n)
	at := store.Millis(e.at)
	yield(namespace, e.id(), customerID(e.customer), e.name, at, e.properties(), at)
}
