// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func (s *shop) recommend(strategy string, limit int, language string, customers ...string) map[string][]recommend.Product {
	s.t.Helper()
	products, err := recommend.For(s.t.Context(), s.db, ns, strategy, limit, customers, recommend.Options{Now: s.now, Language: language})
	must(s.t, err)
	return products
}

// recommended are the ids that a customer is recommended.
func (s *shop) recommended(strategy string, limit int, customer string) string {
	s.t.Helper()
	var ids []string
	for _, p := range s.recommend(strategy, limit, "en", customer)[customer] {
		ids = append(ids, p.ID)
	}
	return strings.Join(ids, " ")
}

// TestAgainstAnEvaluationInGo holds what is recommended in random shops against another evaluation.
func TestAgainstAnEvaluationInGo(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		compared := map[string]int{}
		for seed, size := range [][2]int{{12, 8}, {25, 30}, {6, 80}} {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			for round := range 4 {
				for range 40 {
					s.live(r, size[0], size[1])
				}
				s.catchUp()
				compare(t, s, fmt.Sprintf("seed %d round %d", seed, round), 1+r.IntN(8), compared)
			}
		}
		for _, strategy := range recommend.Strategies {
			if compared[strategy] < 50 {
				t.Errorf("%s was compared by %d recommendations only", strategy, compared[strategy])
			}
		}
	})
}

func compare(t *testing.T, s *shop, what string, limit int, compared map[string]int) {
	t.Helper()
	o := newOracle(s)
	customers := []string{"nobody", "c00"}
	for i := range 26 {
		customers = append(customers, fmt.Sprintf("c%02d", i))
	}
	for _, strategy := range recommend.Strategies {
		all := s.recommend(strategy, limit, "ja", customers...)
		for _, customer := range customers {
			var got []recommendation
			for _, p := range all[customer] {
				got = append(got, recommendation{p.ID, p.Reason})
			}
			if want := o.recommend(strategy, limit, customer); !slices.Equal(got, want) {
				t.Errorf("%s: %s for %s, at most %d:\n got %v\nwant %v", what, strategy, customer, limit, got, want)
			}
			compared[strategy] += len(got)
		}
	}
}

func TestNotReady(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		recommend.SetAtOnce(t, 1)
		s.buys(1, "x a")
		s.buys(1, "y a")
		for _, more := range []bool{true, true, true} {
			for _, strategy := range recommend.Strategies {
				_, err := recommend.For(t.Context(), s.db, ns, strategy, 1, []string{"x"}, recommend.Options{Now: s.now})
				if !errors.Is(err, recommend.ErrNotReady) {
					t.Errorf("%s before all orders are counted: %v", strategy, err)
				}
			}
			if got, err := s.keeper().Step(t.Context(), ns); err != nil || got != more {
				t.Fatal(got, err)
			}
		}
		if got := s.recommend(recommend.BoughtTogether, 1, "", "x"); len(got) != 0 {
			t.Errorf("recommended %v, but the shop told of no product", got)
		}
		if _, err := recommend.For(t.Context(), s.db, ns, "Best", 1, []string{"x"}, recommend.Options{}); err == nil || !strings.Contains(err.Error(), "BoughtTogether") {
			t.Errorf("another strategy: %v", err)
		}
		for _, customers := range [][]string{nil, {"x"}} {
			if got, err := recommend.For(t.Context(), s.db, ns, recommend.NewArrivals, len(customers)-1, customers, recommend.Options{}); err != nil || len(got) != 0 {
				t.Errorf("nothing was asked for: %v, %v", got, err)
			}
		}
	})
}

func TestBoughtTogether(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("a", "b", "c", "d", "once", "gone", "z/odd", "y/odd")
		for _, customer := range []string{"k1", "k2", "k3"} {
			s.buys(9, customer+" a b gone untold")
		}
		s.buys(9, "k4 a c")
		s.buys(9, "k5 a c d")
		s.buys(9, "k6 c once a")
		s.buys(9, "k7 c")
		s.buys(9, "k8 z y")
		zero := int64(0)
		s.told(&product{id: "gone", name: "Gone", stock: &zero})
		s.catchUp()
		// 3/√(6·3) customers of a bought b, 3/√(6·4) c; one alone bought d, and one once.
		s.buys(0, "x a")
		got := s.recommend(recommend.BoughtTogether, 3, "ja_JP", "x")["x"]
		if len(got) != 3 || got[0].ID != "b" || got[1].ID != "c" || got[0].Reason != "「Na」をお買い上げの方に選ばれています" {
			t.Errorf("got %+v", got)
		}
		if got[2].Reason != "人気の商品です" {
			t.Errorf("filled up with %+v", got[2])
		}
		s.buys(0, "x b")
		if got := s.recommended(recommend.BoughtTogether, 1, "x"); got != "c" {
			t.Errorf("%s is recommended to who has just bought b", got)
		}
		// Who bought something odd gets more of its category, and then what is popular.
		s.buys(0, "w z")
		if got := s.recommended(recommend.BoughtTogether, 3, "w"); got != "y a c" {
			t.Errorf("%s, want y a c", got)
		}
		s.buys(0, "v untold")
		if got := s.recommend(recommend.BoughtTogether, 1, "en", "v")["v"]; got[0].ID != "b" || got[0].Reason != "Often bought together with what you have" {
			t.Errorf("%+v", got)
		}
	})
}

func TestPopularInCategory(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("old/tea", "new/tea", "mug/cup", "bowl/cup", "fan")
		for i := range 3 { // a quarter of a buyer each, two months later
			s.buys(60, fmt.Sprintf("k%d old", i))
		}
		s.buys(0, "k new")
		s.buys(90, "k3 mug")
		s.buys(90, "k4 mug bowl")
		s.catchUp()
		if got := s.recommended(recommend.PopularInCategory, 9, "nobody"); got != "new old mug bowl" {
			t.Errorf("%s, want new old mug bowl", got)
		}
		s.buys(1, "x fan") // which has no category
		s.buys(2, "x bowl")
		s.buys(3, "x old")
		got := s.recommend(recommend.PopularInCategory, 2, "ja", "x")["x"]
		if len(got) != 2 || got[0].ID != "mug" || got[0].Reason != "cupカテゴリで人気です" || got[1].ID != "new" || got[1].Reason != "人気の商品です" {
			t.Errorf("%+v", got)
		}
		s.views(1, "y", "mug")
		s.views(1, "y", "old")
		s.views(2, "y", "old")
		s.views(40, "y", "mug")
		s.views(40, "y", "mug")
		if got := s.recommend(recommend.PopularInCategory, 1, "en", "y")["y"]; got[0].Reason != "Popular in tea" {
			t.Errorf("%+v", got)
		}
	})
}

func TestNewArrivals(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("older/tea", "tea/tea", "old")
		s.now = s.now.AddDate(0, 0, 61)
		s.sells("cup/cup", "pot/pot")
		s.now = s.now.Add(time.Hour)
		s.sells("green/tea", "can")
		s.now = s.now.Add(time.Hour)
		s.sells("cup/cup", "older/tea") // again: that makes them no newer
		s.buys(1, "x tea")
		s.buys(1, "k old")
		s.catchUp()
		if got := s.recommended(recommend.NewArrivals, 9, "x"); got != "green can cup pot old" {
			t.Errorf("%s, want green can cup pot old", got)
		}
		got := s.recommend(recommend.NewArrivals, 6, "ja", "y")["y"]
		if len(got) != 6 || got[0].ID != "can" || got[3].Reason != "新着商品です" || got[4].Reason != "人気の商品です" {
			t.Errorf("%+v", got)
		}
	})
}

func TestReplenish(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("tea", "pan", "soap")
		for i := range 25 {
			for _, days := range []float64{300, 270, 240} {
				s.buys(days, fmt.Sprintf("k%02d tea soap", i))
			}
		}
		for i := range 30 {
			s.buys(200, fmt.Sprintf("p%02d pan", i))
		}
		s.buys(250, "p00 pan")
		s.buys(22, "early tea")
		s.buys(23.5, "due tea")
		s.buys(28, "due soap pan")
		s.buys(59, "late tea pan")
		s.buys(61, "lost tea")
		s.buys(30, "own pan") // most need no second one, this one does
		s.buys(60, "own pan")
		s.catchUp()
		for customer, want := range map[string]string{"early": "", "due": "soap tea", "late": "tea", "lost": "", "own": "pan", "nobody": ""} {
			if got := s.recommended(recommend.Replenish, 3, customer); got != want {
				t.Errorf("%s: %q, want %q", customer, got, want)
			}
		}
		if got := s.recommend(recommend.Replenish, 1, "ja", "due")["due"]; len(got) != 1 || got[0].Reason != "そろそろなくなるころです" {
			t.Errorf("%+v", got)
		}
	})
}

func TestRecentlyViewed(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("a", "b", "c", "d", "e")
		s.catchUp()
		s.views(31, "x", "a")
		s.views(3, "x", "b")
		s.views(2, "x", "c")
		s.views(4, "x", "d")
		s.views(1, "x", "b")
		s.views(1, "x", "untold")
		s.views(5, "x", "e")
		s.buys(2, "x d e")
		s.buys(2, "x c") // bought when it was viewed
		s.views(1, "x", "e")
		if got := s.recommended(recommend.RecentlyViewed, 9, "x"); got != "b e" {
			t.Errorf("%s, want b e", got)
		}
	})
}

func TestProducts(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.tx(func(tx *store.Tx) error {
			_, err := tx.UpsertProducts(t.Context(), ns, []store.Product{
				{ID: "bare"},
				{ID: "full", Name: store.Value("緑茶"), Category: store.Value("tea"), Price: store.Value(1200*money.Unit + money.Unit/2), Stock: store.Value(int64(3)),
					URL: store.Value("https://shop.example/p"), ImageURL: store.Value("https://shop.example/i")},
			}, s.now)
			return err
		})
		products, err := recommend.Products(t.Context(), s.db, ns, []string{"full", "bare", "other"})
		must(t, err)
		full := products["full"]
		full.Reason = "because"
		if got, want := full.Data(), (map[string]any{"id": "full", "name": "緑茶", "category": "tea", "price": 1200.5, "stock": int64(3),
			"url": "https://shop.example/p", "image_url": "https://shop.example/i", "reason": "because"}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if got, want := products["bare"].Data(), (map[string]any{"id": "bare", "name": "bare"}); !reflect.DeepEqual(got, want) || len(products) != 2 {
			t.Errorf("got %v, want %v", got, want)
		}
		if none, err := recommend.Products(t.Context(), s.db, ns, nil); err != nil || len(none) != 0 {
			t.Error(none, err)
		}
	})
}

// counting counts statements.
type counting struct {
	store.Querier
	n int
}

func (c *counting) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.n++
	return c.Querier.Query(ctx, query, args...)
}

func (c *counting) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	c.n++
	return c.Querier.QueryRow(ctx, query, args...)
}

func TestStatementsDoNotDependOnCustomers(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		r := rand.New(rand.NewPCG(5, 5))
		for range 80 {
			s.live(r, 40, 30)
		}
		s.catchUp()
		var all []string
		for i := range 45 {
			all = append(all, fmt.Sprintf("c%02d", i))
		}
		for _, strategy := range recommend.Strategies {
			q := &counting{Querier: s.db}
			_, err := recommend.For(t.Context(), q, ns, strategy, 3, all, recommend.Options{Now: s.now})
			must(t, err)
			if q.n > 10 {
				t.Errorf("%s took %d statements", strategy, q.n)
			}
		}
	})
}

// TestWithinATransaction reads the same as outside.
func TestWithinATransaction(t *testing.T) {
	eachStore(t, func(t *testing.T, s *shop) {
		s.sells("a")
		s.buys(1, "x a")
		s.catchUp()
		must(t, s.db.ReadTx(t.Context(), func(tx *store.Tx) error {
			got, err := recommend.For(t.Context(), tx, ns, recommend.PopularInCategory, 1, []string{"y"}, recommend.Options{Now: s.now})
			if len(got["y"]) != 1 || got["y"][0].Reason != "Popular with our customers" {
				t.Errorf("got %v", got)
			}
			return err
		}))
	})
}
