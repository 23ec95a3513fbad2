// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func expressionMatch(text string) v1alpha1.Match {
	return v1alpha1.Match{All: []v1alpha1.NestedCondition{{Condition: v1alpha1.Condition{Expression: text}}}}
}

// members is a shop of whom expressions can say something.
func members() *shop {
	return &shop{
		people: []person{
			{id: "ann", email: "ann@example.com", phone: "+819012345678", attributes: map[string]any{
				"age": 30, "vip": true, "rank": "gold", "名": "花子", "city": "東京", "home": "東京", "born": "1990-05-01", "points": "20.50", "odd": "100%_sure", "zero": 0,
			}},
			{id: "bob", email: "Bob@example.org", attributes: map[string]any{
				"age": "19", "vip": false, "rank": "silver", "city": "大阪", "home": "東京", "born": "2001-01-01T00:30:00+09:00", "points": "-3", "odd": "AB", "zero": "0.0",
			}},
			{id: "cas", attributes: map[string]any{"age": "about 20", "vip": "yes", "rank": "", "born": "2026-02-30", "odd": "ab"}},
			{id: "dee"},
		},
		purchases: []purchase{
			order("ann", daysAgo(3), 100), order("ann", daysAgo(40), 51), order("ann", daysAgo(200), 49),
			order("bob", daysAgo(31), 30),
		},
	}
}

func TestExpressions(t *testing.T) {
	cases := map[string]string{
		`true`:  "ann bob cas dee",
		`false`: "",

		// Metrics.
		`customer.orders >= 1`:                  "ann bob",
		`customer.orders == 0`:                  "cas dee",
		`customer.orders > 0.5`:                 "ann bob",
		`customer.spend == 200.0`:               "ann",
		`customer.spend < 30.0001`:              "bob cas dee",
		`customer.average == 66.6666`:           "ann",
		`customer.average < 1`:                  "",
		`!(customer.average >= 1)`:              "",
		`customer["orders"] == 3`:               "ann",
		`customer.spend / customer.orders > 60`: "ann",
		`customer.spend / customer.orders >= 0`: "ann bob",
		`customer.orders / 2 == 1`:              "ann",
		`-customer.orders / 2 == -1`:            "ann",
		`customer.orders / 2.0 == 1.5`:          "ann",
		`customer.orders * 2 - 1 == 5`:          "ann",
		`-customer.orders < -1`:                 "ann",
		`- -customer.orders == 3`:               "ann",
		`1 / customer.orders == 0`:              "ann",
		`customer.orders / 0 == 0`:              "",
		`customer.orders / 0 == 0 || true`:      "ann bob cas dee",
		`has(customer.orders)`:                  "ann bob cas dee",
		`has(customer.spend)`:                   "ann bob cas dee",
		`has(customer.average)`:                 "ann bob",
		`has(customer.last_order_at)`:           "ann bob",
		`!has(customer.previous_order_at)`:      "bob cas dee",
		`customer.spend + 0.5 + 0.5 + 0.5 + 0.5 + 0.5 + 0.5 + 0.5 + 0.5 - 4 + 1e-9 > 200`: "ann",
		`customer.orders in [1, 2, 3.0]`:                    "ann bob",
		`!(customer.orders in [0, 3])`:                      "bob",
		`customer.orders > 0 ? customer.spend > 100 : true`: "ann cas dee",

		// Times.
		`now - customer.last_order_at < duration("720h")`:                                          "ann",
		`now - customer.last_order_at <= duration("744h")`:                                         "ann bob",
		`customer.last_order_at > now - duration("720h")`:                                          "ann",
		`customer.last_order_at + duration("744h") == now`:                                         "bob",
		`duration("744h") + customer.last_order_at == now`:                                         "bob",
		`customer.last_order_at - customer.previous_order_at > duration("24h")`:                    "ann",
		`customer.first_order_at < timestamp("2026-01-01T00:00:00Z")`:                              "ann",
		`customer.first_order_at == timestamp("2026-05-31T18:00:00+09:00")`:                        "bob",
		`now == timestamp("2026-07-01T09:00:00Z")`:                                                 "ann bob cas dee",
		`timestamp(now) > now`:                                                                     "",
		`now - customer.last_order_at < duration("72h") + duration("1ms")`:                         "ann",
		`duration("24h") - duration("48h") < duration("0s")`:                                       "ann bob cas dee",
		`(customer.orders > 1 ? duration("1h") : duration("800h")) > now - customer.last_order_at`: "bob",

		// Attributes.
		`customer.age >= 20`:                                     "ann",
		`customer.age < 20`:                                      "bob",
		`!(customer.age < 20)`:                                   "ann",
		`20 > customer.age`:                                      "bob",
		`customer.age == 30`:                                     "ann",
		`customer.age == "30"`:                                   "ann",
		`customer.age != 30`:                                     "bob",
		`customer.age != "30"`:                                   "bob cas",
		`customer.age in [19, 30]`:                               "ann bob",
		`customer.age in ["19", "about 20"]`:                     "bob cas",
		`customer.points == 20.5`:                                "ann",
		`customer.points * 2 == -6`:                              "bob",
		`-customer.points > 0`:                                   "bob",
		`customer.points + customer.orders == 23.5`:              "ann",
		`customer.age / customer.zero > 0`:                       "",
		`customer.age / customer.zero > 0 || customer.zero == 0`: "ann bob",
		`double(customer.age) + double(customer.points) == 50.5`: "ann",
		`double(customer.age) > double(customer.points)`:         "ann bob",
		`int(customer.points) == 20`:                             "ann",
		`int(customer.age) / 4 == 7`:                             "ann",
		`customer.age / 4 == 7.5`:                                "ann",
		`double(customer.phone) > 1`:                             "",
		`string(customer.age) == "19"`:                           "bob",
		`customer.rank == "gold"`:                                "ann",
		`customer.rank != "gold"`:                                "bob",
		`!(customer.rank == "gold")`:                             "bob",
		`customer.rank in ["gold", "silver"]`:                    "ann bob",
		`!(customer.rank in ["gold"])`:                           "bob",
		`customer.rank > "gold"`:                                 "bob",
		`customer["名"] == "花子"`:                                  "ann",
		`"名" in customer`:                                        "ann",
		`!("名" in customer)`:                                     "bob cas dee",
		`has(customer.rank)`:                                     "ann bob",
		`!has(customer.age)`:                                     "dee",
		`customer.city == customer.home`:                         "ann",
		`customer.city < customer.home`:                          "bob",
		`customer.vip`:                                           "ann",
		`!customer.vip`:                                          "bob cas",
		`customer.vip == true`:                                   "ann",
		`customer.vip == false`:                                  "bob",
		`customer.vip != true`:                                   "bob cas",
		`customer.vip == (customer.orders > 1)`:                  "ann bob",
		`customer.vip || customer.orders == 0`:                   "ann cas dee",
		`customer.vip && customer.age > 20`:                      "ann",
		`customer.nothing == 1 || customer.orders == 1`:          "bob",
		`customer.nothing == 1 && customer.orders == 1`:          "",
		`!(customer.nothing == 1 && customer.orders == 1)`:       "ann cas dee",
		`customer.nothing == 1 ? true : true`:                    "",
		`(customer.vip ? customer.age : customer.points) < 0`:    "bob",
		`(customer.vip ? customer.city : "大阪") == "大阪"`:          "bob cas",
		`(has(customer.vip) ? customer.vip : true)`:              "ann dee",
		`(customer.orders > 1) == (customer.spend > 10)`:         "ann cas dee",

		// Text.
		`customer.id == "dee"`:                        "dee",
		`customer.email.endsWith("@example.com")`:     "ann",
		`customer.email.endsWith("")`:                 "ann bob",
		`customer.email.endsWith("example")`:          "",
		`customer.email.startsWith("b")`:              "bob", // addresses are kept in lower case
		`customer.email.contains("example.")`:         "ann bob",
		`!customer.email.contains("org")`:             "ann",
		`customer.odd.contains("%")`:                  "ann",
		`customer.odd.contains("_")`:                  "ann",
		`customer.odd.startsWith("A")`:                "bob",
		`customer.odd.startsWith("a")`:                "cas",
		`customer.odd.endsWith("b")`:                  "cas",
		`customer.odd.endsWith("B")`:                  "bob",
		`customer.city.endsWith("京")`:                 "ann",
		`customer.city.contains(customer.home)`:       "ann",
		`size(customer.city) == 2`:                    "ann bob",
		`customer["名"].size() * 2 == 4`:               "ann",
		`size(customer.odd) > 2 && size("é") == 1`:    "ann",
		`!has(customer.phone) && has(customer.email)`: "bob",
		`customer.phone != ""`:                        "ann",

		// Dates in attributes, of a shop in Tokyo.
		`customer.born < timestamp("2000-01-01T00:00:00Z")`:                   "ann",
		`customer.born == timestamp("1990-05-01T00:00:00+09:00")`:             "ann",
		`timestamp(customer.born) == timestamp("2000-12-31T15:30:00Z")`:       "bob",
		`now - customer.born > duration("262800h")`:                           "ann",
		`customer.born + duration("24h") < timestamp("1990-05-02T00:00:00Z")`: "ann",
		`timestamp(customer.born) < now`:                                      "ann bob",
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := members()
		s.Zone = tokyo
		s.load(t, db, "shop", edgesNow)
		for text, want := range cases {
			t.Run(text, func(t *testing.T) {
				if got := strings.Join(matching(t, db, "shop", expressionMatch(text), s.Shop, edgesNow), " "); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				// Who does not match is everybody else, absent or not.
				none := v1alpha1.Match{None: expressionMatch(text).All}
				if others := matching(t, db, "shop", none, s.Shop, edgesNow); len(others)+len(strings.Fields(want)) != len(s.people) {
					t.Errorf("under none: %v", others)
				}
			})
		}
	})
}

func TestRefusedExpressions(t *testing.T) {
	deep := strings.Repeat("(customer.a + ", 50) + "1" + strings.Repeat(")", 50) + " > 0"
	cases := map[string]string{
		`customer.orders >`:                            `line 1, column 18: the expression ends too early: complete it`,
		`customer.orders = 1`:                          `line 1, column 17: token recognition error at: '= '`,
		`customer.orders`:                              `line 1, column 1: is a number, and must be true or false: compare it, as in customer.orders >= 2`,
		`now`:                                          `line 1, column 1: is a timestamp, and must be true or false: compare it, as in customer.orders >= 2`,
		`customer.orders == "x"`:                       `line 1, column 20: is text, and is compared with a number: write a number such as 20`,
		`customer.id == 5`:                             `line 1, column 16: is a number, and is compared with text: write text such as "gold"`,
		`customer.last_order_at > "2026"`:              `line 1, column 26: is text, and is compared with a timestamp: write now or timestamp("2026-01-31T00:00:00Z")`,
		`now - customer.last_order_at < 30`:            `line 1, column 32: is a number, and is compared with a duration: write duration("720h")`,
		`customer.age > duration("1h")`:                `line 1, column 1: an attribute is no duration: compare now - timestamp(customer.NAME) with it`,
		`duration("1h") < customer.age`:                `line 1, column 18: is an attribute, and is compared with a duration: compare it with a duration, as in now - customer.last_order_at`,
		`orders > 1`:                                   `line 1, column 1: orders is not known: write customer.orders`,
		`customer.rank == gold`:                        `line 1, column 18: gold is not known: there are customer.NAME and now, and text stands in quotes`,
		`customer == 1`:                                `line 1, column 1: customer alone is no value: write customer.NAME`,
		`customer.attributes.age > 1`:                  `line 1, column 1: .age is not known: write customer.NAME, or customer["NAME"]`,
		`customer[1] == 1`:                             `line 1, column 1: only the customer has members, by a name in quotes: write customer["NAME"]`,
		`customer["a\"b"] == 1`:                        `line 1, column 1: no attribute's name is empty or has a " or a \: correct it`,
		`"" in customer`:                               `line 1, column 1: no attribute's name is empty or has a " or a \: correct it`,
		`customer.age in customer`:                     `line 1, column 1: before in customer is a name in quotes: write "NAME" in customer`,
		`has(customer["x"])`:                           `line 1, column 13: has takes customer.NAME: for another name write "NAME" in customer`,
		`customer.x == null`:                           `line 1, column 15: there is no null here: write !has(customer.NAME) for what is absent`,
		`customer.x == 5u`:                             `line 1, column 15: write the number without u: 5`,
		`customer.x == b"a"`:                           `line 1, column 15: there are no bytes here: write text, without b before the quotes`,
		`customer.x == "a\x00b"`:                       `line 1, column 15: contains a NUL character, which no text does: remove it`,
		`customer.x == [1]`:                            `line 1, column 15: a list stands after in only: write customer.rank in ["gold", "silver"]`,
		`customer.x == {"a": 1}`:                       `line 1, column 15: there are no maps and no messages here: compare single values`,
		`Foo{a: 1} == customer.x`:                      `line 1, column 1: there are no maps and no messages here: compare single values`,
		`customer.x in []`:                             `line 1, column 15: after in is a list: write ["gold", "silver"] or [1, 2]`,
		`customer.x in customer.y`:                     `line 1, column 15: after in is a list: write ["gold", "silver"] or [1, 2]`,
		`customer.x in [customer.y]`:                   `line 1, column 16: a list has texts or numbers as they are: write ["gold", "silver"] or [1, 2]`,
		`customer.x in [1, "a"]`:                       `line 1, column 19: is text, among a number: write texts or numbers, of one kind`,
		`customer.orders in ["a"]`:                     `line 1, column 21: is text, among a number: write texts or numbers, of one kind`,
		`customer.x in [true]`:                         `line 1, column 16: is true or false, among true or false: write texts or numbers, of one kind`,
		`now in ["a"]`:                                 `line 1, column 1: in looks for texts and numbers: compare a timestamp with == and ||`,
		`customer.x == 9007199254740993`:               `line 1, column 15: numbers are exact up to 9007199254740992: compare it as text, in quotes`,
		`customer.x == 1e301`:                          `line 1, column 15: is no number to count with: write one between 1e-300 and 1e+300`,
		`1e200 * 1e200 > customer.x`:                   `line 1, column 1: the result could be larger or smaller than a number can be: multiply or divide fewer values`,
		`customer.x > 1 / 1e-200 / 1e-200`:             `line 1, column 14: the result could be larger or smaller than a number can be: multiply or divide fewer values`,
		`1e-200 * 1e-200 > customer.x`:                 `line 1, column 1: the result could be larger or smaller than a number can be: multiply or divide fewer values`,
		`!customer.orders`:                             `line 1, column 2: is a number, and must be true or false: compare it, as in customer.orders >= 2`,
		`customer.vip && (1 + customer.orders)`:        `line 1, column 18: is a number, and must be true or false: compare it, as in customer.orders >= 2`,
		`true < false`:                                 `line 1, column 1: true or false has no order: compare it with == or !=`,
		`customer.a + customer.b > 1`:                  `line 1, column 1: two attributes may be numbers or timestamps: write double(customer.NAME) or timestamp(customer.NAME)`,
		`1 < customer.a - customer.b`:                  `line 1, column 5: two attributes may be numbers or timestamps: write double(customer.NAME) or timestamp(customer.NAME)`,
		`"a" + customer.b == "ab"`:                     `line 1, column 1: + adds numbers and durations: compare the texts one by one, with &&`,
		`now + now > now`:                              `line 1, column 1: a timestamp and a timestamp do not go together: + - * / take numbers, + and - timestamps and durations too`,
		`duration("1h") - now > now`:                   `line 1, column 1: a duration and a timestamp do not go together: + - * / take numbers, + and - timestamps and durations too`,
		`customer.orders % 2 == 0`:                     `line 1, column 1: there is no %: use + - * /`,
		`-customer.id == 1`:                            `line 1, column 2: is text, and must be a number: write a number such as 20`,
		`-duration("1h") < duration("2h")`:             `line 1, column 2: is a duration, and must be a number: write a number such as 20`,
		`customer.vip ? 1 : "a"`:                       `line 1, column 20: is text, and the other choice is a number: choose between two of a kind`,
		`customer.vip ? 1 : 2`:                         `line 1, column 1: is a number, and must be true or false: compare it, as in customer.orders >= 2`,
		`customer.vip ? customer.x : duration("1h")`:   `line 1, column 29: is a duration, and the other choice is an attribute: choose between two of a kind`,
		`customer.orders ? true : false`:               `line 1, column 1: is a number, and must be true or false: compare it, as in customer.orders >= 2`,
		`customer.x.matches("a.*")`:                    `line 1, column 1: matches is not known: there are has, size, int, double, string, timestamp, duration, and of text startsWith, endsWith, contains`,
		`lower ( customer.x ) == "a"`:                  `line 1, column 1: lower is not known: there are has, size, int, double, string, timestamp, duration, and of text startsWith, endsWith, contains`,
		`customer.vip && foo.bar(1)`:                   `line 1, column 17: bar is not known: there are has, size, int, double, string, timestamp, duration, and of text startsWith, endsWith, contains`,
		`[1, 2].exists(x, x > 1)`:                      `line 1, column 1: there is no exists: write customer.NAME in ["gold", "silver"]`,
		`customer.orders.startsWith("1")`:              `line 1, column 1: is a number, and must be text: write text such as "gold"`,
		`customer.id.startsWith(1)`:                    `line 1, column 24: is a number, and must be text: write text such as "gold"`,
		`startsWith(customer.id, "a")`:                 `line 1, column 1: write customer.NAME.startsWith("text")`,
		`size(customer.orders) > 1`:                    `line 1, column 6: is a number, and must be text: write text such as "gold"`,
		`size() > 1`:                                   `line 1, column 1: write size(…), with one value`,
		`customer.a.double() > 1`:                      `line 1, column 1: write double(…), with one value`,
		`int("5") > 1`:                                 `line 1, column 5: is text, and must be a number: write a number such as 20`,
		`int(string(customer.a)) > 1`:                  `line 1, column 5: is text, and must be a number: write a number such as 20`,
		`int(now) > 1`:                                 `line 1, column 5: is a timestamp, and must be a number: write a number such as 20`,
		`string(customer.orders) == "1"`:               `line 1, column 8: is a number, and must be text: write text such as "gold"`,
		`now > timestamp("2026-01-31")`:                `line 1, column 17: "2026-01-31" is no moment: write it like 2026-01-31T00:00:00Z or 2026-01-31T00:00:00+09:00`,
		`now > timestamp("2026-01-31T00:00:00.0001Z")`: `line 1, column 17: times are kept in milliseconds: write no fraction of one`,
		`now > timestamp(customer.email)`:              `line 1, column 17: is text, and must be a timestamp: write now or timestamp("2026-01-31T00:00:00Z")`,
		`now - customer.a < duration("30d")`:           `line 1, column 29: "30d" is no duration in CEL, whose longest unit is the hour: write duration("720h")`,
		`now - customer.a < duration("soon")`:          `line 1, column 29: "soon" is no duration in CEL, whose longest unit is the hour: write duration("720h")`,
		`now - customer.a < duration(customer.b)`:      `line 1, column 29: duration takes a text: write duration("720h")`,
		`now - customer.a < duration("1us")`:           `line 1, column 29: times are kept in milliseconds: write no fraction of one`,
		"customer.vip &&\n  customer.orders ==\n    'é' || \"日本\" == now": `line 3, column 5: is text, and is compared with a number: write a number such as 20`,
		`"日本" == now`: `line 1, column 9: is a timestamp, and is compared with text: write text such as "gold"`,
		deep:          `line 1, column 548: is nested too deep: make several conditions of it`,
		strings.Repeat("!", 90) + "customer.vip" + strings.Repeat(" || (true", 120) + strings.Repeat(")", 120): `line 1, column 459: is nested too deep: make several conditions of it`,
		strings.Repeat("1 + ", 900) + "customer.a > 1":                                                         `line 1, column 1: is nested too deep: make several conditions of it`,
		strings.Repeat("'", 4000):                                    `line 1, column 1: is no expression: look for a quote or a bracket that is missing`,
		strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500): `line 1, column 1: is nested too deep: make several conditions of it`,
		strings.Repeat("true || ", 600) + "true":                     `line 1, column 1: is longer than 4096 characters: make several conditions of it`,
	}
	for text, want := range cases {
		t.Run(text, func(t *testing.T) {
			_, err := audience.Compile(expressionMatch(text), audience.Env{Namespace: "shop", Segment: "s", Dialect: store.SQLite})
			var invalid *audience.Invalid
			if !errors.As(err, &invalid) || invalid.Path != "spec.match.all[0].expression" || invalid.Reason != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}
