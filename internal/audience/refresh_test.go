// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func spec(t testing.TB, match string) *v1alpha1.SegmentSpec {
	return &v1alpha1.SegmentSpec{Match: parseMatch(t, match)}
}

func refresh(t testing.TB, r *audience.Refresher, ns, name string, spec *v1alpha1.SegmentSpec) audience.Result {
	t.Helper()
	result, err := r.Refresh(t.Context(), ns, name, spec, audience.Shop{})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func membersOf(t testing.TB, r *audience.Refresher, ns, name string) string {
	t.Helper()
	var ids []string
	for m, err := range r.Members(t.Context(), ns, name, false) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	return strings.Join(ids, " ")
}

func TestRefresh(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := edges()
		s.people[7] = person{ // two
			id: "two", email: "two@example.com", line: "Utwo", phone: "+819000000002", attributes: map[string]any{"name": "花子"},
			consents: map[string]bool{"email": true, "line": true, "sms": true},
		}
		s.people[10] = person{id: "four", email: "four@example.com", line: "Ufour", consents: map[string]bool{"email": true, "line": false}}
		s.suppressed = []address{{"line", "Utwo"}}
		s.load(t, db, "shop", edgesNow)
		s.load(t, db, "other", edgesNow)
		clk := testingclock.NewFakeClock(edgesNow)
		r := &audience.Refresher{Store: db, Clock: clk}
		recent := spec(t, `all: [{lastOrder: {within: 5d}}]`) // at edgesNow, two is out by a moment
		if _, known, err := r.State(t.Context(), "shop", "recent"); known || err != nil {
			t.Error(known, err)
		}

		first := refresh(t, r, "shop", "recent", recent)
		if got := membersOf(t, r, "shop", "recent"); got != "back four future steady" {
			t.Error(got)
		}
		if !first.Changed || first.Entered != 4 || first.Exited != 0 || first.Members != 4 || first.Candidates != 11 || first.Mode != audience.ModeFull ||
			first.Reach != (audience.Reach{Email: 1}) || !first.RefreshedAt.Equal(edgesNow) || first.Duration <= 0 {
			t.Errorf("%+v", first)
		}
		state, known, err := r.State(t.Context(), "shop", "recent")
		first.State.Duration = first.State.Duration.Truncate(time.Microsecond)
		if err != nil || !known || state != first.State {
			t.Errorf("%+v %v %v, want %+v", state, known, err, first.State)
		}

		clk.Step(time.Minute)
		second := refresh(t, r, "shop", "recent", recent)
		if second.Changed || second.Entered+second.Exited != 0 || second.State.Entered != 4 || !second.RefreshedAt.Equal(edgesNow.Add(time.Minute)) {
			t.Errorf("%+v", second)
		}

		clk.Step(48 * time.Hour)
		wider := spec(t, `all: [{lastOrder: {within: 4d}}, {orders: {}}], none: [{orders: {atLeast: 4}}]`)
		third := refresh(t, r, "shop", "recent", wider)
		if got := membersOf(t, r, "shop", "recent"); got != "future" {
			t.Error(got)
		}
		if !third.Changed || third.Entered != 0 || third.Exited != 3 || third.State.Exited != 3 || third.State.Entered != 0 || third.Reach != (audience.Reach{}) {
			t.Errorf("%+v", third)
		}

		// Who comes back enters again; who stays, stays since then.
		back := refresh(t, r, "shop", "recent", spec(t, `any: [{lastOrder: {within: 4d}}, {orders: {exactly: 4}}, {attribute: {name: name, in: [花子]}}]`))
		if back.Entered != 2 || back.Exited != 0 || back.Candidates != 12 || back.Reach != (audience.Reach{Email: 2, SMS: 1}) {
			t.Errorf("%+v", back)
		}
		for m, err := range r.Members(t.Context(), "shop", "recent", true) {
			if err != nil {
				t.Fatal(err)
			}
			since := clk.Now()
			if m.ID == "future" {
				since = edgesNow
			}
			var attributes map[string]string
			if err := json.Unmarshal(m.Attributes, &attributes); err != nil {
				t.Error(err)
			}
			if !m.EnteredAt.Equal(since) || m.ID == "two" && attributes["name"] != "花子" {
				t.Errorf("%+v", m)
			}
		}

		// A suppression alone changes the numbers.
		if err := db.Suppress(t.Context(), "shop", "email", "two@example.com", "test", clk.Now()); err != nil {
			t.Fatal(err)
		}
		same := spec(t, `any: [{lastOrder: {within: 4d}}, {orders: {exactly: 4}}, {attribute: {name: name, in: [花子]}}]`)
		if reach := refresh(t, r, "shop", "recent", same); !reach.Changed || reach.Entered+reach.Exited != 0 || reach.Reach.Email != 1 {
			t.Errorf("%+v", reach)
		}

		refresh(t, r, "other", "recent", recent)
		refresh(t, r, "shop", "kept", recent)
		if err := r.Delete(t.Context(), "shop", "recent"); err != nil {
			t.Fatal(err)
		}
		if _, known, _ := r.State(t.Context(), "shop", "recent"); known || membersOf(t, r, "shop", "recent") != "" {
			t.Error("something of a deleted segment is left")
		}
		if membersOf(t, r, "shop", "kept") == "" || membersOf(t, r, "other", "recent") == "" {
			t.Error("another segment's members are gone")
		}
	})
}

// TestRefreshThatFailsChangesNothing holds for the members, and for the next refresh.
func TestRefreshThatFailsChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		match := spec(t, `all: [{orders: {}}]`)
		before := refresh(t, r, "shop", "s", match)
		var invalid *audience.Invalid
		if _, err := r.Refresh(t.Context(), "shop", "s", spec(t, `all: [{expression: customer.orders > "x"}]`), audience.Shop{}); !errors.As(err, &invalid) {
			t.Error(err)
		}
		// PostgreSQL and SQLite both find out about a zone when they are asked.
		nowhere := audience.Shop{Zone: time.FixedZone("Nowhere/At_All", 0)}
		if err := db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: "dated", Attributes: map[string]json.RawMessage{"d": json.RawMessage(`"2026-01-01T00:00:00Z"`)}}}, edgesNow)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Refresh(t.Context(), "shop", "s", spec(t, `all: [{attribute: {name: d, after: "2026-01-01"}}]`), nowhere); err == nil {
			t.Error("a zone that does not exist is no error")
		}
		after, _, err := r.State(t.Context(), "shop", "s")
		before.State.Duration = before.State.Duration.Truncate(time.Microsecond)
		if err != nil || after != before.State {
			t.Errorf("%+v, want %+v, %v", after, before.State, err)
		}
		if again := refresh(t, r, "shop", "s", match); again.Changed || again.Members != before.Members {
			t.Errorf("%+v", again)
		}
	})
}

func TestRefreshesAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		match := spec(t, `all: [{orders: {}}]`)
		var group sync.WaitGroup
		entered := make([]int64, 6)
		for i := range entered {
			group.Go(func() {
				if i == 0 {
					if err := r.Delete(t.Context(), "shop", "s"); err != nil {
						t.Error(err)
					}
					return
				}
				result, err := r.Refresh(t.Context(), "shop", "s", match, audience.Shop{})
				if err != nil {
					t.Error(err)
				}
				entered[i] = result.Entered
			})
		}
		group.Wait()
		// Everybody entered once, or once more after the deletion.
		sum := int64(0)
		for _, n := range entered {
			sum += n
		}
		last := refresh(t, r, "shop", "s", match)
		if sum += last.Entered; last.Members != 10 || sum != 10 && sum != 20 {
			t.Errorf("%d members, entered %v and %d", last.Members, entered, last.Entered)
		}
	})
}

func TestMembersComeInPages(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		s := &shop{}
		for i := range 2500 {
			s.people = append(s.people, person{id: fmt.Sprintf("c%d", i)})
		}
		s.load(t, db, "shop", edgesNow)
		r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
		refresh(t, r, "shop", "s", spec(t, `all: [{orders: {exactly: 0}}]`))
		got := strings.Fields(membersOf(t, r, "shop", "s"))
		if len(got) != 2500 || !slices.IsSorted(got) || len(slices.Compact(got)) != 2500 {
			t.Errorf("%d members", len(got))
		}
		n := 0
		for range r.Members(t.Context(), "shop", "s", true) {
			if n++; n == 1200 {
				break
			}
		}
		if n != 1200 {
			t.Error(n)
		}
	})
}

func TestForget(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		edges().load(t, db, "shop", edgesNow)
		clk := testingclock.NewFakeClock(edgesNow)
		r := &audience.Refresher{Store: db, Clock: clk}
		refresh(t, r, "shop", "s", spec(t, `all: [{orders: {}}]`))
		left := make([]time.Time, 2)
		for i, match := range []string{`all: [{orders: {atLeast: 2}}]`, `all: [{orders: {atLeast: 4}}]`} {
			clk.Step(time.Hour)
			left[i] = clk.Now()
			refresh(t, r, "shop", "s", spec(t, match))
		}
		before := kept(t, db)
		if err := r.Forget(t.Context(), "shop", left[1]); err != nil {
			t.Fatal(err)
		}
		if after := kept(t, db); before["s"] != after["s"]+before["first"] || after["first"] != 0 {
			t.Errorf("%v are kept of %v", after, before)
		}
		if state, _, err := r.State(t.Context(), "shop", "s"); err != nil || !state.KeptSince.Equal(left[1]) {
			t.Errorf("kept since %s, want %s, %v", state.KeptSince, left[1], err)
		}
	})
}

// kept counts those who are known to have left, and of them those who left first.
func kept(t *testing.T, db *store.Store) map[string]int {
	t.Helper()
	var all, first int
	if err := db.QueryRow(t.Context(), `SELECT COUNT(*), COUNT(*) FILTER (WHERE exited_at = $1) FROM past_memberships`,
		store.Millis(edgesNow.Add(time.Hour))).Scan(&all, &first); err != nil {
		t.Fatal(err)
	}
	return map[string]int{"s": all, "first": first}
}
