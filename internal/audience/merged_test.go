// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// TestMergedCustomersAreInTheSegmentsOfOne: a segment that had both, one of them or neither has after its
// next refresh whom it would have if the two had always been one.
func TestMergedCustomersAreInTheSegmentsOfOne(t *testing.T) {
	matches := map[string]string{
		"twice":   `all: [{orders: {atLeast: 2}}]`,
		"once":    `all: [{orders: {exactly: 1}}]`,
		"any":     `all: [{orders: {atLeast: 1}}]`,
		"none":    `all: [{orders: {exactly: 0}}]`,
		"best":    `all: [{spend: {topPercent: 50}}]`,
		"seen":    `all: [{event: {name: Seen, within: 7d}}]`,
		"teas":    `all: [{orders: {atLeast: 1, where: {category: [tea]}}}]`,
		"gold":    `all: [{attribute: {name: rank, in: [gold]}}]`,
		"wishers": `all: [{favourite: {category: tea}}]`,
		"insider": `all: [{segment: {name: any}}]`,
	}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	learn := func(t *testing.T, db *store.Store, ns string, who func(id string) string) {
		t.Helper()
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			for i, id := range []string{"anna", "old", "beth", "carl", "anna", "old"} {
				if _, err := tx.UpsertOrders(t.Context(), ns, []store.Order{{
					ID: fmt.Sprint("o", i), CustomerID: who(id), PlacedAt: now.Add(-time.Duration(i) * 24 * time.Hour), Total: money.Amount(10000 * (i + 1)), HasItems: true,
					Items: []store.Item{{ProductID: store.Value("p"), Category: store.Value([]string{"tea", "food"}[i%2]), Quantity: 1}},
				}}, now); err != nil {
					return err
				}
			}
			for i, id := range []string{"old", "dora"} {
				for _, name := range []string{"Seen", store.EventWished} {
					if _, err := tx.AddEvents(t.Context(), ns, []store.Event{{ID: fmt.Sprint(name, i), CustomerID: who(id), Name: name, OccurredAt: now.Add(-time.Hour),
						Properties: json.RawMessage(`{"product_id":"p","category":"tea"}`)}}, now); err != nil {
						return err
					}
				}
			}
			_, err := tx.UpsertCustomers(t.Context(), ns, []store.Customer{{
				ID: who("old"), Email: store.Value("old@shop.example"), Consents: map[string]string{"email": store.ConsentGranted}, Attributes: map[string]json.RawMessage{"rank": json.RawMessage(`"gold"`)},
			}}, now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(now)}
		learn(t, db, "shop", func(id string) string { return id })
		learn(t, db, "one", func(id string) string {
			if id == "old" {
				return "anna"
			}
			return id
		})
		names := []string{"any", "twice", "once", "none", "best", "seen", "teas", "gold", "wishers", "insider"}
		for _, name := range names {
			refresh(t, r, "shop", name, spec(t, matches[name]))
			refresh(t, r, "one", name, spec(t, matches[name]))
		}
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Merge(t.Context(), "shop", "old", "anna", now)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			got := refresh(t, r, "shop", name, spec(t, matches[name]))
			want, _, err := r.State(t.Context(), "one", name)
			if err != nil {
				t.Fatal(err)
			}
			if is, wanted := membersOf(t, r, "shop", name), membersOf(t, r, "one", name); is != wanted || got.Members != want.Members || got.Reach != want.Reach {
				t.Errorf("%s: %s (%d, %v), want %s (%d, %v)", name, is, got.Members, got.Reach, wanted, want.Members, want.Reach)
			}
			if got.Mode != audience.ModeIncremental {
				t.Errorf("%s was refreshed as %s", name, got.Mode)
			}
			full, err := r.RefreshFully(t.Context(), "shop", name, spec(t, matches[name]), audience.Shop{})
			if err != nil || full.Drift != 0 {
				t.Errorf("%s: a drift of %d, %v", name, full.Drift, err)
			}
		}
	})
}
