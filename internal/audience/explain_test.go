// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
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

// TestExplainAgrees explains everybody of random shops: the whole, each condition and its value must be
// what the oracle and the statement for all say.
func TestExplainAgrees(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		for n := range 10 {
			r := random{rand.New(rand.NewPCG(seed, uint64(n)))}
			ns := fmt.Sprintf("shop-%d", n)
			now := r.now()
			s := r.shop(now)
			s.load(t, db, ns, now)
			o := oracle{s, now}
			refresher := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(now)}
			for range 5 {
				match := r.match()
				if _, err := refresher.Refresh(t.Context(), ns, "explained", &v1alpha1.SegmentSpec{Match: match}, s.Shop); err != nil {
					t.Fatal(err)
				}
				want, selected := o.matching(match), matching(t, db, ns, match, s.Shop, now)
				for i := range s.people {
					p := &s.people[i]
					e, err := refresher.Explain(t.Context(), ns, "explained", p.id)
					if err != nil {
						t.Fatalf("seed %d, shop %d, %s: %v", seed, n, p.id, err)
					}
					if e.Holds != slices.Contains(want, p.id) || e.Holds != slices.Contains(selected, p.id) || e.Member != e.Holds || e.Note != "" {
						t.Errorf("%s: holds %v, a member %v (%s), want %v and %v", p.id, e.Holds, e.Member, e.Note, want, selected)
					}
					o.checkVerdicts(t, p, e)
				}
				if t.Failed() {
					text, _ := json.Marshal(match)
					t.Fatalf("seed %d, shop %d, %s, at %s in %s", seed, n, text, now, s.Zone)
				}
			}
		}
	})
}

func (o oracle) checkVerdicts(t *testing.T, p *person, e *audience.Explanation) {
	t.Helper()
	for _, v := range e.Conditions {
		c := &v.Condition
		if v.Holds != o.condition(p, c) {
			t.Errorf("%s, %s: holds %v", p.id, v.Place, v.Holds)
		}
		got := v.Value.String()
		var want string
		switch {
		case c.Attribute != nil:
			if want = attributeText(p, c.Attribute.Name); want == "" {
				want = "absent"
			}
		case c.Orders != nil:
			want = fmt.Sprint(len(o.ordersOf(p, c.Orders.Within, c.Orders.Where)))
		case c.Spend != nil:
			spent, bought := o.spent(p, c.Spend)
			if want = money.Amount(spent).String(); c.Spend.TopPercent != nil || c.Spend.BottomPercent != nil {
				if got, _, _ = strings.Cut(got, ", threshold"); !bought {
					continue // there may be nobody who has
				}
			}
		case c.Lifecycle != nil:
			want = string(o.stage(p, c.Lifecycle))
		case c.Event != nil:
			got, _, _ = strings.Cut(got, ",")
			want = fmt.Sprint(o.eventCount(p, c.Event))
		case c.Engagement != nil:
			got, _, _ = strings.Cut(got, ",")
			want = fmt.Sprint(o.engagements(p, c.Engagement))
		case c.Segment != nil:
			want = map[bool]string{true: "member since 1970-01-01", false: "not a member"}[slices.Contains(o.segments[string(c.Segment.Name)], p.id)]
			got = got[:min(len(want), len(got))]
			if strings.HasPrefix(got, "member since 1969") { // west of Greenwich
				want = got
			}
		case c.RFM != nil:
			if want = o.quintiles(p); want == "" {
				want = "no order"
			}
		default:
			continue
		}
		if got != want {
			t.Errorf("%s, %s: the value is %q, want %q", p.id, v.Place, got, want)
		}
	}
}

// quintiles finds the one range of a single quintile that each measure is in.
func (o oracle) quintiles(p *person) string {
	var found [3]int
	for q := int32(1); q <= 5; q++ {
		only := &v1alpha1.QuintileRange{AtLeast: q, AtMost: q}
		for i, c := range []*v1alpha1.RFMCondition{{Recency: only}, {Frequency: only}, {Monetary: only}} {
			if o.rfm(p, c) {
				found[i] = int(q)
			}
		}
	}
	if found[0] == 0 {
		return ""
	}
	return fmt.Sprintf("recency %d, frequency %d, monetary %d", found[0], found[1], found[2])
}

func TestExplainTellsOfTheMembership(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := edges()
		s.load(t, db, "shop", edgesNow)
		clk := testingclock.NewFakeClock(edgesNow)
		r := &audience.Refresher{Store: db, Clock: clk}
		refresh(t, r, "shop", "recent", spec(t, `all: [{lastOrder: {within: 30d}}]`))
		explain := func(customer string) *audience.Explanation {
			t.Helper()
			e, err := r.Explain(t.Context(), "shop", "recent", customer)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		if e := explain("in30"); !e.Member || !e.Since.Equal(edgesNow) || !e.Holds || e.Was != nil || e.Note != "" {
			t.Errorf("a member: %+v", e)
		}
		if e := explain("at30"); e.Member || e.Since != nil || e.Holds || e.Was != nil || e.Note != "" {
			t.Errorf("no member, and never one: %+v", e)
		}
		clk.Step(time.Hour)
		e := explain("in30")
		if want := "the members are those of the last refresh, 1h0m0s before this: unless something changes again, the next one takes them out"; !e.Member || e.Holds || e.Note != want {
			t.Errorf("who is not taken out yet: %+v", e)
		}
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{{ID: "new", CustomerID: "none", PlacedAt: clk.Now(), Total: money.Unit}}, clk.Now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if e := explain("none"); e.Member || !e.Holds || !strings.HasSuffix(e.Note, "the next one lets them in") {
			t.Errorf("who is not let in yet: %+v", e)
		}
		refresh(t, r, "shop", "recent", spec(t, `all: [{lastOrder: {within: 30d}}]`))
		if e := explain("in30"); e.Member || e.Was == nil || !e.Was.From.Equal(edgesNow) || !e.Was.To.Equal(clk.Now()) || e.Note != "" {
			t.Errorf("who was a member: %+v", e)
		}
	})
}

func TestExplainOnlyReads(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		everything().load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		refresh(t, r, "shop", "all-kinds", spec(t, everyCondition))
		count := func() (n int) {
			t.Helper()
			if err := db.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM cuts) + 100 * (SELECT MAX(seq) FROM feeds) + 10000 * (SELECT COUNT(*) FROM touched)`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		// A refresh would make them again.
		if _, err := db.Exec(t.Context(), `DELETE FROM cuts`); err != nil {
			t.Fatal(err)
		}
		before := count()
		if _, err := r.Explain(t.Context(), "shop", "all-kinds", "hanako"); err != nil {
			t.Fatal(err)
		}
		if after := count(); after != before {
			t.Errorf("%d became %d", before, after)
		}
	})
}

func TestExplainRefuses(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		for _, name := range []string{"fine", "resting"} {
			refresh(t, r, "shop", name, spec(t, `all: [{orders: {}}]`))
		}
		if err := r.Suspend(t.Context(), "shop", "resting"); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct{ ns, segment, customer, want string }{
			"a segment that is not there":  {"shop", "nothing", "two", "was never refreshed"},
			"a segment of another shop":    {"other", "fine", "two", "was never refreshed"},
			"a segment that is suspended":  {"shop", "resting", "two", "set spec.suspend to false"},
			"a customer who is not there":  {"shop", "fine", "nobody", `customer "nobody" is not known in namespace shop`},
			"a customer, without a word":   {"shop", "fine", "", "is not known"},
			"who looks like a placeholder": {"shop", "fine", "$1", "is not known"},
		} {
			if _, err := r.Explain(t.Context(), c.ns, c.segment, c.customer); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	})
}
