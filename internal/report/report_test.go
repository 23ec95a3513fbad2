// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/money"
)

func TestReports(t *testing.T) {
	stores(t, func(f fixture) {
		n := 0
		add := func(count int, m message) {
			for range count {
				n++
				m.customer = fmt.Sprintf("c%03d", n)
				f.message(m)
			}
		}
		mail := message{ns: "shop", scenario: "second", epoch: "1", run: "second-1", step: "review", channel: "mail", kind: "email", cost: 3300, ended: day(3)}
		with := func(change func(m *message)) message {
			m := mail
			change(&m)
			return m
		}
		add(2, with(func(m *message) { m.state, m.cost, m.ended = "planned", 0, time.Time{} }))
		add(1, with(func(m *message) { m.state, m.ended = "sending", time.Time{} })) // a cost that is not due yet
		add(3, with(func(m *message) { m.state = "sent" }))
		add(2, with(func(m *message) { m.state, m.delivered, m.opened = "sent", true, true }))
		add(1, with(func(m *message) { m.state, m.opened, m.clicked = "sent", true, true }))
		add(1, with(func(m *message) { m.state, m.delivered = "unknown", true }))
		add(4, with(func(m *message) { m.state = "failed" }))
		add(5, with(func(m *message) { m.state = "skipped" }))
		add(6, with(func(m *message) { m.state = "cancelled" }))
		add(7, with(func(m *message) { m.step, m.channel, m.kind, m.state, m.run = "line", "line-main", "line", "sent", "" }))
		// Everything that must not be counted.
		add(1, with(func(m *message) { m.state, m.ns = "sent", "other" }))
		add(1, with(func(m *message) { m.state, m.scenario, m.channel = "sent", "other", "other" }))
		add(1, with(func(m *message) { m.state, m.epoch, m.run, m.ended = "sent", "0", "second-0", day(-30) }))

		for i, state := range []string{"active", "active", "active", "completed", "completed", "exited", "holdout", "holdout", "cancelled"} {
			f.enrol(enrolment{"shop", "second", "1", fmt.Sprintf("e%d", i), "", state, day(0)})
		}
		// One order that converts an enrolment, another for one held out, and one for two entries of a customer.
		f.enrol(enrolment{"shop", "second", "1", "e0", "again", "active", day(1)})
		f.order(order{"shop", "o1", "e0", day(2), 100 * money.Unit, "paid", day(2)})
		f.order(order{"shop", "o2", "e7", day(2), 50 * money.Unit, "paid", day(2)})
		f.order(order{"shop", "o3", "e3", day(2), 5000, "paid", day(2)})
		if got := f.attribute(14*24*time.Hour, time.Time{}); got != 4 {
			t.Errorf("Attribute changed %d rows, want 4", got)
		}

		got, err := Scenario(t.Context(), f.st, "shop", "second", "1")
		if err != nil {
			t.Fatal(err)
		}
		want := &ScenarioReport{
			Steps: map[string]StepCounts{
				"review": {Name: "review", Channel: "mail", Pending: 3, Sent: 6, Delivered: 3, Opened: 3, Clicked: 1, Failed: 4, Skipped: 5, Cancelled: 6, Unknown: 1},
				"line":   {Name: "line", Channel: "line-main", Sent: 7},
			},
			Enrolled: 10, Underway: 4, Completed: 2, Exited: 1, Holdout: 2, Cancelled: 1,
			Converted: 4, HoldoutConverted: 1,
			Revenue: 150*money.Unit + 5000, Cost: 14 * 3300,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		run, err := Run(t.Context(), f.st, "shop", "second", "second-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&RunReport{Planned: 25, Pending: 3, Sent: 6, Failed: 4, Skipped: 5, Cancelled: 6, Unknown: 1}, run); diff != "" {
			t.Error(diff)
		}

		for name, tt := range map[string]struct {
			channel  string
			from, to time.Time
			wantSent int64
			wantCost money.Amount
		}{
			"sent and unknown are paid for": {"mail", day(0), day(30), 6, 7 * 3300},
			"the beginning is inside":       {"mail", day(3), day(30), 6, 7 * 3300},
			"the end is outside":            {"mail", day(0), day(3), 0, 0},
			"every scenario and epoch":      {"mail", day(-60), day(30), 7, 8 * 3300},
			"nobody knows it":               {"fax", day(0), day(30), 0, 0},
		} {
			sent, cost, err := ChannelMonth(t.Context(), f.st, "shop", tt.channel, tt.from, tt.to)
			if err != nil || sent != tt.wantSent || cost != tt.wantCost {
				t.Errorf("%s: ChannelMonth = %d, %s, %v, want %d, %s", name, sent, cost, err, tt.wantSent, tt.wantCost)
			}
		}
	})
}

func TestScenarioThatNobodyKnows(t *testing.T) {
	stores(t, func(f fixture) {
		got, err := Scenario(t.Context(), f.st, "shop", "none", "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&ScenarioReport{Steps: map[string]StepCounts{}}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPercent(t *testing.T) {
	for want, of := range map[string][2]int64{
		"5.8%": {700, 12000}, "0.0%": {0, 9}, "": {0, 0}, "100.0%": {3, 3}, "33.3%": {1, 3}, "66.7%": {2, 3}, "0.1%": {1, 2000}, "2.9%": {35, 1200},
	} {
		if got := Percent(of[0], of[1]); got != want {
			t.Errorf("Percent(%d, %d) = %q, want %q", of[0], of[1], got, want)
		}
	}
}
