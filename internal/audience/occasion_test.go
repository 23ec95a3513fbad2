// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func TestOccasions(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		tokyo, newYork := loadZone(t, "Asia/Tokyo"), loadZone(t, "America/New_York")
		london, lordHowe := loadZone(t, "Europe/London"), loadZone(t, "Australia/Lord_Howe")
		loadOccasions(t, db)
		birthday := audience.Occasion{Attribute: "birthday", Yearly: true, Zone: tokyo}
		first := func(zone *time.Location) audience.Occasion {
			return audience.Occasion{Of: v1alpha1.DateFirstOrder, Zone: zone}
		}
		for _, c := range []struct {
			what string
			audience.Occasion
			day, want string
		}{
			{"29 February in a year that has none", birthday, "2026-02-28", "leap plain"},
			{"the day after it", birthday, "2026-03-01", "march"},
			{"in a year that has it", birthday, "2028-02-29", "leap"},
			{"the day before it", birthday, "2028-02-28", "plain"},
			{"by another zone's clock it was February", audience.Occasion{Attribute: "birthday", Yearly: true, Zone: newYork}, "2028-02-28", "march plain"},
			{"once, not every year", audience.Occasion{Attribute: "birthday", Zone: tokyo}, "2026-03-01", "born"},
			{"a first birthday", birthday, "2027-03-01", "born march"},
			{"a day in Tokyo", first(tokyo), "2026-03-08", "ny tokyo"},
			{"the day before in Tokyo", first(tokyo), "2026-03-07", "tokyo-1"},
			{"a day of 23 hours", first(newYork), "2026-03-08", "ny-1"},
			{"the day before a day of 23 hours", first(newYork), "2026-03-07", "ny tokyo tokyo-1"},
			{"the last order", audience.Occasion{Of: v1alpha1.DateLastOrder, Zone: london}, "2026-03-08", "ny twice"},
			{"a year after the first order", audience.Occasion{Of: v1alpha1.DateFirstOrder, Yearly: true, Zone: london}, "2026-03-08", "twice"},
			{"the first return of 29 February", audience.Occasion{Of: v1alpha1.DateFirstOrder, Yearly: true, Zone: london}, "2025-02-28", "leaper"},
			{"its return in a leap year", audience.Occasion{Of: v1alpha1.DateFirstOrder, Yearly: true, Zone: london}, "2028-02-29", "leaper"},
			{"not on the day itself", audience.Occasion{Of: v1alpha1.DateFirstOrder, Yearly: true, Zone: london}, "2024-02-29", ""},
			// The clock goes on by half an hour that night.
			{"deliveries on Lord Howe", audience.Occasion{Of: v1alpha1.DateNextDelivery, Zone: lordHowe}, "2026-10-04", "sub/s1/monthly"},
			{"the next day there", audience.Occasion{Of: v1alpha1.DateNextDelivery, Zone: lordHowe}, "2026-10-05", "sub/s2/yearly"},
			{"renewals", audience.Occasion{Of: v1alpha1.DateSubscriptionRenewal, Zone: london}, "2026-10-04", "sub/s2/yearly"},
		} {
			day, err := time.Parse(time.DateOnly, c.day)
			if err != nil {
				t.Fatal(err)
			}
			if got := occasions(t, db, c.Occasion, day, nil); got != c.want {
				t.Errorf("%s: on %s it is %q, want %q", c.what, c.day, got, c.want)
			}
			if got := occasions(t, db, c.Occasion, day, []string{"nobody"}); got != "" {
				t.Errorf("%s: of nobody it is %q", c.what, got)
			}
		}
	})
}

func loadOccasions(t *testing.T, db *store.Store) {
	t.Helper()
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var customers []store.Customer
	for id, birthday := range map[string]string{
		"leap": "2004-02-29", "plain": "1990-02-28", "march": "1985-03-01T00:30:00+09:00", "born": "2026-03-01", "none": "soon",
	} {
		customers = append(customers, store.Customer{ID: id, Attributes: map[string]json.RawMessage{"birthday": json.RawMessage(`"` + birthday + `"`)}})
	}
	var orders []store.Order
	for i, o := range [][2]string{
		{"tokyo", "2026-03-07T15:00:00Z"},       // midnight of the 8th in Tokyo
		{"tokyo-1", "2026-03-07T14:59:59.999Z"}, // the 7th in Tokyo
		{"ny", "2026-03-08T04:59:59Z"},          // the 7th in New York, whose 8th has 23 hours
		{"ny-1", "2026-03-09T03:59:59Z"},        // the 8th in New York
		{"leaper", "2024-02-29T12:00:00Z"}, {"twice", "2025-03-08T12:00:00Z"}, {"twice", "2026-03-08T12:00:00Z"},
	} {
		orders = append(orders, store.Order{ID: fmt.Sprintf("o%d", i), CustomerID: o[0], PlacedAt: at(o[1])})
	}
	subscription := func(id, customer, plan, status, started, next string) store.Subscription {
		return store.Subscription{ID: id, CustomerID: customer, Plan: store.Value(plan), Status: status, StartedAt: store.Value(at(started)), NextDelivery: store.Value(at(next))}
	}
	subscriptions := []store.Subscription{
		subscription("s1", "sub", "monthly", "Active", "2025-10-05T12:00:00Z", "2026-10-04T12:00:00Z"),
		subscription("s2", "sub", "yearly", "Active", "2024-10-04T12:00:00Z", "2026-10-04T13:00:00Z"),
		subscription("s3", "gone", "monthly", "Cancelled", "2025-10-04T12:00:00Z", "2026-10-04T12:00:00Z"),
	}
	now := at("2026-11-01T00:00:00Z")
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCustomers(t.Context(), "shop", customers, now)
		if err == nil {
			_, err = tx.UpsertOrders(t.Context(), "shop", orders, now)
		}
		if err == nil {
			_, err = tx.UpsertSubscriptions(t.Context(), "shop", subscriptions, now)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// occasions reads them two by two.
func occasions(t *testing.T, db *store.Store, o audience.Occasion, day time.Time, among []string) string {
	t.Helper()
	var out []string
	var after audience.Occurrence
	for {
		found, err := o.On(t.Context(), db, "shop", day, after, 2, among)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			text := f.Customer
			if f.ID != "" {
				text = fmt.Sprintf("%s/%s/%s", f.Customer, f.ID, f.Of)
			}
			out = append(out, text)
		}
		if len(found) < 2 {
			return strings.Join(out, " ")
		}
		after = found[1]
	}
}
