// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/recommend"
)

// notReadyWait is how long a message waits for recommendations that are being worked out for the first time.
const notReadyWait = time.Second

// prepare fills in what the messages of a page are made with beside their own rows: their revision's template,
// and the products that they show. What costs a query costs one for all of them.
func (e *Engine) prepare(ctx context.Context, letters []letter) error {
	for i := range letters {
		if err := e.find(ctx, &letters[i]); err != nil {
			return err
		}
	}
	if err := e.fillReplies(ctx, letters); err != nil {
		return err
	}
	if err := e.prefer(ctx, letters); err != nil {
		return err
	}
	for i := range letters {
		letters[i].chooseTemplate()
	}
	if err := e.fillProducts(ctx, letters); err != nil {
		return err
	}
	return e.fillRecommendations(ctx, letters)
}

// find finds the step of a message in the revision that planned it.
func (e *Engine) find(ctx context.Context, l *letter) error {
	rev, err := e.revisions.get(ctx, l.ref.Namespace, l.ref.Name, l.revision)
	if errors.Is(err, errNoRevision) {
		l.unmade = ReasonRevisionGone
		return nil
	}
	if err != nil {
		return err
	}
	step, known := rev.Journey.Step(l.step)
	if !known {
		l.unmade = ReasonStepGone
		return nil
	}
	l.rev, l.planned = rev, step
	if l.let, err = journey.ReadEntry(l.entry); err != nil {
		l.unmade = ReasonRenderFailed // one customer's rows must not stop the others
	}
	return nil
}

// chooseTemplate is the template of the message's variant, or of the fallback that goes out instead.
func (l *letter) chooseTemplate() {
	if l.unmade != "" {
		return
	}
	t := l.rev.templates[l.step]
	if v, ok := t.variants[l.variant]; ok {
		t = v
	}
	if l.fellBack != "" {
		if t.fallback == nil {
			l.unmade = ReasonStepGone
			return
		}
		t = *t.fallback
	}
	l.template = t
	if until := l.coupon.until; !until.IsZero() && until.Before(l.expires) && t.uses("coupon") {
		l.expires = until // what it offers is over then
	}
}

// fillProducts adds, for templates that read it, the product that an entry names.
func (e *Engine) fillProducts(ctx context.Context, letters []letter) error {
	var entries []map[string]any
	var ns string
	for i := range letters {
		l := &letters[i]
		// A product that the event itself brought is not the shop's word, and its address not the shop's.
		if _, ok := l.let[journey.EntryProductNow].(map[string]any); ok {
			delete(l.let, journey.EntryProductNow)
		}
		if l.unmade == "" && !l.resting && l.template.uses("entry."+journey.EntryProductNow) {
			entries, ns = append(entries, l.let), l.ref.Namespace
		}
	}
	return addProducts(ctx, e.store, ns, entries)
}

// fillRecommendations works out what the messages recommend, those of one step together.
func (e *Engine) fillRecommendations(ctx context.Context, letters []letter) error {
	of := map[*crm.Recommend][]*letter{}
	for i := range letters {
		if l := &letters[i]; l.unmade == "" && !l.resting && l.template.recommend != nil {
			of[l.template.recommend] = append(of[l.template.recommend], l)
		}
	}
	for what, together := range of {
		ids := make([]string, len(together))
		for i, l := range together {
			ids[i] = l.customer
		}
		found, err := e.recommend(ctx, together[0].ref.Namespace, together[0].rev, what, ids)
		for _, l := range together {
			switch {
			case errors.Is(err, recommend.ErrNotReady):
				l.notReady = true
			case err != nil:
				return err
			default:
				l.recommended = found[l.customer]
			}
		}
	}
	return nil
}

// recommend gives, for each of these customers, the products that a message recommends; none where there are
// none for them.
func (e *Engine) recommend(ctx context.Context, ns string, rev *Revision, what *crm.Recommend, customers []string) (map[string][]map[string]any, error) {
	slices.Sort(customers)
	customers = slices.Compact(customers)
	found, err := recommend.For(ctx, e.store, ns, what.Strategy, int(what.LimitOrDefault()), customers,
		recommend.Options{Now: e.clock.Now(), Language: rev.Bundle.Shop.Language})
	if err != nil {
		return nil, fmt.Errorf("recommending products: %w", err)
	}
	out := make(map[string][]map[string]any, len(customers))
	for _, id := range customers {
		out[id] = []map[string]any{} // none, and not unknown
		for _, p := range found[id] {
			out[id] = append(out[id], p.Data())
		}
	}
	return out, nil
}

// Recommending names the namespaces of Scenarios whose messages recommend products.
func (e *Engine) Recommending() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	of := map[string]bool{}
	for ref, a := range e.armed {
		if a.Compiled.recommends() {
			of[ref.Namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(of))
}
