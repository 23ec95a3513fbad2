// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// faulty is a shop with a segment about plans and one about orders, both refreshed.
func faulty(t *testing.T, db *store.Store) *audience.Refresher {
	t.Helper()
	s := &shop{
		people:    []person{{id: "a"}, {id: "b"}},
		contracts: []contract{{id: "s", customer: "a", plan: "monthly", status: "Active"}},
		purchases: []purchase{{id: "o", customer: "a", at: edgesNow, total: 1}},
	}
	s.load(t, db, "shop", edgesNow)
	r := &audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(edgesNow)}
	refresh(t, r, "shop", "buyers", spec(t, `all: [{orders: {}}]`))
	refresh(t, r, "shop", "monthly", spec(t, `all: [{subscription: {plan: [monthly]}}]`))
	return r
}

func more(t *testing.T, db *store.Store) {
	t.Helper()
	(&shop{
		contracts: []contract{{id: "s2", customer: "b", plan: "monthly", status: "Active"}},
		purchases: []purchase{{id: "o2", customer: "b", at: edgesNow, total: 1}},
	}).load(t, db, "shop", edgesNow)
}

// oneFails runs a round of which the segment about plans must fail, and nothing else.
func oneFails(t *testing.T, r *audience.Refresher, what string) {
	t.Helper()
	outcomes, err := r.Round(t.Context(), "shop", audience.RoundOptions{FactsOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if (o.Err != nil) != (o.Name == "monthly") {
			t.Errorf("%s: %s: %v", what, o.Name, o.Err)
		}
	}
	if len(outcomes) != 2 || membersOf(t, r, "shop", "buyers") != "a b" || membersOf(t, r, "shop", "monthly") != "a" {
		t.Errorf("%s: %v, %s and %s", what, outcomes, membersOf(t, r, "shop", "buyers"), membersOf(t, r, "shop", "monthly"))
	}
}

func heals(t *testing.T, r *audience.Refresher) {
	t.Helper()
	outcomes, err := r.Round(t.Context(), "shop", audience.RoundOptions{FactsOnly: true})
	if err != nil || len(outcomes) != 1 || outcomes[0].Err != nil || membersOf(t, r, "shop", "monthly") != "a b" {
		t.Errorf("%v %+v, %s", err, outcomes, membersOf(t, r, "shop", "monthly"))
	}
}

func TestErrorIsOfOneSegmentAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := faulty(t, db)
		more(t, db)
		exec := func(statement string) {
			t.Helper()
			if _, err := db.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		exec(`ALTER TABLE subscriptions RENAME COLUMN plan TO lost`)
		oneFails(t, r, "a column that is gone")
		if _, err := r.Refresh(t.Context(), "shop", "monthly", spec(t, `all: [{subscription: {plan: [monthly]}}]`), audience.Shop{}); err == nil || !strings.Contains(err.Error(), "plan") {
			t.Errorf("what is wrong is not said: %v", err)
		}
		exec(`ALTER TABLE subscriptions RENAME COLUMN lost TO plan`)
		heals(t, r)
	})
}

// TestRankingFailsAlone takes what a percentage of a window is kept in away, and gives it back.
func TestRankingFailsAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := faulty(t, db)
		const best = `all: [{spend: {topPercent: 100, within: 30d}}]`
		refresh(t, r, "shop", "best", spec(t, best))
		more(t, db)
		rename := func(from, to string) {
			t.Helper()
			if _, err := db.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Fatal(err)
			}
		}
		round := func() (done int, failed error) {
			t.Helper()
			outcomes, err := r.Round(t.Context(), "shop", audience.RoundOptions{FactsOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range outcomes {
				switch {
				case o.Err == nil:
					done++
				case o.Name == "best":
					failed = o.Err
				default:
					t.Errorf("%s: %v", o.Name, o.Err)
				}
			}
			return done, failed
		}
		rename("ranked", "lost")
		if done, err := round(); err == nil || !strings.Contains(err.Error(), "ranking") || done != 2 || membersOf(t, r, "shop", "buyers") != "a b" {
			t.Errorf("%v, and %d others were refreshed, want 2", err, done)
		}
		if _, err := r.Refresh(t.Context(), "shop", "best", spec(t, best), audience.Shop{}); err == nil || !strings.Contains(err.Error(), "ranked") {
			t.Errorf("what is wrong is not said: %v", err)
		}
		rename("lost", "ranked")
		if done, err := round(); err != nil || done != 1 || membersOf(t, r, "shop", "best") != "a b" {
			t.Errorf("%v, %d were refreshed, want 1: %s", err, done, membersOf(t, r, "shop", "best"))
		}
	})
}

// TestUnusedRankingsAreDropped when nobody asks for them any more, and made anew when somebody does.
func TestUnusedRankingsAreDropped(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := faulty(t, db)
		const best = `all: [{spend: {topPercent: 100, within: 30d}}]`
		refresh(t, r, "shop", "best", spec(t, best))
		if err := r.Delete(t.Context(), "shop", "best"); err != nil {
			t.Fatal(err)
		}
		more(t, db)
		if _, err := r.Round(t.Context(), "shop", audience.RoundOptions{FactsOnly: true}); err != nil {
			t.Fatal(err)
		}
		if err := r.Prune(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM rankings) + (SELECT COUNT(*) FROM ranked)`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d rows are left, %v", left, err)
		}
		refresh(t, r, "shop", "best", spec(t, best))
		if members := membersOf(t, r, "shop", "best"); members != "a b" {
			t.Errorf("%s, want a b", members)
		}
	})
}

// TestStatementThatTakesTooLong is for PostgreSQL, where others can hold what a statement needs.
func TestStatementThatTakesTooLong(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		if db.Dialect() != store.Postgres {
			return
		}
		r := faulty(t, db)
		more(t, db)
		holding, release := make(chan struct{}), make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			if err := db.Tx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Exec(t.Context(), `LOCK TABLE subscriptions IN ACCESS EXCLUSIVE MODE`)
				close(holding)
				<-release
				return err
			}); err != nil {
				t.Error(err)
			}
		})
		<-holding
		r.Timeout = 300 * time.Millisecond
		oneFails(t, r, "a timeout")

		r.Timeout = time.Minute
		cancelled := make(chan struct{})
		group.Go(func() {
			defer close(cancelled)
			for n := 0; n == 0 && t.Context().Err() == nil; time.Sleep(20 * time.Millisecond) {
				if err := db.QueryRow(t.Context(), `SELECT COUNT(pg_cancel_backend(pid)) FROM pg_stat_activity
					WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%subscriptions%'`).Scan(&n); err != nil {
					t.Error(err)
					return
				}
			}
		})
		outcomes, err := r.Round(t.Context(), "shop", audience.RoundOptions{FactsOnly: true})
		if err != nil || len(outcomes) != 1 || outcomes[0].Err == nil {
			t.Errorf("a cancelled query: %v, %v", outcomes, err)
		}
		<-cancelled
		close(release)
		group.Wait()
		heals(t, r)
	})
}

// TestFollower lets facts come in, without a refresh of any segment being asked for.
func TestFollower(t *testing.T) {
	eachStore(t, func(t *testing.T, db *store.Store) {
		r := faulty(t, db)
		const best = `all: [{expression: 'customer.orders > 0 && now > timestamp("2020-01-01T00:00:00Z")'}]`
		refresh(t, r, "shop", "best", spec(t, best)) // which only a look at everybody can tell
		changed, behind := make(chan string, 10), make(chan string, 10)
		follower := &audience.Follower{
			Refresher: r, Log: logr.Discard(),
			Changed: func(_, name string) { changed <- name }, Behind: func(_, name string) { behind <- name },
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var group sync.WaitGroup
		group.Go(func() {
			if err := follower.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		more(t, db)
		told := map[string]bool{}
		for range 3 {
			select {
			case name := <-changed:
				told[name] = true
			case name := <-behind:
				told["behind "+name] = true
			case <-time.After(30 * time.Second):
				t.Fatalf("only %v was told", told)
			}
		}
		if !told["buyers"] || !told["monthly"] || !told["behind best"] || membersOf(t, r, "shop", "buyers") != "a b" || membersOf(t, r, "shop", "monthly") != "a b" {
			t.Errorf("%v, %s and %s", told, membersOf(t, r, "shop", "buyers"), membersOf(t, r, "shop", "monthly"))
		}
		stop()
		group.Wait()
		if err := r.Prune(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		// One has not seen everything; what all have seen is gone.
		refresh(t, r, "shop", "best", spec(t, best))
		if err := r.Prune(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		var left int
		if err := db.QueryRow(t.Context(), `SELECT COUNT(*) FROM touched`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d touches are left, %v", left, err)
		}
		if again := refresh(t, r, "shop", "buyers", spec(t, `all: [{orders: {}}]`)); again.Changed || again.Mode != audience.ModeFull && again.Mode != audience.ModeIncremental {
			t.Errorf("%+v", again)
		}
	})
}
