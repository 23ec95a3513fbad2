// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func selected(t *testing.T, r *audience.Refresher, which audience.Selection) string {
	t.Helper()
	var out []string
	for m, err := range r.Select(t.Context(), "shop", "recent", which) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s@%s", m.ID, m.EnteredAt.Sub(edgesNow)))
	}
	return strings.Join(out, " ")
}

func TestWhoWasAMember(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		clk := testingclock.NewFakeClock(edgesNow)
		r := &audience.Refresher{Store: db, Clock: clk}
		for _, match := range []string{
			`all: [{attribute: {name: id, in: [two, four]}}]`, `all: [{attribute: {name: id, in: [two, free]}}]`, `all: [{attribute: {name: id, in: [two, four]}}]`,
		} {
			refresh(t, r, "shop", "recent", spec(t, match))
			clk.Step(time.Hour)
		}
		for _, c := range []struct {
			after time.Duration
			want  string
		}{
			{0, "four@0s two@0s"},
			{time.Hour - time.Millisecond, "four@0s two@0s"},
			{time.Hour, "free@1h0m0s two@0s"},
			{2*time.Hour - time.Millisecond, "free@1h0m0s two@0s"},
			{2 * time.Hour, "four@2h0m0s two@0s"},
			{3 * time.Hour, "four@2h0m0s two@0s"},
		} {
			which := audience.Selection{At: edgesNow.Add(c.after)}
			if got := selected(t, r, which); got != c.want {
				t.Errorf("after %s: %s, want %s", c.after, got, c.want)
			}
			if n, err := r.CountAt(t.Context(), "shop", "recent", which.At); err != nil || n != 2 {
				t.Errorf("after %s: %d members, %v", c.after, n, err)
			}
			which.Sample = 5
			if got := selected(t, r, which); got != c.want {
				t.Errorf("after %s, a sample of more than there are: %s, want %s", c.after, got, c.want)
			}
		}
		if got := selected(t, r, audience.Selection{}); got != "four@2h0m0s two@0s" {
			t.Errorf("now: %s", got)
		}
	})
}

func TestSampleIsAtRandom(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		refresh(t, r, "shop", "recent", spec(t, `all: [{attribute: {name: id, presence: Present}}]`))
		all := selected(t, r, audience.Selection{})
		seen := map[string]int{}
		for range 200 {
			got := strings.Fields(selected(t, r, audience.Selection{Sample: 3}))
			if len(got) != 3 || !slices.IsSorted(got) {
				t.Fatalf("%v, want three in the order of ids", got)
			}
			for _, m := range got {
				if seen[m]++; !strings.Contains(all, m) {
					t.Fatalf("%s is no member", m)
				}
			}
		}
		// Each of 12 is in a quarter of the samples; that one is in none has a chance of 1 in 10²⁴.
		if len(seen) != 12 {
			t.Errorf("not everybody has a chance: %v", seen)
		}
	})
}

func TestMoment(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		clk := testingclock.NewFakeClock(edgesNow) // 18:00 in Tokyo
		r := &audience.Refresher{Store: db, Clock: clk}
		tokyo := everything().Shop
		for _, name := range []string{"recent", "resting", "old"} {
			if _, err := r.Refresh(t.Context(), "shop", name, spec(t, `all: [{orders: {}}]`), tokyo); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Suspend(t.Context(), "shop", "resting"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(t.Context(), `UPDATE segments SET kept_since = 0, definition = '' WHERE name = 'old'`); err != nil {
			t.Fatal(err)
		}
		clk.Step(48 * time.Hour)
		for name, c := range map[string]struct{ segment, text, want, wantError string }{
			"a time":                        {"recent", "2026-07-02T00:00:00Z", "2026-07-02T09:00:00+09:00", ""},
			"the end of a day":              {"recent", "2026-07-02", "2026-07-02T23:59:59.999+09:00", ""},
			"the first day":                 {"recent", "2026-07-01", "2026-07-01T23:59:59.999+09:00", ""},
			"now":                           {"recent", "2026-07-03T18:00:00+09:00", "2026-07-03T18:00:00+09:00", ""},
			"from when it is known":         {"recent", "2026-07-01T18:00:00+09:00", "2026-07-01T18:00:00+09:00", ""},
			"before":                        {"recent", "2026-07-01T17:59:59+09:00", "", `who was in segment "recent" is known from 2026-07-01T18:00:00+09:00 on`},
			"the day before":                {"recent", "2026-06-30", "", "is known from"},
			"a day that is not over":        {"recent", "2026-07-03", "", "2026-07-03 23:59:59 JST lies in the future"},
			"the future":                    {"recent", "2026-07-03T18:00:01+09:00", "", "lies in the future"},
			"no time":                       {"recent", "yesterday", "", "is no time: write one such as"},
			"a day that there is not":       {"recent", "2026-02-30", "", "is no time"},
			"a day, without a zone":         {"resting", "2026-07-02", "", "is suspended, so that its shop's zone is not known"},
			"a time, suspended":             {"resting", "2026-07-02T00:00:00Z", "2026-07-02T00:00:00Z", ""},
			"a segment that is not there":   {"nothing", "2026-07-02", "", "was never refreshed"},
			"refreshed before it was known": {"old", "2026-07-02T00:00:00Z", "", "is known from its next refresh on"},
		} {
			at, err := r.Moment(t.Context(), "shop", c.segment, c.text)
			if c.wantError != "" {
				if err == nil || !strings.Contains(err.Error(), c.wantError) {
					t.Errorf("%s: %v, want %q", name, err, c.wantError)
				}
				continue
			}
			if got := at.Format(time.RFC3339Nano); err != nil || got != c.want {
				t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
			}
		}
		refresh(t, r, "shop", "old", spec(t, `all: [{orders: {}}]`))
		if state, _, err := r.State(t.Context(), "shop", "old"); err != nil || !state.KeptSince.Equal(clk.Now()) {
			t.Errorf("what was refreshed before it was kept is known since %s, %v", state.KeptSince, err)
		}
	})
}
