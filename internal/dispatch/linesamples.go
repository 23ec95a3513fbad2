// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"maps"
	"slices"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// LineSample is a push of a Scenario as somebody could get it, with where it is in the spec.
type LineSample struct {
	content.LineSample
	// Path leads to what has messages, such as spec.steps[1].line, and Step is the step's name.
	Path, Step string
	// Channel is the ChannelConfig that sends it.
	Channel string
}

// LineSamples are all pushes of a Scenario: of its steps, their variants and their fallbacks.
func (e *Engine) LineSamples(ctx context.Context, ref Ref, rev *Revision) ([]LineSample, error) {
	var out []LineSample
	add := func(t *template, step *crm.Step, path string, through *crm.Fallback) error {
		if t == nil || t.line == nil || through == nil {
			return nil
		}
		_, channel := through.Through()
		data := rev.data(map[string]any{"id": "sample"}, nil, nil)
		if t.recommend != nil {
			data.Recommendations = sampleProducts(int(t.recommend.LimitOrDefault()))
		}
		links := content.Links{Signer: e.signer, Namespace: ref.Namespace, Message: journey.Key(ref.Namespace, ref.Name, "", "", "", step.Name), Clicks: true}
		sample, err := t.line.Sample(ctx, data, links)
		if err != nil {
			return fmt.Errorf("making a sample of step %s: %w", step.Name, err)
		}
		out = append(out, LineSample{LineSample: sample, Path: path, Step: step.Name, Channel: string(channel)})
		return nil
	}
	for i := range rev.Bundle.Spec.Steps {
		step := &rev.Bundle.Spec.Steps[i]
		t, known := rev.templates[step.Name]
		message := step.Message()
		if !known || message == nil {
			continue
		}
		kind, _ := message.Through()
		path := fmt.Sprintf("spec.steps[%d].%s", i, kind)
		if err := add(&t, step, path, message); err != nil {
			return nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(t.variants)) {
			v := t.variants[name]
			if err := add(&v, step, path+".variants, "+name+":", message); err != nil {
				return nil, err
			}
		}
		if instead := step.Instead(); instead != nil {
			if err := add(t.fallback, step, path+".fallback.line", instead); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// sampleProducts take the place of what is recommended.
func sampleProducts(n int) []map[string]any {
	products := make([]map[string]any, n)
	for i := range products {
		products[i] = map[string]any{
			"id": "sample", "name": "見本", "category": "見本", "price": 1000.0, "stock": int64(1), "reason": "見本",
			"url": "https://shop.example/sample", "image_url": "https://shop.example/sample.png",
		}
	}
	return products
}
