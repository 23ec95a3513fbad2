// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden shows the statement of each testdata/*.yaml in both dialects, with the arguments at one
// moment: what a change of the compiler does is there to be read.
func TestGolden(t *testing.T) {
	matches, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(matches) == 0 {
		t.Fatal("no testdata", err)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range matches {
		for _, dialect := range []store.Dialect{store.SQLite, store.Postgres} {
			name := strings.TrimSuffix(file, ".yaml") + "." + string(dialect) + ".sql"
			t.Run(filepath.Base(name), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				query, err := audience.Compile(parseMatch(t, string(text)), audience.Env{
					Namespace: "shop", Segment: "golden", Dialect: dialect, Shop: audience.Shop{Zone: tokyo, DormantAfter: 120 * 24 * time.Hour},
				})
				if err != nil {
					t.Fatal(err)
				}
				var got strings.Builder
				got.WriteString(query.SQL + "\n\n" + query.BaseSQL + "\n\n")
				for i, arg := range query.Args(edgesNow, nil) {
					fmt.Fprintf(&got, "-- $%d: %T %v\n", i+1, arg, arg)
				}
				if *update {
					if err := os.WriteFile(name, []byte(got.String()), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if got.String() != string(want) {
					t.Errorf("the statement is another one: if it should be, run go test -run Golden -update\n%s", &got)
				}
			})
		}
	}
}

func TestNothingOfAMatchIsWrittenIntoTheStatement(t *testing.T) {
	const evil = `x'); DROP TABLE customers; --`
	match := v1alpha1.Match{All: []v1alpha1.NestedCondition{
		{Condition: v1alpha1.Condition{Attribute: &v1alpha1.AttributeCondition{Name: evil, In: []string{evil}}}},
		{Condition: v1alpha1.Condition{Segment: &v1alpha1.LocalReference{Name: evil}}},
		{Condition: v1alpha1.Condition{Attribute: &v1alpha1.AttributeCondition{Name: "x", Before: "x'); DROP "}}},
		{Condition: v1alpha1.Condition{Orders: &v1alpha1.OrdersCondition{Where: &v1alpha1.OrderFilter{
			Category: []string{evil}, Product: []string{evil}, Source: []string{evil}, Status: []string{evil},
		}}}},
	}}
	eachStore(t, func(t *testing.T, db *store.Store) {
		query, err := audience.Compile(match, audience.Env{Namespace: evil, Segment: evil, Dialect: db.Dialect()})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(query.SQL, "DROP") {
			t.Errorf("%s", query.SQL)
		}
		if got := matching(t, db, evil, match, audience.Shop{}, edgesNow); len(got) != 0 {
			t.Error(got)
		}
	})
}

func TestCompileErrors(t *testing.T) {
	condition := func(c v1alpha1.Condition) v1alpha1.Match {
		return v1alpha1.Match{Any: []v1alpha1.NestedCondition{{AnyOf: []v1alpha1.Condition{{Orders: &v1alpha1.OrdersCondition{}}, c}}}}
	}
	text := func(s string) *intstr.IntOrString {
		v := intstr.FromString(s)
		return &v
	}
	two, one := int32(2), int32(1)
	cases := map[string]struct {
		match       v1alpha1.Match
		unsupported string
		invalid     string
	}{
		"replenishment": {condition(v1alpha1.Condition{Replenishment: &v1alpha1.ReplenishmentCondition{}}), "spec.match.any[0].anyOf[1].replenishment", ""},
		"event range":   {condition(v1alpha1.Condition{Event: &v1alpha1.EventCondition{Name: "Viewed", Count: v1alpha1.Count{AtLeast: &two, AtMost: &one}}}), "", "spec.match.any[0].anyOf[1].event: atLeast must not be above atMost"},
		"event window":  {condition(v1alpha1.Condition{Event: &v1alpha1.EventCondition{Name: "Viewed", Within: "soon"}}), "", "spec.match.any[0].anyOf[1].event.within: duration \"soon\": write a number and a unit (s, m, h, d, w), such as 90m or 30d"},
		"event name":    {condition(v1alpha1.Condition{Event: &v1alpha1.EventCondition{}}), "", "spec.match.any[0].anyOf[1].event.name: name the event"},
		"kind":          {condition(v1alpha1.Condition{Engagement: &v1alpha1.EngagementCondition{Kind: "Read"}}), "", "spec.match.any[0].anyOf[1].engagement.kind: is Delivered, Opened, Clicked or Converted"},
		"quintile":      {condition(v1alpha1.Condition{RFM: &v1alpha1.RFMCondition{Recency: &v1alpha1.QuintileRange{AtLeast: 6}}}), "", "spec.match.any[0].anyOf[1].rfm: a quintile is a number from 1 to 5"},
		"empty":         {v1alpha1.Match{}, "", "spec.match: give at least one of all, any, none"},
		"no condition":  {condition(v1alpha1.Condition{}), "", "spec.match.any[0].anyOf[1]: set one condition"},
		"a duration":    {parseMatch(t, `all: [{lastOrder: {within: 3x}}]`), "", `spec.match.all[0].lastOrder.within: duration "3x": write a number and a unit (s, m, h, d, w), such as 90m or 30d`},
		"no age":        {parseMatch(t, `all: [{lastOrder: {}}]`), "", `spec.match.all[0].lastOrder.within: duration is empty: write a number and a unit (s, m, h, d, w), such as 90m or 30d`},
		"counts":        {condition(v1alpha1.Condition{Orders: &v1alpha1.OrdersCondition{Count: v1alpha1.Count{AtLeast: &two, AtMost: &one}}}), "", "spec.match.any[0].anyOf[1].orders: atLeast must not be above atMost"},
		"an amount":     {condition(v1alpha1.Condition{Spend: &v1alpha1.SpendCondition{AtLeast: text("many")}}), "", `spec.match.any[0].anyOf[1].spend.atLeast: amount "many" is not a decimal number: write it like 10000 or 39745.2`},
		"a share":       {condition(v1alpha1.Condition{Spend: &v1alpha1.SpendCondition{TopPercent: text("100.1")}}), "", "spec.match.any[0].anyOf[1].spend.topPercent: lies above 0 and at most at 100"},
		"no amount":     {condition(v1alpha1.Condition{Spend: &v1alpha1.SpendCondition{}}), "", "spec.match.any[0].anyOf[1].spend: set exactly one of atLeast/atMost, topPercent, bottomPercent"},
		"a total":       {parseMatch(t, `all: [{orders: {where: {totalAtLeast: x}}}]`), "", `spec.match.all[0].orders.where.totalAtLeast: amount "x" is not a decimal number: write it like 10000 or 39745.2`},
		"a number":      {parseMatch(t, `all: [{attribute: {name: a, atLeast: x}}]`), "", `spec.match.all[0].attribute.atLeast: is not a number such as 20 or "-0.5"`},
		"a name":        {parseMatch(t, `all: [{attribute: {name: 'a"', presence: Absent}}]`), "", `spec.match.all[0].attribute.name: no attribute's name has a " or a \: remove it`},
		"no comparison": {parseMatch(t, `all: [{attribute: {name: a}}]`), "", "spec.match.all[0].attribute: set exactly one of in, notIn, atLeast/atMost, before/after, presence, anniversaryWithin"},
		"a stage":       {parseMatch(t, `all: [{lifecycle: {in: [First, Lost]}}]`), "", "spec.match.all[0].lifecycle.in[1]: there is no such stage"},
		"a channel":     {parseMatch(t, `all: [{reachable: {channels: [fax]}}]`), "", "spec.match.all[0].reachable.channels[0]: there is no such channel"},
		"no channel":    {parseMatch(t, `all: [{reachable: {}}]`), "", "spec.match.all[0].reachable.channels: name at least one channel"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := audience.Compile(c.match, audience.Env{Namespace: "shop", Segment: "s", Dialect: store.SQLite})
			var unsupported *audience.Unsupported
			var invalid *audience.Invalid
			switch {
			case c.unsupported != "":
				if !errors.As(err, &unsupported) || unsupported.Path != c.unsupported {
					t.Errorf("got %v, want %s", err, c.unsupported)
				}
			case !errors.As(err, &invalid) || err.Error() != c.invalid:
				t.Errorf("got %v, want %s", err, c.invalid)
			}
		})
	}
}

func TestReferencesAndCycles(t *testing.T) {
	specs := map[string]*v1alpha1.SegmentSpec{}
	for name, match := range map[string]string{
		"a":     `all: [{segment: {name: b}}], none: [{anyOf: [{segment: {name: c}}, {segment: {name: b}}]}]`,
		"b":     `any: [{orders: {}}, {allOf: [{segment: {name: d}}, {segment: {name: missing}}]}]`,
		"c":     `none: [{segment: {name: b}}]`,
		"d":     `all: [{segment: {name: c}}]`,
		"self":  `all: [{segment: {name: self}}]`,
		"alone": `all: [{orders: {}}]`,
	} {
		specs[name] = &v1alpha1.SegmentSpec{Match: parseMatch(t, match)}
	}
	if got := audience.References(specs["a"]); !slices.Equal(got, []string{"b", "c"}) {
		t.Error(got)
	}
	if got := audience.References(specs["b"]); !slices.Equal(got, []string{"d", "missing"}) {
		t.Error(got)
	}
	for name, want := range map[string][]string{
		"a": nil, "alone": nil, "missing": nil, "self": {"self", "self"},
		"b": {"b", "d", "c", "b"}, "c": {"c", "b", "d", "c"}, "d": {"d", "c", "b", "d"},
	} {
		if got := audience.Cycle(name, specs); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestSpecHash(t *testing.T) {
	hash := func(match, description string, shop audience.Shop) string {
		h, err := audience.SpecHash(&v1alpha1.SegmentSpec{Match: parseMatch(t, match), Description: description}, shop)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	const match = `all: [{orders: {}}]`
	base := hash(match, "", audience.Shop{})
	if base != hash(match, "other words", audience.Shop{Zone: time.UTC}) {
		t.Error("a description and the default's own name change the hash")
	}
	for name, other := range map[string]string{
		"match":   hash(`any: [{orders: {}}]`, "", audience.Shop{}),
		"dormant": hash(match, "", audience.Shop{DormantAfter: time.Hour}),
		"zone":    hash(match, "", audience.Shop{Zone: time.FixedZone("Asia/Tokyo", 9*3600)}),
	} {
		if other == base {
			t.Errorf("another %s has the same hash", name)
		}
	}
}
