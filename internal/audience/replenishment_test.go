// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// TestReplenishment lets customers buy about every week, and holds who is due against the predictions.
func TestReplenishment(t *testing.T) {
	segments := map[string]v1alpha1.ReplenishmentCondition{
		"any":      {DueWithin: "3d"},
		"tea":      {DueWithin: "2d", Category: "tea"},
		"one":      {DueWithin: "12h", Product: "p1"},
		"tomorrow": {DueWithin: "1d"},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := random{rand.New(rand.NewPCG(1, 2))}
		now := edgesNow
		s := &shop{}
		for i := range 12 {
			s.people = append(s.people, person{id: fmt.Sprintf("c%02d", i)})
			for at := now.AddDate(0, 0, -60); at.Before(now); at = at.Add(time.Duration(4+r.IntN(7)) * 24 * time.Hour) {
				s.purchases = append(s.purchases, weekly(r, fmt.Sprintf("c%02d", i), at, len(s.purchases)))
			}
		}
		s.load(t, db, "shop", now)
		clk := testingclock.NewFakeClock(now)
		refresher := &audience.Refresher{Store: db, Clock: clk}
		seen := map[string]map[string]bool{}
		for step := range 60 {
			now = now.Add(8 * time.Hour)
			clk.SetTime(now)
			if r.IntN(2) == 0 {
				bought := &shop{purchases: []purchase{weekly(r, s.people[r.IntN(12)].id, now, 1000+step)}}
				bought.load(t, db, "shop", now)
			}
			if step%3 == 0 {
				if _, err := db.RefreshCycles(t.Context(), "shop", now); err != nil {
					t.Fatal(err)
				}
			}
			for name, c := range segments {
				result := refresh(t, refresher, "shop", name, &v1alpha1.SegmentSpec{Match: v1alpha1.Match{All: []v1alpha1.NestedCondition{{Condition: v1alpha1.Condition{Replenishment: &c}}}}})
				want := due(t, db, c, now)
				if got := membersOf(t, refresher, "shop", name); got != want {
					t.Fatalf("step %d, %s (%s): got %s, want %s", step, name, result.Mode, got, want)
				}
				if seen[name] == nil {
					seen[name] = map[string]bool{}
				}
				seen[name][want] = true
			}
		}
		for name := range segments {
			if len(seen[name]) < 5 {
				t.Errorf("%s hardly ever changed", name)
			}
		}
		if wrong, err := db.CheckMetrics(t.Context(), "shop"); err != nil || wrong != 0 {
			t.Error(wrong, err)
		}
	})
}

func weekly(r random, customer string, at time.Time, n int) purchase {
	return purchase{id: fmt.Sprintf("o%d", n), customer: customer, at: at, total: money.Unit, items: []item{{pick(r, "p1", "p2"), pick(r, "tea", "tea", "food")}}}
}

// due reads the predictions, and decides in Go.
func due(t *testing.T, db *store.Store, c v1alpha1.ReplenishmentCondition, now time.Time) string {
	t.Helper()
	scope, id := "any", ""
	if c.Category != "" {
		scope, id = "category", c.Category
	}
	if c.Product != "" {
		scope, id = "product", c.Product
	}
	rows, err := db.Query(t.Context(), `SELECT customer_id, due_at FROM replenishments WHERE ns = 'shop' AND scope = $1 AND id = $2 AND due_at IS NOT NULL`, scope, id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	ids := []string{}
	for rows.Next() {
		var customer string
		var at int64
		if err := rows.Scan(&customer, &at); err != nil {
			t.Fatal(err)
		}
		if when := store.Time(at); when.After(now) && !when.After(now.Add(c.DueWithin.Duration())) {
			ids = append(ids, customer)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}
