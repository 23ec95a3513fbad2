// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const fortnight = 14 * 24 * time.Hour

// conversions are what Attribute wrote: per enrolment "placed order revenue", per credited message its time.
func (f fixture) conversions() map[string]string {
	f.Helper()
	out := map[string]string{}
	f.each(`SELECT scenario || '/' || epoch || '/' || customer_id || '/' || entry, converted_at, order_id, revenue FROM enrolments WHERE converted_at IS NOT NULL`,
		func(rows *sql.Rows) error {
			var key, id string
			var at, revenue int64
			err := rows.Scan(&key, &at, &id, &revenue)
			out[key] = fmt.Sprintf("%d %s %d", at, id, revenue)
			return err
		})
	f.each(`SELECT id, converted_at FROM messages WHERE converted_at IS NOT NULL`, func(rows *sql.Rows) error {
		var key string
		var at int64
		err := rows.Scan(&key, &at)
		out[key] = fmt.Sprint(at)
		return err
	})
	return out
}

func (f fixture) each(query string, scan func(*sql.Rows) error) {
	f.Helper()
	rows, err := f.st.Query(f.Context(), query)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			f.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
}

func TestAttribute(t *testing.T) {
	const m1, m2, m3 = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003"
	enrolled := enrolment{"shop", "second", "1", "anna", "", "active", day(0)}
	paid := func(id string, placed float64) order {
		return order{"shop", id, "anna", day(placed), 100 * money.Unit, "paid", day(20)}
	}
	with := func(o order, change func(*order)) order {
		change(&o)
		return o
	}
	said := func(placed float64, id string) string {
		return fmt.Sprintf("%d %s 1000000", store.Millis(day(placed)), id)
	}
	const anna = "second/1/anna/"
	at := func(n float64) string { return fmt.Sprint(store.Millis(day(n))) }
	mail := func(id, step, state string, ended float64) message {
		return message{id: id, ns: "shop", scenario: "second", epoch: "1", customer: "anna", step: step, channel: "mail", kind: "email", state: state, ended: day(ended)}
	}

	cases := map[string]struct {
		enrolments []enrolment
		messages   []message
		orders     []order // in the order they arrive; Attribute runs after each
		want       map[string]string
	}{
		"nothing ordered":           {orders: nil, want: map[string]string{}},
		"ordered inside the window": {orders: []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a")}},
		"at its first moment":       {orders: []order{paid("a", 0)}, want: map[string]string{anna: said(0, "a")}},
		"at its last":               {orders: []order{paid("a", 14)}, want: map[string]string{anna: said(14, "a")}},
		"before it":                 {orders: []order{paid("a", -0.1)}, want: map[string]string{}},
		"after it":                  {orders: []order{paid("a", 14.1)}, want: map[string]string{}},
		"a cancelled order":         {orders: []order{with(paid("a", 3), func(o *order) { o.status = "cancelled" })}, want: map[string]string{}},
		"an earlier order arrives later": {
			orders: []order{paid("b", 5), paid("a", 3)}, want: map[string]string{anna: said(3, "a")},
		},
		"a later order changes nothing": {
			orders: []order{paid("a", 3), paid("b", 5)}, want: map[string]string{anna: said(3, "a")},
		},
		"two at once: the smaller id": {
			orders: []order{paid("b", 3), paid("a", 3)}, want: map[string]string{anna: said(3, "a")},
		},
		"refunded afterwards, and the next one counts": {
			orders: []order{paid("a", 3), paid("b", 5), with(paid("a", 3), func(o *order) { o.status = "refunded" })},
			want:   map[string]string{anna: said(5, "b")},
		},
		"refunded afterwards, and none is left": {
			messages: []message{mail(m1, "s1", "sent", 1)},
			orders:   []order{paid("a", 3), with(paid("a", 3), func(o *order) { o.status = "refunded" })},
			want:     map[string]string{},
		},
		"its date moved out of the window": {
			orders: []order{paid("a", 3), paid("a", 20)}, want: map[string]string{},
		},
		"its total changed": {
			orders: []order{paid("a", 3), with(paid("a", 3), func(o *order) { o.total = 5 })},
			want:   map[string]string{anna: fmt.Sprintf("%d a 5", store.Millis(day(3)))},
		},
		"given to another customer": {
			enrolments: []enrolment{enrolled, {"shop", "second", "1", "ben", "", "active", day(0)}},
			orders:     []order{paid("a", 3), with(paid("a", 3), func(o *order) { o.customer = "ben" })},
			want:       map[string]string{"second/1/ben/": said(3, "a")},
		},
		"held out converts as well": {
			enrolments: []enrolment{{"shop", "second", "1", "anna", "", "holdout", day(0)}},
			orders:     []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a")},
		},
		"other scenarios, epochs and shops are left alone": {
			enrolments: []enrolment{{"shop", "other", "1", "anna", "", "active", day(0)}, {"shop", "second", "2", "anna", "", "active", day(0)}, {"mall", "second", "1", "anna", "", "active", day(0)}},
			orders:     []order{paid("a", 3)}, want: map[string]string{},
		},
		"an order of another shop": {
			orders: []order{with(paid("a", 3), func(o *order) { o.ns = "mall" })}, want: map[string]string{},
		},
		"each entry has its window": {
			enrolments: []enrolment{enrolled, {"shop", "second", "1", "anna", "x", "active", day(10)}},
			orders:     []order{paid("a", 3), paid("b", 12)},
			want:       map[string]string{anna: said(3, "a"), anna + "x": said(12, "b")},
		},
		"the last message sent before it": {
			messages: []message{mail(m1, "s1", "sent", 1), mail(m2, "s2", "sent", 2), mail(m3, "s3", "sent", 4)},
			orders:   []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a"), m2: at(3)},
		},
		"the moment it was sent counts": {
			messages: []message{mail(m1, "s1", "sent", 3)},
			orders:   []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a"), m1: at(3)},
		},
		"two sent in one moment: one of them": {
			messages: []message{mail(m2, "s1", "sent", 1), mail(m1, "s2", "sent", 1)},
			orders:   []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a"), m2: at(3)},
		},
		"before any message": {
			messages: []message{mail(m1, "s1", "sent", 4)},
			orders:   []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a")},
		},
		"only what was sent": {
			messages: []message{mail(m1, "s1", "sent", 1), mail(m2, "s2", "unknown", 2), mail(m3, "s3", "skipped", 2)},
			orders:   []order{paid("a", 3)}, want: map[string]string{anna: said(3, "a"), m1: at(3)},
		},
		"the credit moves with the order": {
			messages: []message{mail(m1, "s1", "sent", 1), mail(m2, "s2", "sent", 4)},
			orders:   []order{paid("b", 5), paid("a", 3)}, want: map[string]string{anna: said(3, "a"), m1: at(3)},
		},
	}
	stores(t, func(f fixture) {
		for name, tt := range cases {
			f.Run(name, func(t *testing.T) {
				f := fixture{T: t, st: f.st}
				f.clear()
				if tt.enrolments == nil {
					tt.enrolments = []enrolment{enrolled}
				}
				for _, e := range tt.enrolments {
					f.enrol(e)
				}
				for _, m := range tt.messages {
					f.message(m)
				}
				for i, o := range tt.orders {
					o.received = o.received.Add(time.Duration(i) * time.Second)
					f.order(o)
					f.attribute(fortnight, o.received)
				}
				if diff := cmp.Diff(tt.want, f.conversions()); diff != "" {
					t.Error(diff)
				}
				if changed := f.attribute(fortnight, time.Time{}); changed != 0 {
					t.Errorf("Attribute changed %d rows the second time, want 0", changed)
				}
			})
		}
	})
}

// TestAttributeOnlyLooksAtWhatArrived makes a conversion wrong by hand: it stays wrong until its
// customer's orders arrive again.
func TestAttributeOnlyLooksAtWhatArrived(t *testing.T) {
	stores(t, func(f fixture) {
		for _, customer := range []string{"anna", "ben"} {
			f.enrol(enrolment{"shop", "second", "1", customer, "", "active", day(0)})
			f.order(order{"shop", "o-" + customer, customer, day(1), money.Unit, "paid", day(1)})
		}
		f.attribute(fortnight, day(1))
		f.exec(`UPDATE enrolments SET revenue = 7`)
		f.order(order{"shop", "o-ben", "ben", day(1), money.Unit, "paid", day(2)})
		if changed := f.attribute(fortnight, day(1.5)); changed != 1 {
			t.Errorf("Attribute changed %d rows, want ben's only", changed)
		}
	})
}

func TestAttributeRefusesAGoalWithoutAWindow(t *testing.T) {
	if _, err := Attribute(t.Context(), nil, "shop", "second", "1", Goal{}, time.Time{}); err == nil {
		t.Error("Attribute took a goal without a window")
	}
}

// TestAttributeFindsWhatArrivedByIndex: the statement that finds whose orders arrived must not read
// all orders or all enrolments.
func TestAttributeFindsWhatArrivedByIndex(t *testing.T) {
	stores(t, func(f fixture) {
		if f.st.Dialect() != store.SQLite {
			f.exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at, order_id)
SELECT 'shop', 'second', '1', 'c' || i, '', '', 'active', '', '', 0, 0, 'o' || i FROM generate_series(1, 20000) AS i`)
			f.exec(`INSERT INTO orders (ns, id, customer_id, placed_at, total, status, counted, received_at)
SELECT 'shop', 'o' || i, 'c' || i, i, 0, 'paid', 1, i FROM generate_series(1, 20000) AS i`)
			f.exec(`ANALYZE`)
		}
		explain := "EXPLAIN QUERY PLAN "
		if f.st.Dialect() != store.SQLite {
			explain = "EXPLAIN "
		}
		rows, err := f.st.Query(t.Context(), explain+touchedQuery, "shop", "second", "1", int64(19990))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			cells := make([]any, len(columns))
			for i := range cells {
				cells[i] = new(sql.NullString)
			}
			if err := rows.Scan(cells...); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(cells[len(cells)-1].(*sql.NullString).String + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		for _, index := range []string{"orders_received", "enrolments_customer", "enrolments_order"} {
			if !strings.Contains(plan.String(), index) {
				t.Errorf("the plan does not use %s:\n%s", index, plan.String())
			}
		}
		for _, scan := range []string{"SCAN orders", "SCAN e", "Seq Scan"} {
			if strings.Contains(plan.String(), scan+"\n") || strings.Contains(plan.String(), scan+" ") {
				t.Errorf("the plan reads a whole table:\n%s", plan.String())
			}
		}
	})
}

// history is a shop in memory, and the goal evaluated over it the plain way.
type history struct {
	enrolments []enrolment
	messages   []message
	orders     map[string]order
}

func (h *history) want(within time.Duration) map[string]string {
	out := map[string]string{}
	for _, e := range h.enrolments {
		var first *order
		for _, o := range h.orders {
			if o.customer != e.customer || !o.counted() || o.placed.Before(e.at) || o.placed.After(e.at.Add(within)) {
				continue
			}
			if first == nil || o.placed.Before(first.placed) || o.placed.Equal(first.placed) && o.id < first.id {
				first = &o
			}
		}
		if first == nil {
			continue
		}
		out[strings.Join([]string{e.scenario, e.epoch, e.customer, e.entry}, "/")] =
			fmt.Sprintf("%d %s %d", store.Millis(first.placed), first.id, first.total)
		var last *message
		for _, m := range h.messages {
			if m.customer != e.customer || m.entry != e.entry || m.state != "sent" || m.ended.After(first.placed) {
				continue
			}
			if last == nil || m.ended.After(last.ended) || m.ended.Equal(last.ended) && m.id > last.id {
				last = &m
			}
		}
		if last != nil {
			out[last.id] = fmt.Sprint(store.Millis(first.placed))
		}
	}
	return out
}

// TestAttributeEqualsPlainEvaluation lets a shop live through random days, in coarse time so that
// moments coincide, and holds what Attribute keeps up by arrivals against all of it evaluated anew.
func TestAttributeEqualsPlainEvaluation(t *testing.T) {
	stores(t, func(f fixture) {
		const seeds = 6
		for seed := range uint64(seeds) {
			random := rand.New(rand.NewPCG(seed, 1))
			f.clear()
			within := time.Duration(1+random.IntN(8)) * 12 * time.Hour
			h := &history{orders: map[string]order{}}
			previous := day(0)
			for round := range 12 {
				now := day(float64(round + 1))
				h.live(f, random, previous, now)
				// Sometimes with an overlap.
				since := previous.Add(-time.Duration(random.IntN(2)) * 36 * time.Hour)
				f.attribute(within, since)
				if diff := cmp.Diff(h.want(within), f.conversions()); diff != "" {
					t.Fatalf("seed %d, day %d: %s", seed, round, diff)
				}
				previous = now
			}
			if len(h.want(within)) < 8 {
				t.Errorf("seed %d: only %d conversions and credits: the history says little", seed, len(h.want(within)))
			}
		}
	})
}

// live adds a day: customers enter, are sent messages, order, and change their orders.
func (h *history) live(f fixture, random *rand.Rand, from, to time.Time) {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	moment := func() time.Time { // in (from, to], every six hours
		return from.Add(to.Sub(from) / 4 * time.Duration(1+random.IntN(4)))
	}
	customer := func() string { return fmt.Sprintf("c%d", random.IntN(15)) }
	// Orders and messages of a customer who entered the same day may come before or after that.
	for range 5 {
		e := enrolment{"shop", "second", "1", customer(), pick("", "x"), pick("active", "active", "completed", "holdout"), moment()}
		taken := false
		for _, other := range h.enrolments {
			taken = taken || other.customer == e.customer && other.entry == e.entry
		}
		if !taken {
			h.enrolments = append(h.enrolments, e)
			f.enrol(e)
		}
	}
	for _, e := range h.enrolments {
		if e.state == "holdout" || random.IntN(3) > 0 {
			continue
		}
		m := message{ns: "shop", scenario: "second", epoch: "1", customer: e.customer, entry: e.entry, step: to.Format("s-0102"), channel: "mail", kind: "email",
			state: pick("sent", "sent", "sent", "failed", "unknown", "skipped"), ended: moment()}
		m.id = f.message(m)
		h.messages = append(h.messages, m)
	}
	arrive := func(o order) {
		o.received = moment()
		h.orders[o.id] = o
		f.order(o)
	}
	for range 8 {
		arrive(order{ns: "shop", id: fmt.Sprintf("o%d", len(h.orders)), customer: customer(), status: pick("paid", "paid", "completed", "cancelled"),
			placed: moment().Add(-time.Duration(random.IntN(3)) * 24 * time.Hour), total: money.Amount(random.IntN(1000))})
	}
	for range 3 {
		o := h.orders[fmt.Sprintf("o%d", random.IntN(len(h.orders)))]
		switch random.IntN(4) {
		case 0:
			o.status = pick("paid", "refunded")
		case 1:
			o.placed = o.placed.Add(time.Duration(random.IntN(9)-4) * 6 * time.Hour)
			if o.placed.After(to) {
				o.placed = to
			}
		case 2:
			o.total = money.Amount(random.IntN(1000))
		case 3:
			o.customer = customer()
		}
		arrive(o)
	}
}
