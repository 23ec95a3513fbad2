// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kaeru-dev/kaeru/internal/replenish"
)

// guess is a date predicted for a customer, in days after the last purchase.
type guess struct{ days, confidence float64 }

// methods are what is compared, in the order of the table. At a purchase no date has passed, and those
// that differ in what they make of that are the same.
var (
	methodsAtPurchase = []string{"shop's median", "own median", "model"}
	methods           = []string{"shop's median", "own median", "model, not renewed", "shop's median, or today", "own median, or today", "model"}
)

// score is what one method came to.
type score struct {
	errors     []float64
	right      int
	confidence float64
	// Whom it expects within two weeks, and who of them came.
	expected, came int
}

// trial is one way to ask, with a score for each method.
type trial struct {
	title   string
	methods []string
	asked   int // customers, or purchases
	never   int // of them were not followed by a purchase
	came    int // of them were, within two weeks
	scores  map[string]*score
	// By tenths of the model's confidence.
	tenths [10]struct {
		asked, back, right int
		confidence         float64
	}
}

const window = 14 // days

// judge prints what each method predicts at the cut, and at each purchase of the 60 days after it.
func judge(w io.Writer, customers [][]int64, day time.Time) error {
	cut := day.UnixMilli()
	prior, median, err := learn(customers, cut)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n## %s: %d intervals before it, median %.0f days, within %.2f, k %.2f\n",
		day.Format(time.DateOnly), prior.Intervals, median, prior.Within, prior.K)
	all := &trial{methods: methods, title: "at the cut, all customers"}
	again := &trial{methods: methods, title: "at the cut, those with an interval"}
	several := &trial{methods: methods, title: "at the cut, those with five intervals"}
	atPurchase := &trial{methods: methodsAtPurchase, title: "at each purchase of the next 60 days"}
	atPurchaseSeveral := &trial{methods: methodsAtPurchase, title: "at each purchase of the next 60 days, those with five intervals"}
	for _, purchases := range customers {
		known := before(purchases, cut)
		if known > 0 {
			all.ask(prior, median, purchases, known, cut)
		}
		if known > 1 {
			again.ask(prior, median, purchases, known, cut)
		}
		if known > 5 {
			several.ask(prior, median, purchases, known, cut)
		}
		for ; known < len(purchases) && purchases[known] < cut+60*replenish.Day; known++ {
			atPurchase.ask(prior, median, purchases, known+1, purchases[known])
			if known >= 5 {
				atPurchaseSeveral.ask(prior, median, purchases, known+1, purchases[known])
			}
		}
	}
	for _, t := range []*trial{all, again, several, atPurchase, atPurchaseSeveral} {
		t.print(w)
	}
	return nil
}

// ask predicts the purchase after the known ones, at now.
func (t *trial) ask(prior replenish.Prior, median float64, purchases []int64, known int, now int64) {
	last := purchases[known-1]
	stayed := float64(now-last) / replenish.Day
	next := math.Inf(1)
	if known < len(purchases) {
		next = float64(purchases[known]-last) / replenish.Day
	}
	if t.scores == nil {
		t.scores = map[string]*score{}
	}
	t.asked++
	if next-stayed < window {
		t.came++
	}
	if math.IsInf(next, 1) {
		t.never++
	}
	guesses := guessAll(prior, median, purchases[:known], now)
	for method, g := range guesses {
		s := t.scores[method]
		if s == nil {
			s = &score{}
			t.scores[method] = s
		}
		s.add(g, stayed, next)
	}
	if g, ok := guesses["model"]; ok {
		tenth := &t.tenths[min(int(g.confidence*10), 9)]
		tenth.asked++
		if !math.IsInf(next, 1) {
			tenth.back++
			tenth.confidence += g.confidence
		}
		if math.Abs(next-g.days) <= replenish.Tolerance {
			tenth.right++
		}
	}
}

func (s *score) add(g guess, stayed, next float64) {
	if g.days >= stayed && g.days < stayed+window {
		s.expected++
		if next < stayed+window {
			s.came++
		}
	}
	if math.IsInf(next, 1) {
		return
	}
	off := math.Abs(next - g.days)
	s.errors = append(s.errors, off)
	s.confidence += g.confidence
	if off <= replenish.Tolerance {
		s.right++
	}
}

func guessAll(prior replenish.Prior, median float64, known []int64, now int64) map[string]guess {
	var history replenish.History
	var intervals []float64
	for i, at := range known {
		history.Add(at)
		if i > 0 {
			intervals = append(intervals, float64(at-known[i-1])/replenish.Day)
		}
	}
	own := median
	if len(intervals) > 0 {
		own = medianOf(intervals)
	}
	stayed := float64(now-history.LastAt) / replenish.Day
	guesses := map[string]guess{
		"shop's median": {days: median}, "shop's median, or today": {days: max(median, stayed)},
		"own median": {days: own}, "own median, or today": {days: max(own, stayed)},
	}
	add := func(method string, p replenish.Prediction, ok bool) {
		if ok {
			guesses[method] = guess{float64(p.DueAt-history.LastAt) / replenish.Day, p.Confidence}
		}
	}
	p, ok := prior.After(history, 0)
	add("model, not renewed", p, ok)
	p, ok = prior.Predict(history, now)
	add("model", p, ok)
	return guesses
}

func (t *trial) print(w io.Writer) {
	fmt.Fprintf(w, "\n### %s: %d, of which %d were not followed by a purchase; %.1f %% were within %d days\n\n",
		t.title, t.asked, t.never, percent(t.came, t.asked), window)
	fmt.Fprintln(w, "| predicted by | judged | mean error | median error | within 7 days | its confidence | due in 14 days | of them came |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for _, method := range t.methods {
		s := t.scores[method]
		if s == nil || len(s.errors) == 0 {
			continue
		}
		sum := 0.0
		for _, e := range s.errors {
			sum += e
		}
		n := len(s.errors)
		confidence := ""
		if s.confidence > 0 {
			confidence = fmt.Sprintf("%.1f %%", 100*s.confidence/float64(n))
		}
		fmt.Fprintf(w, "| %s | %d | %.1f | %.1f | %.1f %% | %s | %d | %.1f %% |\n",
			method, n, sum/float64(n), medianOf(s.errors), percent(s.right, n), confidence, s.expected, percent(s.came, s.expected))
	}
	fmt.Fprintln(w, "\n| model's confidence | of those who came back: said | were right | of all: were right |\n|---|---|---|---|")
	for i, tenth := range t.tenths {
		if tenth.back > 0 {
			fmt.Fprintf(w, "| %d-%d %% (%d) | %.1f %% | %.1f %% | %.1f %% |\n", 10*i, 10*i+10, tenth.back,
				100*tenth.confidence/float64(tenth.back), percent(tenth.right, tenth.back), percent(tenth.right, tenth.asked))
		}
	}
}

func percent(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(part) / float64(of)
}
