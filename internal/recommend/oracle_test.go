// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend_test

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// oracle says what is recommended, from all that is known of a shop and one customer after the other. It shares
// nothing with the room but the prediction of a date from a prior.
type oracle struct {
	*shop
	baskets map[string]map[string][]time.Time // when a customer bought a product
	said    map[string]map[string]item        // what the latest order said of it
	recent  map[string][]string               // the latest products of a customer
	buyers  map[string][]string               // of a product
	both    map[[2]string]float64             // how many have two products among their latest 50
}

const day = 24 * time.Hour

func newOracle(s *shop) *oracle {
	o := &oracle{s, map[string]map[string][]time.Time{}, map[string]map[string]item{}, map[string][]string{}, map[string][]string{}, map[[2]string]float64{}}
	var orders []*order
	for _, x := range s.orders {
		if status := strings.ToLower(x.status); status != "cancelled" && status != "refunded" {
			orders = append(orders, x)
		}
	}
	slices.SortFunc(orders, func(a, b *order) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	for _, x := range orders {
		if o.baskets[x.customer] == nil {
			o.baskets[x.customer], o.said[x.customer] = map[string][]time.Time{}, map[string]item{}
		}
		for _, it := range x.items {
			if it.product == "" {
				continue
			}
			o.baskets[x.customer][it.product] = append(o.baskets[x.customer][it.product], x.at)
			was := o.said[x.customer][it.product]
			o.said[x.customer][it.product] = item{it.product, cmp.Or(it.name, was.name), cmp.Or(it.category, was.category)}
		}
	}
	for customer, basket := range o.baskets {
		var ids []string
		for id := range basket {
			ids = append(ids, id)
			o.buyers[id] = append(o.buyers[id], customer)
		}
		slices.SortFunc(ids, func(a, b string) int { return cmp.Or(last(basket[b]).Compare(last(basket[a])), cmp.Compare(a, b)) })
		o.recent[customer] = ids
		for _, a := range upTo(ids, 50) {
			for _, b := range upTo(ids, 50) {
				o.both[[2]string{a, b}]++
			}
		}
	}
	return o
}

func last(times []time.Time) time.Time { return times[len(times)-1] }

func upTo[T any](values []T, n int) []T { return values[:min(n, len(values))] }

func (o *oracle) inStock(id string) bool {
	p := o.products[id]
	return p != nil && (p.stock == nil || *p.stock > 0)
}

func (o *oracle) categoryOf(customer, id string) string {
	if p := o.products[id]; p != nil && p.category != "" {
		return p.category
	}
	return o.said[customer][id].category
}

// score is that of a product's buyers, by the day that they last bought it.
func (o *oracle) score(id string) *big.Int {
	sum := new(big.Int)
	for _, customer := range o.buyers[id] {
		days := int64(last(o.baskets[customer][id]).Sub(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) / day)
		weight := new(big.Int).Exp(big.NewInt(2), big.NewInt(days/30), nil)
		sum.Add(sum, weight.Mul(weight, big.NewInt(int64(math.Round(math.Pow(2, float64(days%30)/30)*1048576)))))
	}
	return sum
}

// popular are all products in stock that somebody bought, of a category if there is one.
func (o *oracle) popular(category string) (ids []string) {
	for id := range o.products {
		if o.inStock(id) && len(o.buyers[id]) > 0 && (category == "" || o.products[id].category == category) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(o.score(b).Cmp(o.score(a)), cmp.Compare(a, b)) })
	return ids
}

type recommendation struct{ product, reason string }

// recommend is what a customer is recommended, in Japanese.
func (o *oracle) recommend(strategy string, limit int, customer string) []recommendation {
	var out []recommendation
	take := func(reason string, ids ...string) {
		for _, id := range ids {
			bought := o.baskets[customer][id] != nil
			if !bought && !slices.ContainsFunc(out, func(r recommendation) bool { return r.product == id }) {
				out = append(out, recommendation{id, reason})
			}
		}
	}
	inCategory := func() {
		if category := o.category(customer); category != "" {
			take(category+"カテゴリで人気です", o.popular(category)...)
		}
	}
	inShop := func() { take("人気の商品です", o.popular("")...) }
	switch strategy {
	case "BoughtTogether":
		for _, r := range o.together(customer) {
			take(r.reason, r.product)
		}
		inCategory()
		inShop()
	case "PopularInCategory":
		inCategory()
		inShop()
	case "NewArrivals":
		take("新着商品です", o.arrivals(customer)...)
		inShop()
	case "Replenish":
		for _, id := range o.refills(customer) {
			out = append(out, recommendation{id, "そろそろなくなるころです"})
		}
	case "RecentlyViewed":
		for _, id := range o.viewed(customer) {
			out = append(out, recommendation{id, "最近ご覧になった商品です"})
		}
	}
	return upTo(out, limit)
}

func (o *oracle) together(customer string) (out []recommendation) {
	similar, best, because := map[string]float64{}, map[string]float64{}, map[string]string{}
	for _, x := range upTo(o.recent[customer], 20) {
		type other struct {
			id   string
			both float64
		}
		var others []other
		for y := range o.buyers {
			if n := o.both[[2]string{x, y}]; y != x && n >= 2 {
				others = append(others, other{y, n})
			}
		}
		slices.SortFunc(others, func(a, b other) int { return cmp.Or(cmp.Compare(b.both, a.both), cmp.Compare(a.id, b.id)) })
		for _, y := range upTo(others, 50) {
			cosine := y.both / math.Sqrt(float64(len(o.buyers[x])*len(o.buyers[y.id])))
			similar[y.id] += cosine
			if cosine > best[y.id] || cosine == best[y.id] && x < because[y.id] {
				best[y.id], because[y.id] = cosine, x
			}
		}
	}
	for id := range similar {
		if !o.inStock(id) {
			continue
		}
		reason, called := "お買い上げの商品とよく一緒に選ばれています", o.said[customer][because[id]].name
		if p := o.products[because[id]]; p != nil {
			called = p.name
		}
		if called != "" {
			reason = "「" + called + "」をお買い上げの方に選ばれています"
		}
		out = append(out, recommendation{id, reason})
	}
	slices.SortFunc(out, func(a, b recommendation) int {
		if x, y := similar[a.product], similar[b.product]; math.Abs(x-y) > 1e-9 {
			return cmp.Compare(y, x)
		}
		return cmp.Compare(a.product, b.product)
	})
	return out
}

func (o *oracle) category(customer string) string {
	for _, id := range upTo(o.recent[customer], 20) {
		if category := o.categoryOf(customer, id); category != "" {
			return category
		}
	}
	times := map[string]int{}
	for _, e := range o.events {
		if p := o.products[e.product]; e.customer == customer && o.now.Sub(e.at) < 30*day && p != nil && p.category != "" {
			times[p.category]++
		}
	}
	most := ""
	for _, category := range []string{"cup", "pot", "tea"} {
		if times[category] > times[most] {
			most = category
		}
	}
	return most
}

func (o *oracle) arrivals(customer string) []string {
	var ids []string
	for id, p := range o.products {
		if o.inStock(id) && o.now.Sub(p.created) < 60*day {
			ids = append(ids, id)
		}
	}
	own := func(id string) int {
		for bought := range o.baskets[customer] {
			if category := o.categoryOf(customer, bought); category != "" && category == o.products[id].category {
				return 0
			}
		}
		return 1
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(own(a), own(b)), o.products[b].created.Compare(o.products[a].created), cmp.Compare(a, b))
	})
	return ids
}

func (o *oracle) viewed(customer string) []string {
	seen := map[string]time.Time{}
	for _, e := range o.events {
		if e.customer == customer && o.now.Sub(e.at) < 30*day && e.at.After(seen[e.product]) {
			seen[e.product] = e.at
		}
	}
	var ids []string
	for id, at := range seen {
		times := o.baskets[customer][id]
		if o.inStock(id) && (len(times) == 0 || last(times).Before(at)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(seen[b].Compare(seen[a]), cmp.Compare(a, b)) })
	return ids
}

// intervals are the logarithms of those between purchases; orders less than a day apart are one.
func intervals(times []time.Time) (logs []float64) {
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap >= day {
			logs = append(logs, math.Log(gap.Hours()/24))
		}
	}
	return logs
}

func (o *oracle) refills(customer string) (ids []string) {
	at := map[string]time.Time{}
	for id, times := range o.baskets[customer] {
		repeaters := 0
		for _, other := range o.buyers[id] {
			if len(intervals(o.baskets[other][id])) > 0 {
				repeaters++
			}
		}
		own := intervals(times)
		if !o.inStock(id) || len(own) == 0 && repeaters*10 < len(o.buyers[id]) {
			continue
		}
		// Of the product, else of those of its category, else of all.
		category := o.products[id].category
		prior, ok := o.prior(func(other string) bool { return other == id })
		if !ok && category != "" {
			prior, ok = o.prior(func(other string) bool { return o.products[other] != nil && o.products[other].category == category })
		}
		if !ok {
			prior, ok = o.prior(func(string) bool { return true })
		}
		if !ok {
			continue
		}
		sum := 0.0
		for _, x := range own {
			sum += x
		}
		days := math.Exp((sum + prior.K*prior.Centre) / (float64(len(own)) + prior.K))
		length := time.Duration(days * float64(day)).Truncate(time.Millisecond)
		due := last(times).Add(length)
		if due.Sub(o.now) <= 7*day && o.now.Sub(due) <= length {
			ids, at[id] = append(ids, id), due
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(at[a].Compare(at[b]), cmp.Compare(a, b)) })
	return ids
}

// prior is the mean of products' intervals, and a one-way analysis of their variance, customers and products the groups.
func (o *oracle) prior(of func(product string) bool) (p replenish.Prior, ok bool) {
	var groups [][]float64
	all, sum := 0.0, 0.0
	for _, basket := range o.baskets {
		for id, times := range basket {
			if logs := intervals(times); of(id) && len(logs) > 0 {
				groups = append(groups, logs)
				for _, x := range logs {
					all, sum = all+1, sum+x
				}
			}
		}
	}
	if all < 20 {
		return p, false
	}
	p = replenish.Prior{Centre: sum / all, Within: 1, K: 3}
	count := float64(len(groups))
	if all-count < 20 || count < 20 {
		return p, true
	}
	inside, between, squares := 0.0, 0.0, 0.0
	for _, logs := range groups {
		mean := 0.0
		for _, x := range logs {
			mean += x / float64(len(logs))
		}
		for _, x := range logs {
			inside += (x - mean) * (x - mean)
		}
		between += float64(len(logs)) * (mean - p.Centre) * (mean - p.Centre)
		squares += float64(len(logs) * len(logs))
	}
	p.Within = inside / (all - count)
	variance := (between/(count-1) - p.Within) / ((all - squares/all) / (count - 1))
	p.Within = min(max(p.Within, 0.01), 4)
	p.K = 20
	if variance > 0 {
		p.K = min(max(p.Within/variance, 0.2), 20)
	}
	return p, true
}
