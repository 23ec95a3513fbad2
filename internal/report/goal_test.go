// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func (f fixture) event(id, customer, name string, at time.Time) {
	f.Helper()
	f.exec(`INSERT INTO events (ns, id, customer_id, name, occurred_at, properties, received_at) VALUES ('shop', $1, $2, $3, $4, '{}', $4)`,
		id, customer, name, store.Millis(at))
}

// credits are the shares of messages, by step.
func (f fixture) credits() map[string]int64 {
	f.Helper()
	out := map[string]int64{}
	f.each(`SELECT step, credit FROM messages WHERE converted_at IS NOT NULL`, func(rows *sql.Rows) error {
		var step string
		var share int64
		err := rows.Scan(&step, &share)
		out[step] = share
		return err
	})
	return out
}

func TestAttributions(t *testing.T) {
	stores(t, func(f fixture) {
		f.enrol(enrolment{"shop", "second", "1", "anna", "", "active", day(0)})
		for i, m := range []message{{step: "a", state: "sent"}, {step: "hook", kind: "webhook", state: "sent"}, {step: "b", state: "skipped"}, {step: "c", state: "sent"}, {step: "d", state: "sent"}, {step: "late", state: "sent"}} {
			m.ns, m.scenario, m.epoch, m.customer, m.channel, m.ended = "shop", "second", "1", "anna", "mail", day(float64(i)-0.5)
			if m.kind == "" {
				m.kind = "email"
			}
			f.message(m)
		}
		f.order(order{"shop", "o1", "anna", day(4), money.Unit, "paid", day(4)})
		for attribution, want := range map[string]map[string]int64{
			"":                       {"d": 1000000},
			crm.AttributionLastTouch: {"d": 1000000},
			// The call of a webhook touched nobody, though it came first, and so did not what was skipped.
			crm.AttributionFirstTouch: {"a": 1000000},
			crm.AttributionLinear:     {"a": 333333, "c": 333333, "d": 333333},
		} {
			goal := Goal{Within: fortnight, Event: crm.EventOrderCompleted, Attribution: attribution}
			if _, err := Attribute(f.Context(), f.st, "shop", "second", "1", goal, time.Time{}); err != nil {
				f.Fatal(err)
			}
			if diff := cmp.Diff(want, f.credits()); diff != "" {
				f.Errorf("%s: %s", attribution, diff)
			}
			if changed, err := Attribute(f.Context(), f.st, "shop", "second", "1", goal, time.Time{}); err != nil || changed != 0 {
				f.Errorf("%s: %d changed the second time, %v", attribution, changed, err)
			}
		}
		// Ben converted as well, by one message. Of three and one shares, each step's are rounded by itself.
		f.enrol(enrolment{"shop", "second", "1", "ben", "", "active", day(0)})
		f.message(message{ns: "shop", scenario: "second", epoch: "1", customer: "ben", step: "a", channel: "mail", kind: "email", state: "sent", ended: day(1)})
		f.order(order{"shop", "o2", "ben", day(4), money.Unit, "paid", day(4)})
		goal := Goal{Within: fortnight, Attribution: crm.AttributionLinear}
		if _, err := Attribute(f.Context(), f.st, "shop", "second", "1", goal, time.Time{}); err != nil {
			f.Fatal(err)
		}
		seen, err := Scenario(f.Context(), f.st, "shop", "second", "1")
		if err != nil {
			f.Fatal(err)
		}
		if a, c := seen.Steps["a"], seen.Steps["c"]; a.Converted != 1 || c.Converted != 0 || seen.Converted != 2 {
			f.Errorf("the steps are credited with %d and %d of %d", a.Converted, c.Converted, seen.Converted)
		}
	})
}

func TestGoalOfAnEvent(t *testing.T) {
	stores(t, func(f fixture) {
		for _, customer := range []string{"anna", "ben", "cleo", "dora"} {
			f.enrol(enrolment{"shop", "second", "1", customer, "", "active", day(0)})
		}
		f.event("e1", "anna", "Review Written", day(5))
		f.event("e0", "anna", "Review Written", day(3))
		f.event("e2", "ben", "Review Written", day(-1))
		f.event("e3", "cleo", "Product Viewed", day(3))
		f.order(order{"shop", "o1", "dora", day(3), money.Unit, "paid", day(3)})
		goal := Goal{Within: fortnight, Event: "Review Written"}
		machine := clocktesting.NewFakePassiveClock(day(6))
		f.exec(`INSERT INTO scenarios (ns, name, epoch, revision, state, goal_seen_at, updated_at) VALUES ('shop', 'second', '1', 'r', 'armed', 0, 0)`)
		for range 2 { // the second process finds it noted
			goals := &Goals{Store: f.st, Machine: machine}
			for range 2 {
				if _, err := goals.Follow(f.Context(), "shop", "second", "1", goal); err != nil {
					f.Fatal(err)
				}
			}
			converted := map[string]int64{}
			f.each(`SELECT customer_id, converted_at FROM enrolments WHERE converted_at IS NOT NULL AND order_id IS NULL AND revenue IS NULL`, func(rows *sql.Rows) error {
				var id string
				var at int64
				err := rows.Scan(&id, &at)
				converted[id] = at
				return err
			})
			if diff := cmp.Diff(map[string]int64{"anna": store.Millis(day(3))}, converted); diff != "" {
				f.Error(diff)
			}
		}
		// Another goal is counted anew, and takes back what the one before had counted.
		f.exec(`UPDATE scenarios SET goal_seen_at = 0`)
		goals := &Goals{Store: f.st, Machine: machine}
		if _, err := goals.Follow(f.Context(), "shop", "second", "1", Goal{Within: fortnight, Event: "Product Viewed"}); err != nil {
			f.Fatal(err)
		}
		var who string
		f.each(`SELECT customer_id FROM enrolments WHERE converted_at IS NOT NULL`, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			who += id
			return err
		})
		if who != "cleo" {
			f.Errorf("%s converted", who)
		}
	})
}

// TestTheOrderThatLetInIsNoConversion, nor does it stand before one that is.
func TestTheOrderThatLetInIsNoConversion(t *testing.T) {
	stores(t, func(f fixture) {
		for _, customer := range []string{"anna", "ben"} {
			f.enrol(enrolment{"shop", "second", "1", customer, "", "active", day(0)})
			f.order(order{"shop", "o-" + customer, customer, day(0), money.Unit, "paid", day(0)})
			f.exec(`UPDATE enrolments SET facts = `+f.st.Dialect().JSONParam(1)+` WHERE customer_id = $2`, `{"order_id": "o-`+customer+`"}`, customer)
		}
		f.order(order{"shop", "o-more", "ben", day(1), money.Unit, "paid", day(1)})
		f.attribute(fortnight, time.Time{})
		var got string
		f.each(`SELECT customer_id || ' ' || order_id FROM enrolments WHERE converted_at IS NOT NULL`, func(rows *sql.Rows) error {
			var text string
			err := rows.Scan(&text)
			got += text
			return err
		})
		if got != "ben o-more" {
			f.Errorf("converted by %q", got)
		}
	})
}
