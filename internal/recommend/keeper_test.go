// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// TestCountedBitByBit holds what is kept through random histories against counting everything anew, to the last digit.
func TestCountedBitByBit(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 3)
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 60 {
				s.live(r, 12, 70)
				if r.IntN(3) == 0 {
					s.catchUp()
				}
			}
			s.catchUp()
			s.same(fmt.Sprintf("seed %d", seed))
		}
	})
}

// TestManyProductsOfOneCustomer is about who bought more than make pairs.
func TestManyProductsOfOneCustomer(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.catchUp()
		for i := range 60 {
			s.buys(float64(60-i), fmt.Sprintf("c p%02d", i))
			s.catchUp()
		}
		pairs := func() (n int) {
			must(t, s.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM pairs`).Scan(&n))
			return n
		}
		if n := pairs(); n != 50*49 {
			t.Errorf("%d pairs, want those of 50 products", n)
		}
		s.buys(0, "c p00")
		s.catchUp()
		if n := pairs(); n != 50*49 {
			t.Errorf("%d pairs, want those of 50 products", n)
		}
		s.same("after many products")
	})
}

func TestAnOrderOfTheFutureCountsAsToday(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("now", "typo")
		s.buys(-40000, "a typo")
		s.buys(0, "a now")
		s.buys(0, "b now")
		s.catchUp()
		if got := s.recommended("PopularInCategory", 2, "x"); got != "now typo" {
			t.Errorf("%s are popular, want now typo", got)
		}
	})
}

// TestCrash ends the work at any point, and goes on with another keeper.
func TestCrash(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 2)
		r := rand.New(rand.NewPCG(7, 7))
		for range 40 {
			s.live(r, 12, 12)
		}
		step := func() (more bool, err error) { return s.keeper().Step(t.Context(), ns) }
		crash := func(table string) {
			t.Helper()
			s.exec(`ALTER TABLE ` + table + ` RENAME TO lost`)
			// There may be nothing to write; then it does not fail.
			if _, err := step(); err != nil && !strings.Contains(err.Error(), table) {
				t.Error(err)
			}
			s.exec(`ALTER TABLE lost RENAME TO ` + table)
		}
		for i := range 200 {
			if i < 100 {
				s.live(r, 12, 12)
			}
			crash([]string{"bought", "pairs", "product_sales"}[i%3])
			if _, err := step(); err != nil {
				t.Fatal(err)
			}
		}
		s.catchUp()
		s.same("after crashes")
	})
}

// TestLargeImport is about one number of the feed that has more customers than a batch.
func TestLargeImport(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 3)
		s.buys(1, "x a") // with which the feed begins
		s.catchUp()
		for file := range 3 {
			var orders []*order
			for i := range 10 {
				orders = append(orders, &order{fmt.Sprintf("o%d-%d", file, i), fmt.Sprintf("c%d", i), "paid", s.now, []item{{product: "a"}, {product: fmt.Sprintf("b%d", file)}}})
			}
			s.ordered(orders...)
		}
		for steps := 1; ; steps++ {
			more, err := s.keeper().Step(t.Context(), ns)
			must(t, err)
			if !more {
				if steps != 11 {
					t.Errorf("30 touches were counted in %d steps", steps)
				}
				break
			}
		}
		if state := s.state(); state != "ready" {
			t.Errorf("the state is %s", state)
		}
		s.same("after imports")
	})
}

// TestPrunedFeed is about a keeper that was away so long that the feed does not know any more.
func TestPrunedFeed(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 2)
		s.sells("a", "b", "c")
		s.buys(3, "x a b")
		s.buys(3, "y a b")
		s.catchUp()
		prune := func(after time.Duration) (left int) {
			t.Helper()
			r := &audience.Refresher{Store: s.db, Clock: testingclock.NewFakeClock(s.now.Add(after))}
			must(t, r.Prune(t.Context(), ns))
			must(t, s.db.QueryRow(t.Context(), `SELECT COUNT(*) FROM touched`).Scan(&left))
			return left
		}
		first := s.buys(1, "x c")
		for i := range 5 {
			s.buys(1, fmt.Sprintf("z%d a c", i))
		}
		if left := prune(time.Hour); left != 6 {
			t.Errorf("%d touches are left of 6 that were not counted", left)
		}
		if left := prune(25 * time.Hour); left != 0 {
			t.Errorf("%d touches are left for a keeper that is away", left)
		}
		first.status = "refunded"
		s.ordered(first)
		more, err := s.keeper().Step(t.Context(), ns)
		if err != nil || !more || s.state() != "again" {
			t.Fatalf("%t %v, the state is %s, want again", more, err, s.state())
		}
		if got := s.recommended("BoughtTogether", 1, "y"); got != "" {
			t.Errorf("%s is recommended from what was counted before", got)
		}
		// And once more in the middle of looking at everybody.
		_, err = s.keeper().Step(t.Context(), ns)
		must(t, err)
		s.buys(0, "z1 b")
		prune(25 * time.Hour)
		s.catchUp()
		if s.state() != "ready" {
			t.Errorf("the state is %s", s.state())
		}
		s.same("after it was pruned")
	})
}

func TestFeedIsKeptWithoutSegments(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.buys(1, "x a")
		s.catchUp()
		s.buys(1, "x b")
		more, err := s.keeper().Step(t.Context(), ns)
		if err != nil || more || s.state() != "ready" {
			t.Errorf("%t, %v, the state is %s: the feed did not tell", more, err, s.state())
		}
		s.same("after a step")
	})
}

// TestTwoKeepers work at once, while orders come in.
func TestTwoKeepers(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 2)
		r := rand.New(rand.NewPCG(3, 3))
		for range 30 {
			s.live(r, 20, 15)
		}
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 2 {
			// Their clock is ahead of the orders that come in: those would be of the future.
			k := &recommend.Keeper{Store: s.db, Clock: testingclock.NewFakeClock(s.now.AddDate(1, 0, 0))}
			group.Go(func() {
				for ctx.Err() == nil {
					if err := k.CatchUp(t.Context(), ns); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 60 {
			s.live(r, 20, 15)
		}
		stop()
		group.Wait()
		s.catchUp()
		s.same("after two keepers")
	})
}

// TestKeep is about which shops are kept, and for how long.
func TestKeep(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		ctx := t.Context()
		clk := testingclock.NewFakeClock(s.now)
		var wanted []string
		k := &recommend.Keeper{Store: s.db, Clock: clk, Wanted: func() []string { return wanted }}
		s.sells("a", "b")
		s.buys(1, "x a b")
		must(t, k.Keep(ctx))
		if s.state() != "" {
			t.Error("a shop is kept that nobody wants")
		}
		wanted = []string{ns, "empty", ns}
		must(t, k.Keep(ctx))
		if s.state() != "ready" {
			t.Errorf("the state is %q", s.state())
		}
		if _, err := recommend.For(ctx, s.db, "empty", recommend.NewArrivals, 1, []string{"x"}, recommend.Options{}); err != nil {
			t.Errorf("a shop without a fact: %v", err)
		}
		seen := func() (at int64) {
			t.Helper()
			must(t, s.db.QueryRow(ctx, `SELECT seen_at FROM recommendations WHERE ns = 'shop'`).Scan(&at))
			return at
		}
		before := seen()
		clk.Step(time.Minute)
		must(t, k.Keep(ctx))
		if seen() != before {
			t.Error("the row was written though nothing happened")
		}
		clk.Step(2 * time.Hour)
		time.Sleep(1100 * time.Millisecond) // its rest, on machine time
		must(t, k.Keep(ctx))
		if seen() != store.Millis(clk.Now()) {
			t.Error("the row does not say that somebody looks")
		}
		wanted = nil
		clk.Step(6 * 24 * time.Hour)
		must(t, k.Keep(ctx))
		if s.state() != "ready" {
			t.Errorf("the state is %q after six days", s.state())
		}
		clk.Step(2 * 24 * time.Hour)
		must(t, k.Keep(ctx))
		if left := s.dump(); s.state() != "" || left != "" {
			t.Errorf("the state is %q after eight days, and there is %s", s.state(), left)
		}
		wanted = []string{ns}
		time.Sleep(1100 * time.Millisecond)
		must(t, k.Keep(ctx))
		if s.state() != "ready" || !strings.Contains(s.dump(), "bought") {
			t.Errorf("the state is %q when it is wanted again", s.state())
		}
	})
}

// TestDroppingIsFinishedFirst where it was interrupted.
func TestDroppingIsFinishedFirst(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.buys(1, "x a b")
		s.catchUp()
		s.exec(`UPDATE recommendations SET state = 'dropping'`)
		s.exec(`DELETE FROM bought`)
		_, err := recommend.For(t.Context(), s.db, ns, recommend.BoughtTogether, 1, []string{"x"}, recommend.Options{})
		if !errors.Is(err, recommend.ErrNotReady) {
			t.Errorf("while rows are being deleted: %v", err)
		}
		s.catchUp()
		s.same("after dropping")
	})
}

func TestRun(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("a", "b")
		s.buys(1, "x a")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		k := s.keeper()
		go func() { done <- k.Run(ctx) }()
		await := func(want string) {
			t.Helper()
			got := ""
			for range 300 {
				if s.state() == "ready" {
					got = s.recommended("PopularInCategory", 2, "nobody")
				}
				if got == want {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
			t.Fatalf("%q is recommended, want %q", got, want)
		}
		await("a")
		s.buys(0, "x b")
		await("b a")
		stop()
		must(t, <-done)
	})
}
