// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func parseMatch(t testing.TB, text string) (match v1alpha1.Match) {
	t.Helper()
	if !strings.Contains(text, "\n") {
		text = "{" + text + "}"
	}
	if err := yaml.UnmarshalStrict([]byte(text), &match); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return match
}

var edgesNow = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return edgesNow.AddDate(0, 0, -n) }

func order(customer string, at time.Time, total int64, more ...func(*purchase)) purchase {
	p := purchase{id: fmt.Sprintf("%s-%d-%d", customer, at.UnixMilli(), total), customer: customer, at: at, total: money.Amount(total) * money.Unit, status: "paid"}
	for _, f := range more {
		f(&p)
	}
	return p
}

func status(s string) func(*purchase) { return func(p *purchase) { p.status = s } }

func of(items ...item) func(*purchase) { return func(p *purchase) { p.items = items } }

// edges is a shop in which everybody is a case by themselves.
func edges() *shop {
	s := &shop{
		people: []person{
			{id: "none"}, {id: "cancelled"}, {id: "refunded"}, {id: "future"},
			{id: "at30"}, {id: "in30"}, {id: "out30"}, {id: "two"}, {id: "back"}, {id: "steady"}, {id: "four"},
			{id: "free"},
		},
		purchases: []purchase{
			order("cancelled", daysAgo(10), 900, status("cancelled")),
			order("refunded", daysAgo(10), 900, status("Refunded")), order("refunded", daysAgo(20), 5),
			order("future", edgesNow.Add(48*time.Hour), 10),
			order("at30", daysAgo(30), 100),
			order("in30", daysAgo(30).Add(time.Millisecond), 100),
			order("out30", daysAgo(31), 100),
			order("two", daysAgo(5), 50, of(item{"p1", "tea"})), order("two", daysAgo(100), 50, of(item{"p2", "tea"}, item{"p3", "food"})),
			order("back", daysAgo(3), 10), order("back", daysAgo(153), 10),
			order("steady", daysAgo(3), 10), order("steady", daysAgo(153).Add(time.Millisecond), 10),
			order("four", daysAgo(1), 70), order("four", daysAgo(2), 70), order("four", daysAgo(3), 70), order("four", daysAgo(4), 71, func(p *purchase) { p.source = "pos" }),
			order("free", daysAgo(400), 0),
		},
		segments: map[string][]string{"chosen": {"none", "two"}},
	}
	return s
}

func TestOrdersAndTheirEdges(t *testing.T) {
	cases := map[string]struct{ match, want string }{
		"no count means one":                      {`all: [{orders: {}}]`, "at30 back four free future in30 out30 refunded steady two"},
		"cancelled is no order":                   {`all: [{orders: {exactly: 0}}]`, "cancelled none"},
		"at most includes none":                   {`all: [{orders: {atMost: 1}}]`, "at30 cancelled free future in30 none out30 refunded"},
		"at least none is everybody":              {`all: [{orders: {atLeast: 0}}, {lastOrder: {within: 4d}}]`, "back four future steady"},
		"at least none fails for nobody":          {`none: [{orders: {atLeast: 0}}]`, ""},
		"a range":                                 {`all: [{orders: {atLeast: 2, atMost: 3}}]`, "back steady two"},
		"within ends at the moment":               {`all: [{orders: {within: 30d}}]`, "back four future in30 refunded steady two"},
		"none within":                             {`all: [{orders: {exactly: 0, within: 30d}}]`, "at30 cancelled free none out30"},
		"one within, others before":               {`all: [{orders: {exactly: 1, within: 30d}}]`, "back future in30 refunded steady two"},
		"three within":                            {`all: [{orders: {atLeast: 3, within: 30d}}]`, "four"},
		"at most three within":                    {`all: [{orders: {atMost: 3, within: 30d}}], none: [{orders: {exactly: 0}}]`, "at30 back free future in30 out30 refunded steady two"},
		"a status asks for what does not count":   {`all: [{orders: {where: {status: [cancelled, Refunded]}}}]`, "cancelled refunded"},
		"a status is as it was written":           {`all: [{orders: {where: {status: [refunded]}}}]`, ""},
		"no cancelled order":                      {`all: [{orders: {exactly: 0, where: {status: [cancelled]}}}, {orders: {atMost: 0}}]`, "none"},
		"category of one item":                    {`all: [{orders: {where: {category: [food]}}}]`, "two"},
		"category counts an order once":           {`all: [{orders: {exactly: 2, where: {category: [tea, food]}}}]`, "two"},
		"one item fits category and product":      {`all: [{orders: {where: {category: [food], product: [p2]}}}]`, ""},
		"another item fits them":                  {`all: [{orders: {where: {category: [food], product: [p3]}}}]`, "two"},
		"category within":                         {`all: [{orders: {exactly: 1, within: 90d, where: {category: [tea]}}}]`, "two"},
		"source":                                  {`all: [{orders: {where: {source: [pos]}}}]`, "four"},
		"the order's total":                       {`all: [{orders: {where: {totalAtLeast: "70.5"}}}]`, "at30 four in30 out30"},
		"older than includes the moment":          {`all: [{lastOrder: {olderThan: 30d}}]`, "at30 free out30"},
		"older and within are all who have one":   {`any: [{lastOrder: {olderThan: 30d}}, {lastOrder: {within: 30d}}]`, "at30 back four free future in30 out30 refunded steady two"},
		"who has no order is not within":          {`none: [{lastOrder: {within: 30d}}]`, "at30 cancelled free none out30"},
		"the first order":                         {`all: [{firstOrder: {olderThan: 150d}}]`, "back free steady"},
		"a duration longer than can be held":      {`all: [{firstOrder: {within: 999999w}}, {orders: {atLeast: 3, within: 999999w}}]`, "four"},
		"prospects":                               {`all: [{lifecycle: {in: [Prospect]}}]`, "cancelled none"},
		"dormant from the day on":                 {`all: [{lifecycle: {in: [Dormant], dormantAfter: 30d}}]`, "at30 free out30"},
		"reactivated":                             {`all: [{lifecycle: {in: [Reactivated]}}]`, "back"},
		"first":                                   {`all: [{lifecycle: {in: [First]}}]`, "at30 future in30 out30 refunded"},
		"second":                                  {`all: [{lifecycle: {in: [Second]}}]`, "steady two"},
		"repeat":                                  {`all: [{lifecycle: {in: [Repeat]}}]`, "four"},
		"the stages are everybody, each in one":   {`all: [{lifecycle: {in: [Prospect, First, Second, Repeat, Dormant, Reactivated]}}], none: [{lifecycle: {in: [Prospect, First, Second, Repeat, Dormant]}}]`, "back"},
		"spent nothing is at most":                {`all: [{spend: {atMost: 0}}]`, "cancelled free none"},
		"refunded is not spent":                   {`all: [{spend: {atMost: 5}}], none: [{spend: {atMost: 0}}]`, "refunded"},
		"average":                                 {`all: [{spend: {of: Average, atLeast: "70.25", atMost: "70.25"}}]`, "four"},
		"average of none is nothing":              {`all: [{spend: {of: Average, atMost: 5}}]`, "cancelled free none refunded"},
		"spent within":                            {`all: [{spend: {atLeast: 100, within: 30d}}]`, "four in30"},
		"spent nothing within":                    {`all: [{spend: {atMost: 0, within: 30d}}]`, "at30 cancelled free none out30"},
		"spent on what":                           {`all: [{spend: {atLeast: 50, where: {category: [tea]}}}]`, "two"},
		"equal at the threshold are in":           {`all: [{spend: {topPercent: 20}}]`, "at30 four in30 out30 two"}, // 2 of 10: the second place is shared by four
		"the best alone":                          {`all: [{spend: {topPercent: 10}}]`, "four"},
		"a share is rounded up":                   {`all: [{spend: {topPercent: "0.0001"}}]`, "four"},
		"the whole are those who bought":          {`all: [{spend: {topPercent: 100}}]`, "at30 back four free future in30 out30 refunded steady two"},
		"the least":                               {`all: [{spend: {bottomPercent: 10}}]`, "free"},
		"a share of those who bought since":       {`all: [{spend: {topPercent: 1, within: 4d}}]`, "four"},
		"the least of those who bought since":     {`all: [{spend: {bottomPercent: 1, within: 4d}}]`, "back future steady"},
		"not in a share":                          {`none: [{spend: {topPercent: 30}}]`, "back cancelled free future none refunded steady"},
		"another segment":                         {`all: [{segment: {name: chosen}}]`, "none two"},
		"another segment and its members' orders": {`all: [{segment: {name: chosen}}, {orders: {exactly: 0}}]`, "none"},
		"not in a segment":                        {`all: [{orders: {exactly: 0}}], none: [{segment: {name: chosen}}]`, "cancelled"},
		"a segment without members":               {`any: [{segment: {name: unknown}}]`, ""},
		"all, any and none hold together":         {`all: [{orders: {}}], any: [{lastOrder: {within: 2d}}, {allOf: [{orders: {exactly: 2}}, {spend: {atLeast: 50}}]}], none: [{anyOf: [{spend: {topPercent: 10}}, {segment: {name: unknown}}]}]`, "future two"},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		// Another shop's customers and orders are nobody's business.
		(&shop{people: []person{{id: "two"}, {id: "stranger"}}, purchases: []purchase{order("stranger", daysAgo(1), 1_000_000)}}).load(t, db, "other", edgesNow)
		for name, c := range cases {
			got := strings.Join(matching(t, db, "shop", parseMatch(t, c.match), audience.Shop{}, edgesNow), " ")
			if got != c.want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", name, c.match, got, c.want)
			}
		}
	})
}

func TestAttributesAndTheirEdges(t *testing.T) {
	values := map[string]any{
		"absent": nil, "empty": "", "tokyo": "東京都", "list": []any{"東京都"}, "true": true,
		"n20": 20, "t20": "20", "t20.50": "20.50", "t007": "007", "t1e3": "1e3", "minus": "-3", "words": "20 or so", "long": strings.Repeat("9", 150),
		"d0228": "1991-02-28", "d0229": "1992-02-29", "d0301": "1993-03-01", "d1231": "2000-12-31", "d0101": "2001-01-01",
		"no0230": "2001-02-30", "no0229": "2001-02-29", "year0": "0000-01-01",
		"utc": "2000-12-30T15:00:00Z", "east": "2000-12-31T23:59:59.5+09:00", "local": "2000-12-31T10:00", "spaced": "2000-12-31 10:00:00",
		"noTime": "2000-12-31T25:00:00Z", "noOffset": "2000-12-31T10:00:00+99:00", "noZone": "2000-12-31T10:00:00 JST",
	}
	s := &shop{}
	for id, v := range values {
		p := person{id: id, attributes: map[string]any{}}
		if v != nil {
			p.attributes["会員 x.y"] = v
		}
		s.people = append(s.people, p)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		day, err := time.ParseInLocation("2006-01-02 15:04", text, tokyo)
		if err != nil {
			t.Fatal(err)
		}
		return day
	}
	noon := at("2026-07-01 12:00")
	cases := map[string]struct {
		condition, want string
		now             time.Time
	}{
		"in":                            {`in: [東京都, "20", "true"]`, "n20 t20 tokyo true", noon},
		"in is text":                    {`in: ["20.5"]`, "", noon},
		"present":                       {`presence: Present`, "d0101 d0228 d0229 d0301 d1231 east list local long minus n20 no0229 no0230 noOffset noTime noZone spaced t007 t1e3 t20 t20.50 tokyo true utc words year0", noon},
		"absent":                        {`presence: Absent`, "absent empty", noon},
		"numbers, and text that is one": {`atLeast: 7, atMost: "20.5"`, "n20 t007 t20 t20.50", noon},
		"numbers below":                 {`atMost: 0`, "minus", noon},
		"dates before":                  {`before: "2000-12-31"`, "d0228 d0229 d0301", noon},
		"dates in the shop's zone":      {`after: "2000-12-30", before: "2001-01-01"`, "d1231 east local spaced utc", noon},
		"dates after":                   {`after: "2000-12-31"`, "d0101", noon},
		"an anniversary today":          {`anniversaryWithin: 1s`, "d0301", at("2027-03-01 23:59")},
		"an anniversary past":           {`anniversaryWithin: 7d`, "d0301", at("2027-03-01 00:00")},
		"an anniversary ahead":          {`anniversaryWithin: 7d`, "d0228 d0229", at("2027-02-21 00:00")},
		"an anniversary too far ahead":  {`anniversaryWithin: 7d`, "", at("2027-02-20 23:59")},
		"29 February in other years":    {`anniversaryWithin: 1h`, "d0228 d0229", at("2027-02-28 12:00")},
		"29 February in its years":      {`anniversaryWithin: 1h`, "d0229", at("2028-02-29 12:00")},
		"28 February in such years":     {`anniversaryWithin: 1h`, "d0228", at("2028-02-28 12:00")},
		"the end of the year":           {`anniversaryWithin: 2d`, "d0101 d1231 east local spaced utc", at("2026-12-30 12:00")},
		"a whole year":                  {`anniversaryWithin: 400d`, "d0101 d0228 d0229 d0301 d1231 east local spaced utc", noon},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		s.load(t, db, "shop", noon)
		check := func(name, match, want string, now time.Time) {
			t.Helper()
			if got := strings.Join(matching(t, db, "shop", parseMatch(t, match), audience.Shop{Zone: tokyo}, now), " "); got != want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", name, match, got, want)
			}
		}
		for name, c := range cases {
			condition := `[{attribute: {name: "会員 x.y", ` + c.condition + `}}]`
			check(name, "all: "+condition, c.want, c.now)
			// Under none, what is false of somebody is true, be it that there is nothing to compare.
			var others []string
			for id := range values {
				if !slices.Contains(strings.Fields(c.want), id) {
					others = append(others, id)
				}
			}
			slices.Sort(others)
			check(name+", not", "none: "+condition, strings.Join(others, " "), c.now)
		}
		check("not in needs a value", `all: [{attribute: {name: "会員 x.y", notIn: [東京都]}}], none: [{attribute: {name: "会員 x.y", presence: Absent}}, {attribute: {name: "会員 x.y", notIn: [東京都]}}]`, "", noon)
		check("not in", `all: [{attribute: {name: "会員 x.y", notIn: ["20", 東京都]}}, {attribute: {name: "会員 x.y", atLeast: -5}}]`, "minus t007 t20.50", noon)
		check("the customer's own columns", `all: [{attribute: {name: id, in: [tokyo, t20, nobody]}}, {attribute: {name: email, presence: Absent}}]`, "t20 tokyo", noon)
	})
}

func TestReachable(t *testing.T) {
	yes, no := map[string]bool{"email": true, "line": true, "sms": true}, map[string]bool{"email": false, "line": false}
	s := &shop{
		people: []person{
			{id: "all", email: "all@example.com", line: "Uall", phone: "+819000000001", consents: yes},
			{id: "mail", email: "mail@example.com", consents: yes},
			{id: "withdrawn", email: "w@example.com", line: "Uw", consents: no},
			{id: "silent", email: "s@example.com", line: "Us"},
			{id: "suppressed", email: "gone@example.com", line: "Ugone", consents: yes},
			{id: "nowhere", consents: yes},
		},
		suppressed: []address{{"email", "gone@example.com"}, {"line", "all@example.com"}},
	}
	cases := map[string]struct{ match, want string }{
		"one channel":      {`all: [{reachable: {channels: [email]}}]`, "all mail"},
		"any of two":       {`all: [{reachable: {channels: [email, line]}}]`, "all mail suppressed"},
		"all of two":       {`all: [{reachable: {channels: [email, line], mode: All}}]`, "all"},
		"a phone":          {`all: [{reachable: {channels: [sms]}}]`, "all"},
		"cannot be":        {`none: [{reachable: {channels: [email, line]}}]`, "nowhere silent withdrawn"},
		"not by all of it": {`none: [{reachable: {channels: [email, line], mode: All}}]`, "mail nowhere silent suppressed withdrawn"},
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		s.load(t, db, "shop", edgesNow)
		for name, c := range cases {
			if got := strings.Join(matching(t, db, "shop", parseMatch(t, c.match), audience.Shop{}, edgesNow), " "); got != c.want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", name, c.match, got, c.want)
			}
		}
	})
}

// TestShopDefaults holds for what a match does not say itself.
func TestShopDefaults(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		for after, want := range map[time.Duration]string{0: "free", 30 * 24 * time.Hour: "at30 free out30", 500 * 24 * time.Hour: ""} {
			got := matching(t, db, "shop", parseMatch(t, `all: [{lifecycle: {in: [Dormant]}}]`), audience.Shop{DormantAfter: after}, edgesNow)
			if strings.Join(got, " ") != want {
				t.Errorf("dormant after %s: %v, want %s", after, got, want)
			}
		}
	})
}
