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

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func loadZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// shopOf has a person for each text, with it as the attribute x, and in the order of the texts.
func shopOf(zone *time.Location, texts ...string) *shop {
	s := &shop{Shop: audience.Shop{Zone: zone}}
	for i, text := range texts {
		s.people = append(s.people, person{id: fmt.Sprintf("p%03d", i), attributes: map[string]any{"x": text}})
	}
	return s
}

func TestMomentsOfAttributes(t *testing.T) {
	cases := map[string]struct{ zone, text, want string }{
		"a day":                      {"Asia/Tokyo", "2026-02-28", "2026-02-27T15:00:00Z"},
		"a time":                     {"Asia/Tokyo", "2026-02-28 23:30", "2026-02-28T14:30:00Z"},
		"with an offset":             {"Asia/Tokyo", "2026-02-28T23:30:00-0100", "2026-03-01T00:30:00Z"},
		"rounded, then cut":          {"UTC", "2026-02-28T10:00:00.1239999Z", "2026-02-28T10:00:00.124Z"},
		"cut":                        {"UTC", "2026-02-28T10:00:00.1239994Z", "2026-02-28T10:00:00.123Z"},
		"cut before 1970":            {"UTC", "1969-12-31T23:59:59.9995", "1969-12-31T23:59:59.999Z"},
		"the next second":            {"UTC", "2026-02-28T23:59:59.999999999", "2026-03-01T00:00:00Z"},
		"skipped":                    {"America/New_York", "2026-03-08T02:30", "2026-03-08T07:30:00Z"},
		"shown twice":                {"America/New_York", "2026-11-01T01:30", "2026-11-01T06:30:00Z"},
		"a midnight that is skipped": {"America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"},
		"a day that is skipped":      {"Pacific/Apia", "2011-12-30T12:00", "2011-12-30T22:00:00Z"},
		"far ahead":                  {"America/New_York", "2099-07-01", "2099-07-01T04:00:00Z"},
		"before zones":               {"America/New_York", "1850-01-01", "1850-01-01T04:56:02Z"},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		n := 0
		for name, c := range cases {
			n++
			ns := fmt.Sprintf("shop-%d", n)
			s := shopOf(loadZone(t, c.zone), c.text, "2026-02-30", "soon")
			s.load(t, db, ns, edgesNow)
			if got := matching(t, db, ns, expressionMatch(`timestamp(customer.x) == timestamp("`+c.want+`")`), s.Shop, edgesNow); !slices.Equal(got, []string{"p000"}) {
				at, ok := audience.MomentOf(c.text, s.Zone)
				t.Errorf("%s: %v; for SQLite it is %s, %t", name, got, at.UTC(), ok)
			}
		}
	})
}

// TestMomentsAroundTransitions holds Go's moments, which are SQLite's, against PostgreSQL's.
func TestMomentsAroundTransitions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := random{rand.New(rand.NewPCG(seed, 0))}
		for i, name := range []string{"America/New_York", "Europe/Dublin", "Australia/Lord_Howe", "America/Santiago"} {
			zone, ns := loadZone(t, name), fmt.Sprintf("shop-%d", i)
			var texts []string
			for range 150 {
				at := time.Date(1971+r.IntN(65), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 30*r.IntN(48), 0, 0, time.UTC)
				_, before := at.In(zone).Zone()
				for range 40 { // on, to a transition
					if _, after := at.In(zone).Zone(); after != before {
						at = at.Add(time.Duration(before)*time.Second - 24*time.Hour + 30*time.Minute*time.Duration(r.IntN(56)))
						break
					}
					at = at.Add(24 * time.Hour)
				}
				texts = append(texts, at.Format("2006-01-02T15:04"))
			}
			s := shopOf(zone, texts...)
			s.load(t, db, ns, edgesNow)
			for j, text := range texts {
				at, ok := audience.MomentOf(text, zone)
				if !ok {
					t.Fatal(text)
				}
				want := at.UTC().Format(time.RFC3339)
				if got := matching(t, db, ns, expressionMatch(`timestamp(customer.x) == timestamp("`+want+`")`), s.Shop, edgesNow); !slices.Contains(got, s.people[j].id) {
					t.Errorf("%s in %s is not %s", text, name, want)
				}
			}
		}
	})
}

// TestNumbersOfAnySize holds that no attribute makes a statement fail.
func TestNumbersOfAnySize(t *testing.T) {
	most, least := strings.Repeat("9", 31), "0."+strings.Repeat("0", 28)+"1"
	texts := []string{most, "-" + most[1:], least, "0", "-0", most + "9", strings.Repeat("9", 100_000), "0.1", "0.3", "1e5", "NaN", "Infinity", "-", "٣"}
	cases := map[string][]string{
		`customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x > 1e270`:                    {"p000"},
		`customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x * customer.x < 1e-260 && customer.x > 0`: {"p002"},
		`1 / customer.x / customer.x / customer.x / customer.x / customer.x > 1e140`:                                                                    {"p002"},
		`customer.x / (customer.x - 1e30) > 1.05`:                             {"p000"},
		`1 / (customer.x - customer.x * 1) == 0`:                              nil,
		`double(customer.x) + double(customer.x) + double(customer.x) == 0.3`: nil,
		`customer.x + 0.2 == 0.3`:                                             nil, // as in CEL: the sum is 0.30000000000000004
		`customer.x * 3 == 0.9`:                                               nil,
		`customer.x * 3 == 0.8999999999999999`:                                {"p008"},
		`int(customer.x) > 1000000`:                                           {"p000"},
		`customer.x == 0`:                                                     {"p003", "p004"},
		`has(customer.x) && !(customer.x > -1.0 || customer.x <= 1)`:          nil,
		`now - timestamp(customer.x) > duration("0s")`:                        nil,
		`now + duration("2562047h") + duration("2562047h") + duration("2562047h") > now && customer.x == 0`: {"p003", "p004"},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := shopOf(time.UTC, texts...)
		s.load(t, db, "shop", edgesNow)
		for text, want := range cases {
			if got := matching(t, db, "shop", expressionMatch(text), s.Shop, edgesNow); !slices.Equal(got, want) && len(got)+len(want) > 0 {
				t.Errorf("%s: got %v, want %v", text, got, want)
			}
		}
	})
}

func TestUsesNow(t *testing.T) {
	for text, want := range map[string]bool{
		`now - customer.last_order_at < duration("1h")`: true, `false && now == now`: true, `customer.orders > 1 ? true : now > now`: true,
		`customer.now == "now"`: false, `has(customer.now)`: false, `timestamp("2026-01-01T00:00:00Z") < customer.last_order_at`: false,
	} {
		if got, err := audience.UsesNow(text); err != nil || got != want {
			t.Errorf("%s: %t, %v", text, got, err)
		}
	}
}

func TestNothingOfAnExpressionIsWrittenIntoTheStatement(t *testing.T) {
	for _, dialect := range []store.Dialect{store.SQLite, store.Postgres} {
		query, err := audience.Compile(expressionMatch(`customer["evil' --"] == "evil'" || customer.evil in ["evil"] || "evil" in customer || has(customer.evil) ||
			customer.id.endsWith("evil") || customer.a == 98765 || customer.a in [98765] || customer.a > duration("98765ms") + timestamp("2098-07-06T00:00:00Z")`),
			audience.Env{Namespace: "shop", Dialect: dialect})
		if err != nil {
			t.Fatal(err)
		}
		for _, trace := range []string{"evil", "98765", "2098"} {
			if strings.Contains(query.SQL, trace) {
				t.Errorf("%s: %q is in %s", dialect, trace, query.SQL)
			}
		}
	}
}
