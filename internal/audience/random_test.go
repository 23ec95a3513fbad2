// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	randomShops   = 40
	randomMatches = 250
)

// TestRandomMatches holds what the database selects against the oracle.
func TestRandomMatches(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		for n := range randomShops {
			r := random{rand.New(rand.NewPCG(seed, uint64(n)))}
			ns := fmt.Sprintf("shop-%d", n)
			now := r.now()
			s := r.shop(now)
			s.load(t, db, ns, now)
			for range randomMatches {
				match := r.match()
				want := oracle{s, now}.matching(match)
				if got := matching(t, db, ns, match, s.Shop, now); !slices.Equal(got, want) {
					text, _ := json.Marshal(match)
					query, _ := audience.Compile(match, audience.Env{Namespace: ns, Shop: s.Shop, Dialect: db.Dialect()})
					t.Fatalf("seed %d, shop %d, %s, at %s in %s\ngot  %v\nwant %v\n%s\n%v", seed, n, text, now, s.Zone, got, want, query.SQL, query.Args(now, nil))
				}
			}
		}
	})
}

// TestRandomRefreshes holds the membership that refreshes keep against the oracle, while matches change.
func TestRandomRefreshes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		for n := range 5 {
			r := random{rand.New(rand.NewPCG(seed, uint64(n)))}
			ns := fmt.Sprintf("shop-%d", n)
			now := r.now()
			s := r.shop(now)
			s.load(t, db, ns, now)
			clk := testingclock.NewFakeClock(now)
			refresher := audience.Refresher{Store: db, Clock: clk}
			entered := map[string]time.Time{}
			for range 8 {
				now = now.Add(time.Duration(r.IntN(40*24)) * time.Hour)
				clk.SetTime(now)
				match := r.match()
				want := oracle{s, now}.matching(match)
				result, err := refresher.Refresh(t.Context(), ns, "churning", &v1alpha1.SegmentSpec{Match: match}, s.Shop)
				if err != nil {
					t.Fatal(err)
				}
				came, left := int64(0), int64(0)
				for _, id := range want {
					if _, ok := entered[id]; !ok {
						entered[id], came = now, came+1
					}
				}
				for id := range entered {
					if !slices.Contains(want, id) {
						delete(entered, id)
						left++
					}
				}
				if result.Members != int64(len(want)) || result.Entered != came || result.Exited != left {
					t.Fatalf("seed %d: %+v, want %d members, %d in, %d out", seed, result, len(want), came, left)
				}
				for member, err := range refresher.Members(t.Context(), ns, "churning", false) {
					if err != nil {
						t.Fatal(err)
					}
					if at, ok := entered[member.ID]; !ok || at.UnixMilli() != member.EnteredAt.UnixMilli() {
						t.Errorf("seed %d: %s entered at %s, want %s", seed, member.ID, member.EnteredAt, at)
					}
				}
			}
		}
	})
}

// random makes small shops and matches, of few values, so that much coincides.
type random struct{ *rand.Rand }

func pick[T any](r random, values ...T) T { return values[r.IntN(len(values))] }

func some[T any](r random, values ...T) []T {
	values = slices.Clone(values)
	r.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	return values[:1+r.IntN(min(len(values), 3))]
}

func (r random) now() time.Time {
	day := pick(r, "2026-02-27", "2026-12-29", "2027-02-28", "2028-02-25", "2028-02-29", "2026-07-15")
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return at.Add(time.Duration(r.IntN(24)) * time.Hour)
}

var (
	days       = []int{0, 1, 5, 7, 29, 30, 31, 60, 90, 150, 151, 200, 400}
	names      = []string{"birthday", "age", "pref", "vip", "tags", "登録日", "id", "email"}
	texts      = []any{"1990-02-28", "1992-02-29", "2000-03-01", "1985-12-31", "2001-01-01", "2026-02-30", "2026-02-28T15:30:00Z", "2026-02-28T23:30:00+09:00", "2026-02-28T23:30", "2026-07-15 10:00:00", "20", "-0.5", "20.50", "007", "1e3", "+5", "12abc", "", "東京", "true", "--"}
	others     = []any{20, 30.5, -1, true, false, nil}
	categories = []string{"skincare", "food", "tea"}
	products   = []string{"p1", "p2", "p3", "p4"}
	sources    = []string{"web", "pos"}
	statuses   = []string{"paid", "completed", "cancelled", "refunded"}
	windows    = []v1alpha1.Duration{"1d", "7d", "30d", "60d", "90d", "150d", "1h", "40w", "15000w"}
)

func (r random) shop(now time.Time) *shop {
	zones := []string{"UTC", "Asia/Tokyo", "America/New_York"}
	zone, err := time.LoadLocation(pick(r, zones...))
	if err != nil {
		panic(err)
	}
	s := &shop{segments: map[string][]string{}, Shop: audience.Shop{Zone: zone, DormantAfter: time.Duration(pick(r, 0, 60, 150)) * 24 * time.Hour}}
	for i := range r.IntN(25) {
		p := person{id: fmt.Sprintf("c%02d", i), attributes: map[string]any{}, consents: map[string]bool{}}
		if i%7 == 3 {
			p.id = fmt.Sprint(i)
		}
		p.email = pick(r, "", "a@example.com", "b@example.com", p.id+"@example.com")
		p.phone = pick(r, "", "+819012345678", "+819012345679")
		p.line = pick(r, "", "U1", "U"+p.id)
		for _, name := range names[:6] {
			if r.IntN(3) > 0 {
				p.attributes[name] = pick(r, append(others, texts...)...)
			}
		}
		for _, channel := range []string{"email", "line", "sms"} {
			if r.IntN(3) > 0 {
				p.consents[channel] = r.IntN(3) > 0
			}
		}
		for n := range max(0, r.IntN(7)-2) {
			at := now.AddDate(0, 0, -pick(r, days...)).Add(pick(r, 0, 0, time.Millisecond, -time.Millisecond, 2*time.Hour))
			b := purchase{
				id: fmt.Sprintf("%s-%d", p.id, n), customer: p.id, at: at, total: money.Amount(pick(r, 0, 1, 5, 10, 10, 10, 33, -2)) * pick(r, money.Unit, money.Unit, money.Unit/3),
				status: pick(r, append(statuses, "paid", "", "Cancelled")...), source: pick(r, append(sources, "")...),
			}
			for range r.IntN(3) {
				b.items = append(b.items, item{pick(r, append(products, "")...), pick(r, append(categories, "")...)})
			}
			s.purchases = append(s.purchases, b)
		}
		for _, segment := range []string{"vip", "staff"} {
			if r.IntN(3) == 0 {
				s.segments[segment] = append(s.segments[segment], p.id)
			}
		}
		s.people = append(s.people, p)
	}
	s.suppressed = []address{{"email", "b@example.com"}, {"line", "U1"}, {"sms", "+819012345679"}}
	r.behave(s, now)
	return s
}

func (r random) match() v1alpha1.Match {
	var m v1alpha1.Match
	for len(m.All)+len(m.Any)+len(m.None) == 0 {
		for _, list := range []*[]v1alpha1.NestedCondition{&m.All, &m.Any, &m.None} {
			for range max(0, r.IntN(4)-1) {
				*list = append(*list, r.nested())
			}
		}
	}
	return m
}

func (r random) nested() v1alpha1.NestedCondition {
	group := []v1alpha1.Condition{r.condition(), r.condition()}
	switch r.IntN(6) {
	case 0:
		return v1alpha1.NestedCondition{AnyOf: group}
	case 1:
		return v1alpha1.NestedCondition{AllOf: group}
	}
	return v1alpha1.NestedCondition{Condition: group[0]}
}

func (r random) condition() v1alpha1.Condition {
	switch r.IntN(18) {
	case 12, 13, 14, 15, 16:
		return r.behaviour()
	case 0, 1, 2:
		return v1alpha1.Condition{Attribute: r.attribute()}
	case 3, 4, 5:
		return v1alpha1.Condition{Orders: &v1alpha1.OrdersCondition{Count: r.count(), Within: r.within(), Where: r.where()}}
	case 6, 7:
		return v1alpha1.Condition{Spend: r.spend()}
	case 8:
		age := &v1alpha1.AgeCondition{Within: pick(r, windows...)}
		if r.IntN(2) == 0 {
			age = &v1alpha1.AgeCondition{OlderThan: pick(r, windows...)}
		}
		if r.IntN(2) == 0 {
			return v1alpha1.Condition{FirstOrder: age}
		}
		return v1alpha1.Condition{LastOrder: age}
	case 9:
		return v1alpha1.Condition{Lifecycle: &v1alpha1.LifecycleCondition{
			In: some(r, v1alpha1.StageProspect, v1alpha1.StageFirst, v1alpha1.StageSecond, v1alpha1.StageRepeat, v1alpha1.StageDormant, v1alpha1.StageReactivated), DormantAfter: pick[v1alpha1.Duration](r, "", "", "30d", "60d"),
		}}
	case 10:
		return v1alpha1.Condition{Reachable: &v1alpha1.ReachableCondition{
			Channels: some(r, v1alpha1.ChannelEmail, v1alpha1.ChannelLine, v1alpha1.ChannelSMS), Mode: pick(r, "", "Any", "All"),
		}}
	}
	return v1alpha1.Condition{Segment: &v1alpha1.LocalReference{Name: pick[v1alpha1.ObjectName](r, "vip", "staff", "nobody")}}
}

func (r random) within() v1alpha1.Duration {
	if r.IntN(3) == 0 {
		return ""
	}
	return pick(r, windows...)
}

func (r random) count() (c v1alpha1.Count) {
	n, more := int32(r.IntN(4)), int32(0)
	switch more = n + int32(r.IntN(3)); r.IntN(5) {
	case 0:
	case 1:
		c.Exactly = &n
	case 2:
		c.AtLeast = &n
	case 3:
		c.AtMost = &n
	case 4:
		c.AtLeast, c.AtMost = &n, &more
	}
	return c
}

func (r random) where() *v1alpha1.OrderFilter {
	if r.IntN(2) == 0 {
		return nil
	}
	f := &v1alpha1.OrderFilter{}
	for f.Category == nil && f.Product == nil && f.Source == nil && f.Status == nil && f.TotalAtLeast == nil {
		if r.IntN(3) == 0 {
			f.Category = some(r, categories...)
		}
		if r.IntN(4) == 0 {
			f.Product = some(r, products...)
		}
		if r.IntN(4) == 0 {
			f.Source = some(r, sources...)
		}
		if r.IntN(4) == 0 {
			f.Status = some(r, statuses...)
		}
		if r.IntN(4) == 0 {
			f.TotalAtLeast = r.amount()
		}
	}
	return f
}

func (r random) amount() *intstr.IntOrString {
	v := pick(r, intstr.FromInt32(0), intstr.FromInt32(10), intstr.FromInt32(20), intstr.FromString("3.3333"), intstr.FromString("0.5"))
	return &v
}

func (r random) spend() *v1alpha1.SpendCondition {
	c := &v1alpha1.SpendCondition{Of: pick(r, "", "Total", "Average"), Within: r.within(), Where: r.where()}
	percent := pick(r, intstr.FromInt32(1), intstr.FromInt32(30), intstr.FromInt32(50), intstr.FromInt32(100), intstr.FromString("33.3333"), intstr.FromString("0.0001"))
	switch r.IntN(5) {
	case 0:
		c.AtLeast = r.amount()
	case 1:
		c.AtMost = r.amount()
	case 2:
		c.AtLeast, c.AtMost = r.amount(), r.amount()
	case 3:
		c.TopPercent = &percent
	case 4:
		c.BottomPercent = &percent
	}
	return c
}

func (r random) attribute() *v1alpha1.AttributeCondition {
	c := &v1alpha1.AttributeCondition{Name: pick(r, names...)}
	number := func() *intstr.IntOrString {
		v := pick(r, intstr.FromInt32(7), intstr.FromInt32(20), intstr.FromString("-0.5"), intstr.FromString("20.5"))
		return &v
	}
	date := func() v1alpha1.Date {
		return pick[v1alpha1.Date](r, "1990-02-28", "2026-03-01", "2026-02-28", "2000-01-01")
	}
	switch r.IntN(8) {
	case 0:
		c.In = some(r, "20", "20.50", "true", "東京", "", "30.5", "c01", "007", "3")
	case 1:
		c.NotIn = some(r, "20", "20.50", "true", "東京", "", "30.5", "a@example.com", "007")
	case 2:
		c.AtLeast = number()
	case 3:
		c.AtMost = number()
	case 4:
		c.Before = date()
	case 5:
		c.After = date()
	case 6:
		c.Presence = pick(r, "Present", "Absent")
	case 7:
		c.AnniversaryWithin = pick(r, windows...)
	}
	return c
}
