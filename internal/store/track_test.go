// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const day = 24 * time.Hour

// regulars order a product every so many days, the last time so many days before now.
func regulars(prefix string, customers, orders int, every, ago float64, product string) (out []store.Order) {
	for c := range customers {
		for i := range orders {
			out = append(out, purchase(fmt.Sprintf("%s-%d-%d", prefix, c, i), fmt.Sprintf("%s%d", prefix, c), -ago-every*float64(i), product))
		}
	}
	return out
}

func TestTrackRefuses(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		for name, g := range map[string]tracked{
			"no scope":          {"", "tea"},
			"another scope":     {"brand", "tea"},
			"any of something":  {"any", "tea"},
			"no product":        {"product", ""},
			"no category":       {"category", ""},
			"a product of NULs": {"product", "a\x00b"},
		} {
			var wrong *store.FieldError
			if err := s.TrackReplenishment(t.Context(), shop, g.scope, g.id, now); !errors.As(err, &wrong) {
				t.Errorf("%s: %v", name, err)
			}
		}
		expect(t, "tracked", dump(t, s, `SELECT scope FROM tracked`), "")
	})
}

func TestTrackAndDrop(t *testing.T) {
	const tracked = `SELECT scope, id, wanted_at, ready_at FROM tracked ORDER BY scope, id`
	stores(t, func(t *testing.T, s *store.Store) {
		track := func(scope, id string, at time.Time) {
			t.Helper()
			must(t, s.TrackReplenishment(t.Context(), shop, scope, id, at))
		}
		rows := func() string {
			t.Helper()
			return dump(t, s, `SELECT scope, count(*) FROM replenishments GROUP BY scope ORDER BY scope`)
		}
		upsertOrders(t, s, now, regulars("a", 30, 2, 10, 3, "tea-green")...)
		expect(t, "predictions nobody asked for", rows(), "")

		ms := func(at time.Time) int64 { return store.Millis(at) }
		track("category", "tea", now)
		track("any", "", now)
		track("any", "", now.Add(time.Hour))
		expect(t, "tracked", dump(t, s, tracked), fmt.Sprintf("any||%[1]d|%[1]d\ncategory|tea|%[1]d|%[1]d\n", ms(now)))
		expect(t, "predictions", rows(), "any|30\ncategory|30\n")
		track("any", "", now.Add(2*day))
		expect(t, "tracked", dump(t, s, tracked), fmt.Sprintf("any||%d|%[2]d\ncategory|tea|%[2]d|%[2]d\n", ms(now.Add(2*day)), ms(now)))

		_, err := s.RefreshCycles(t.Context(), shop, now.Add(8*day))
		must(t, err)
		expect(t, "tracked after a week", dump(t, s, `SELECT scope FROM tracked`), "any\n")
		expect(t, "predictions after a week", rows(), "any|30\n")
		expect(t, "cycles after a week", dump(t, s, `SELECT scope FROM cycles`), "any\n")
		expect(t, "wanted after a week", dump(t, s, `SELECT ns, wanted FROM tracking`), "shop|1\n")

		// Whoever was ending to drop it did not get far, and a customer has bought since.
		track("category", "tea", now.Add(8*day))
		_, err = s.Exec(t.Context(), `UPDATE tracked SET wanted_at = NULL, ready_at = NULL WHERE scope = 'category'`)
		must(t, err)
		upsertOrders(t, s, now, purchase("late", "a0", -1, "tea-green"), purchase("a-1-0", "a1", -3, "cup-1"), purchase("a-1-1", "a1", -13, "cup-1"))
		expect(t, "what is not wanted is not kept", dump(t, s, `SELECT customer_id, purchases FROM replenishments WHERE scope = 'category' AND customer_id IN ('a0', 'a1') ORDER BY customer_id`), "a0|2\na1|2\n")
		track("category", "tea", now.Add(9*day))
		expect(t, "tracked again", dump(t, s, `SELECT customer_id, purchases FROM replenishments WHERE scope = 'category' AND customer_id IN ('a0', 'a1') ORDER BY customer_id`), "a0|3\n")
		wantChecked(t, s, 0)

		_, err = s.Exec(t.Context(), `UPDATE tracked SET wanted_at = NULL, ready_at = NULL`)
		must(t, err)
		_, err = s.RefreshCycles(t.Context(), shop, now.Add(9*day))
		must(t, err)
		expect(t, "all dropped", rows(), "")
		expect(t, "all dropped", dump(t, s, tracked), "")
	})
}

// TestTrackGoesOn: the process ended before all had their prediction.
func TestTrackGoesOn(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		upsertOrders(t, s, now, regulars("a", 30, 3, 10, 3, "tea-green")...)
		must(t, s.TrackReplenishment(t.Context(), shop, "any", "", now))
		_, err := s.Exec(t.Context(), `UPDATE tracked SET ready_at = NULL`)
		must(t, err)
		_, err = s.Exec(t.Context(), `DELETE FROM replenishments WHERE customer_id < 'a2'`)
		must(t, err)
		upsertOrders(t, s, now, purchase("next", "a0", 0, "tea-green"))
		expect(t, "the first to order", dump(t, s, `SELECT purchases FROM replenishments WHERE customer_id = 'a0'`), "4\n")
		must(t, s.TrackReplenishment(t.Context(), shop, "any", "", now))
		wantChecked(t, s, 0)
		expect(t, "all", dump(t, s, `SELECT count(*) FROM replenishments`), "30\n")
	})
}

func TestCycles(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		upsertOrders(t, s, now, regulars("a", 30, 3, 10, 3, "tea-green")...)    // 60 intervals of 10 days
		upsertOrders(t, s, now, regulars("b", 5, 3, 20, 3, "tea-black")...)     // 10 of 20 days
		upsertOrders(t, s, now, regulars("c", 5, 3, 40, 3, "cup-1")...)         // 10 of 40 days
		upsertOrders(t, s, now, regulars("d", 1, 3, 40, 3, "strange-thing")...) // of no known category
		must(t, s.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertProducts(t.Context(), shop, []store.Product{{ID: "strange-thing", Category: store.Value("tea")}}, now)
			return err
		}))
		for _, g := range []tracked{{"product", "tea-green"}, {"product", "tea-black"}, {"product", "cup-1"}, {"product", "strange-thing"}, {"product", "unheard of"}} {
			must(t, s.TrackReplenishment(t.Context(), shop, g.scope, g.id, now))
		}
		rows, err := s.Query(t.Context(), `SELECT id, source, intervals, median_days FROM cycles ORDER BY id`)
		must(t, err)
		defer func() { must(t, rows.Close()) }()
		var got string
		for rows.Next() {
			var id, source string
			var intervals int64
			var median float64
			must(t, rows.Scan(&id, &source, &intervals, &median))
			got += fmt.Sprintf("%s|%s|%d|%.2f\n", id, source, intervals, median)
		}
		must(t, rows.Err())
		expect(t, "cycles", got, "cup-1|any|82|10.00\nstrange-thing|category|70|10.00\ntea-black|category|70|10.00\ntea-green|product|60|10.00\nunheard of|any|82|10.00\n")
	})
}

func TestNoPredictionOfFew(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		upsertOrders(t, s, now, regulars("a", 5, 3, 10, 3, "tea-green")...)
		must(t, s.TrackReplenishment(t.Context(), shop, "any", "", now))
		expect(t, "cycle", dump(t, s, `SELECT intervals FROM cycles`), "0\n")
		expect(t, "dates", dump(t, s, `SELECT count(*), count(due_at), min(missed) FROM replenishments`), "5|0|-1\n")
		upsertOrders(t, s, now, regulars("b", 5, 3, 10, 3, "tea-green")...)
		changed, err := s.RefreshCycles(t.Context(), shop, now)
		must(t, err)
		expect(t, "dates of more", dump(t, s, `SELECT count(*), count(due_at), min(missed) FROM replenishments`), "10|10|0\n")
		if changed != 10 {
			t.Errorf("%d dates changed, want 10", changed)
		}
		wantChecked(t, s, 0)
	})
}

func TestRefreshCycles(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		refresh := func(at time.Time, want int64) {
			t.Helper()
			if changed, err := s.RefreshCycles(t.Context(), shop, at); err != nil || changed != want {
				t.Errorf("%d dates changed, want %d, %v", changed, want, err)
			}
			wantChecked(t, s, 0)
			expect(t, "cycles under way", dump(t, s, `SELECT scope FROM cycles WHERE applied_at IS NULL`), "")
		}
		due := func(customer string) float64 {
			t.Helper()
			var at int64
			must(t, s.QueryRow(t.Context(), `SELECT due_at FROM replenishments WHERE customer_id = $1`, customer).Scan(&at))
			return store.Time(at).Sub(now).Hours() / 24
		}
		upsertOrders(t, s, now, regulars("a", 30, 3, 10, 3, "tea-green")...)
		upsertOrders(t, s, now, purchase("once", "once", -1, "tea-green"), purchase("long ago", "long ago", -3000, "tea-green"))
		must(t, s.TrackReplenishment(t.Context(), shop, "product", "tea-green", now))
		if got := due("a0"); math.Abs(got-7) > 0.1 {
			t.Errorf("who buys every 10 days, and did 3 days ago, is due in %.2f days", got)
		}
		if got := due("once"); math.Abs(got-9) > 0.1 {
			t.Errorf("who bought yesterday what is bought every 10 days is due in %.2f days", got)
		}
		expect(t, "who has been away too long", dump(t, s, `SELECT missed, due_at FROM replenishments WHERE customer_id = 'long ago'`), "-1|-\n")
		refresh(now, 0)
		must(t, s.TrackReplenishment(t.Context(), shop, "product", "tea-green", now.Add(6*day)))
		refresh(now.Add(6*day), 0)

		// On the eighth day the regulars are a day late, and once is not. They vary so little that half of
		// those who are late come within 17 hours, and half of the others within 13 more.
		refresh(now.Add(8*day), 30)
		expect(t, "missed", dump(t, s, `SELECT missed, count(*) FROM replenishments GROUP BY missed ORDER BY missed`), "-1|1\n0|1\n2|30\n")
		if got := due("a0"); got < 8 || got > 12 {
			t.Errorf("a regular who is a day late is due in %.2f days", got)
		}
		refresh(now.Add(8*day), 0)

		// Many more buy it every 30 days. Those known are predicted anew.
		upsertOrders(t, s, now.Add(8*day), regulars("b", 100, 3, 30, -8, "tea-green")...)
		var before = due("once")
		if changed, err := s.RefreshCycles(t.Context(), shop, now.Add(8*day)); err != nil || changed < 100 {
			t.Errorf("%d dates changed, %v", changed, err)
		}
		if got := due("once"); got < before+15 {
			t.Errorf("who bought once is due in %.2f days, before in %.2f", got, before)
		}
		refresh(now.Add(8*day), 0)

		// The process ended when the cycle was written and the dates were not.
		_, err := s.Exec(t.Context(), `UPDATE replenishments SET due_at = due_at - 86400000 WHERE customer_id = 'once'`)
		must(t, err)
		_, err = s.Exec(t.Context(), `UPDATE cycles SET applied_at = NULL`)
		must(t, err)
		refresh(now.Add(8*day), 1)
	})
}
