// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const everyCondition = `
all:
- attribute: {name: rank, in: [gold, silver]}
- attribute: {name: birthday, anniversaryWithin: 7d}
- orders: {atLeast: 3, within: 200d, where: {category: [tea, food]}}
- spend: {atLeast: "100.5"}
- spend: {of: Average, topPercent: 50}
- spend: {topPercent: 30, within: 30d}
- firstOrder: {olderThan: 60d}
- lastOrder: {within: 30d}
any:
- lifecycle: {in: [First]}
- anyOf:
  - rfm: {recency: {atLeast: 4}, monetary: {atMost: 3}}
  - replenishment: {dueWithin: 7d}
- subscription: {status: [Active], nextDeliveryWithin: 7d}
- allOf:
  - reachable: {channels: [line, email], mode: All}
  - expression: customer.orders >= 2 && customer.age > 20
none:
- event: {name: Product Added, within: 30d, notFollowedBy: {name: Order Completed, within: 1d}}
- engagement: {kind: Clicked, scenario: winback, exactly: 0}
- favourite: {category: tea}
- segment: {name: chosen}
`

// everything is a shop with one customer for whom each kind of condition has something to look at.
func everything() *shop {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		panic(err)
	}
	return &shop{
		Shop: audience.Shop{Zone: tokyo, DormantAfter: 120 * 24 * time.Hour},
		people: []person{{
			id: "hanako", email: "hanako@example.com", line: "Uhanako", attributes: map[string]any{"rank": "gold", "birthday": "1990-07-03", "secret": "nobody's business"},
			consents: map[string]bool{"email": true, "line": false},
		}, {id: "taro", email: "taro@example.com"}, {id: "jiro"}},
		purchases: []purchase{
			order("hanako", daysAgo(100), 50, of(item{"p1", "tea"})), order("hanako", daysAgo(40), 80, of(item{"p2", "food"}, item{"p1", "tea"})),
			order("hanako", daysAgo(5).Add(-time.Hour), 20, of(item{"p3", "soap"})),
			order("taro", daysAgo(3), 500),
		},
		segments: map[string][]string{"chosen": {"taro"}},
		events: []happening{
			{id: "e1", customer: "hanako", name: "Product Added", at: daysAgo(8), properties: map[string]string{"product_id": "p1"}},
			{id: "e2", customer: "hanako", name: "Product Added", at: daysAgo(2), properties: map[string]string{}},
			{id: "e3", customer: "hanako", name: "Product Added to Wishlist", at: daysAgo(3), properties: map[string]string{"product_id": "p1", "category": "tea"}},
			{id: "e4", customer: "hanako", name: "Product Added to Wishlist", at: daysAgo(1), properties: map[string]string{"product_id": "p2", "category": "food"}},
		},
		contracts: []contract{
			{id: "s1", customer: "hanako", plan: "monthly", status: "Active", delivers: edgesNow.Add(50 * time.Hour)},
			{id: "s2", customer: "hanako", plan: "yearly", status: "Cancelled", cancelled: daysAgo(200)},
		},
		sent: []sending{
			{id: "018f3f3e-0000-7000-8000-000000000001", customer: "hanako", scenario: "winback", channel: "mail", became: map[string]time.Time{"clicked": daysAgo(4)}},
			{id: "018f3f3e-0000-7000-8000-000000000002", customer: "hanako", scenario: "winback", channel: "mail", became: map[string]time.Time{"clicked": daysAgo(9), "opened": daysAgo(9)}},
		},
	}
}

// TestExplainEverything shows each kind of condition, in words and as JSON, the same on both stores.
func TestExplainEverything(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := everything()
		s.load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		if _, err := r.Refresh(t.Context(), "shop", "all-kinds", spec(t, everyCondition), s.Shop); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, customer := range []string{"hanako", "jiro"} {
			e, err := r.Explain(t.Context(), "shop", "all-kinds", customer)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range e.Conditions {
				text, err := audience.Flow(&v.Condition)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&got, "%s  %s\n    %s: %v\n", v.Place, text, v.Value, v.Holds)
			}
			document, err := json.MarshalIndent(e, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString("\n" + string(document) + "\n\n")
		}
		if strings.Contains(got.String(), "nobody's business") {
			t.Error("it tells what no condition asks for")
		}
		golden(t, "testdata/explain.txt", got.String())
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it is not what %s has: if it should be, run go test -update\n%s", name, got)
	}
}
