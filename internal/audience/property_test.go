// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	historySteps    = 25
	historySegments = 9
	// moreHistories names how many shops live; a few where it is not set.
	moreHistories = "KAERU_HISTORIES"
)

// TestIncrementalEqualsFull lets shops live: facts come in, change and are taken back, time passes, and
// after each step the segments are brought up to date, by rounds or one by one. Member by member they
// must be what the oracle says; and a look at everybody must find nothing to correct.
func TestIncrementalEqualsFull(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	histories := 8
	if n, err := strconv.Atoi(os.Getenv(moreHistories)); err == nil {
		histories = n
	}
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		modes := map[string]int{}
		for n := range histories {
			h := newHistory(t, db, seed, n)
			for step := range historySteps {
				h.step(step, modes)
				if t.Failed() {
					t.Fatalf("seed %d, history %d, step %d", seed, n, step)
				}
			}
		}
		t.Logf("%v", modes)
		if 2*modes[audience.ModeIncremental] < modes[audience.ModeFull] {
			t.Errorf("%v: that is hardly a test of what is incremental", modes)
		}
	})
}

type history struct {
	random
	t         *testing.T
	db        *store.Store
	ns        string
	shop      *shop
	now       time.Time
	clock     *testingclock.FakeClock
	refresher *audience.Refresher
	specs     map[string]*v1alpha1.SegmentSpec
	names     []string
}

func newHistory(t *testing.T, db *store.Store, seed uint64, n int) *history {
	r := random{rand.New(rand.NewPCG(seed, uint64(n)))}
	h := &history{random: r, t: t, db: db, ns: fmt.Sprintf("shop-%d", n), now: r.now(), specs: map[string]*v1alpha1.SegmentSpec{}}
	h.shop = r.shop(h.now)
	h.shop.segments = map[string][]string{}
	h.shop.load(t, db, h.ns, h.now)
	h.clock = testingclock.NewFakeClock(h.now)
	h.refresher = &audience.Refresher{Store: db, Clock: h.clock}
	for i := range historySegments {
		// The first two are those that others ask for the membership of.
		name := []string{"vip", "staff"}[min(i, 1)]
		if i >= 2 {
			name = fmt.Sprintf("s%d", i)
		}
		h.names = append(h.names, name)
		h.specs[name] = &v1alpha1.SegmentSpec{Match: h.definition(name)}
	}
	// Of what there are too few otherwise: percentages of what is kept beside the metrics, and of metrics
	// and nothing else.
	for i, name := range h.names[historySegments-4:] {
		if i < 2 {
			h.specs[name] = &v1alpha1.SegmentSpec{Match: v1alpha1.Match{All: []v1alpha1.NestedCondition{{Condition: v1alpha1.Condition{Spend: h.rankedSpend()}}}}}
			continue
		}
		h.specs[name] = &v1alpha1.SegmentSpec{Match: v1alpha1.Match{All: []v1alpha1.NestedCondition{{Condition: h.rankedMetric()}}}}
		if h.IntN(2) == 0 {
			h.specs[name].Match.None = []v1alpha1.NestedCondition{{Condition: h.rankedMetric()}}
		}
	}
	return h
}

// rankedMetric is a percentage or a quintile of all buyers.
func (h *history) rankedMetric() v1alpha1.Condition {
	for {
		switch c := h.condition(); {
		case c.RFM != nil:
			return c
		case c.Spend != nil && (c.Spend.TopPercent != nil || c.Spend.BottomPercent != nil):
			c.Spend.Within, c.Spend.Where = "", nil
			return c
		}
	}
}

// rankedSpend is a percentage of what was spent in a window, or on some orders.
func (h *history) rankedSpend() *v1alpha1.SpendCondition {
	for {
		if c := h.spend(); (c.TopPercent != nil || c.BottomPercent != nil) && (c.Within != "" || c.Where != nil) {
			if c.Within != "" { // most leave a short one while the shop lives
				c.Within = pick[v1alpha1.Duration](h.random, "12h", "1d", "36h", "3d", c.Within)
			}
			return c
		}
	}
}

// definition is a random match without a circle of references.
func (h *history) definition(name string) v1alpha1.Match {
	for {
		match := h.match()
		references := audience.References(&v1alpha1.SegmentSpec{Match: match})
		if name != "vip" && name != "staff" || len(references) == 0 || name == "staff" && slices.Equal(references, []string{"vip"}) {
			return match
		}
	}
}

func (h *history) step(step int, modes map[string]int) {
	h.now = h.now.Add(pick(h.random, 0, 0, time.Millisecond, time.Minute, time.Hour, time.Hour, 7*time.Hour, 7*time.Hour, 23*time.Hour, 25*time.Hour))
	h.clock.SetTime(h.now)
	for range h.IntN(4) {
		h.happen(step)
	}
	if h.IntN(12) == 0 { // somebody edits a segment
		name := pick(h.random, h.names...)
		h.specs[name] = &v1alpha1.SegmentSpec{Match: h.definition(name)}
		h.refresh(name, modes)
	}
	left := h.names
	if h.IntN(3) > 0 && step > 0 {
		opts := audience.RoundOptions{FactsOnly: h.IntN(3) == 0}
		outcomes, err := h.refresher.Round(h.t.Context(), h.ns, opts)
		if err != nil {
			h.t.Fatal(err)
		}
		if !opts.FactsOnly {
			left = nil
		}
		for _, o := range outcomes {
			if o.Err != nil {
				h.t.Fatal(o.Name, o.Err)
			}
			if o.Full && !opts.FactsOnly {
				left = append(left, o.Name)
			}
			if !o.Full {
				modes[audience.ModeIncremental]++
			}
		}
	}
	for _, name := range h.names {
		// Who asks for the membership of one that is refreshed only now comes after it.
		after := slices.ContainsFunc(audience.References(h.specs[name]), func(other string) bool { return slices.Contains(left, other) })
		if slices.Contains(left, name) || after {
			left = append(left, name)
			h.refresh(name, modes)
		}
	}
	h.check()
}

func (h *history) refresh(name string, modes map[string]int) {
	do := h.refresher.Refresh
	if h.IntN(15) == 0 {
		do = h.refresher.RefreshFully
	}
	result, err := do(h.t.Context(), h.ns, name, h.specs[name], h.shop.Shop)
	if err != nil {
		h.t.Fatal(err)
	}
	modes[result.Mode]++
	if result.Drift != 0 {
		text, _ := json.Marshal(h.specs[name].Match)
		h.t.Errorf("%s: %d were not where they belong: %s", name, result.Drift, text)
	}
}

// check holds everything that is known of the segments against the oracle.
func (h *history) check() {
	o := oracle{h.shop, h.now}
	h.shop.segments = map[string][]string{}
	for _, name := range h.names {
		want := o.matching(h.specs[name].Match)
		h.shop.segments[name] = want
		got := []string{}
		for m, err := range h.refresher.Members(h.t.Context(), h.ns, name, false) {
			if err != nil {
				h.t.Fatal(err)
			}
			got = append(got, m.ID)
		}
		text, _ := json.Marshal(h.specs[name].Match)
		if !slices.Equal(got, want) {
			h.t.Errorf("%s at %s in %s: %s\ngot  %v\nwant %v", name, h.now, h.shop.Zone, text, got, want)
		}
		state, _, err := h.refresher.State(h.t.Context(), h.ns, name)
		if err != nil {
			h.t.Fatal(err)
		}
		var reach audience.Reach
		for i := range h.shop.people {
			if p := &h.shop.people[i]; slices.Contains(want, p.id) {
				for channel, count := range map[string]*int64{"email": &reach.Email, "line": &reach.Line, "sms": &reach.SMS} {
					if o.canReach(p, channel) {
						*count++
					}
				}
			}
		}
		if state.Members != int64(len(want)) || state.Reach != reach {
			h.t.Errorf("%s: %d members and a reach of %v, want %d and %v", name, state.Members, state.Reach, len(want), reach)
		}
	}
	if wrong, err := h.db.CheckMetrics(h.t.Context(), h.ns); err != nil || wrong != 0 {
		h.t.Errorf("the metrics of %d customers are wrong: %v", wrong, err)
	}
}
