// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/evidence"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// decideEvery is how often the experiments of a scenario are looked at, on machine time.
const decideEvery = 20 * time.Second

// The metrics that a variant wins by.
const (
	metricOpened    = "Opened"
	metricClicked   = "Clicked"
	metricConverted = "Converted"
)

// verdicts are the winners of a scenario's steps, by step and test.
type verdicts map[[2]string]string

// verdictsOf reads the winners that were found so far.
func (e *Engine) verdictsOf(ctx context.Context, q store.Querier, ref Ref, epoch string) (_ verdicts, err error) {
	rows, err := q.Query(ctx, `SELECT step, test, variant FROM verdicts WHERE ns = $1 AND scenario = $2 AND epoch = $3`, ref.Namespace, ref.Name, epoch)
	if err != nil {
		return nil, fmt.Errorf("reading the verdicts of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := verdicts{}
	for rows.Next() {
		var key [2]string
		var variant string
		if err := rows.Scan(&key[0], &key[1], &variant); err != nil {
			return nil, fmt.Errorf("reading the verdicts of scenario %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		out[key] = variant
	}
	return out, rows.Err()
}

// VariantCounts are one variant's messages.
type VariantCounts struct{ Sent, Opened, Clicked, Converted int64 }

// did is how many did what a metric counts.
func (c VariantCounts) did(metric string) int64 {
	return map[string]int64{metricOpened: c.Opened, metricClicked: c.Clicked, metricConverted: c.Converted}[metric]
}

// Variants counts the messages of a step's variants.
func (e *Engine) Variants(ctx context.Context, ref Ref, epoch, step string) (_ map[string]VariantCounts, err error) {
	rows, err := e.store.Query(ctx, `SELECT variant, COUNT(*), COUNT(opened_at), COUNT(clicked_at), COUNT(converted_at) FROM messages
WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND step = $4 AND state = 'sent' AND variant IS NOT NULL GROUP BY variant`, ref.Namespace, ref.Name, epoch, step)
	if err != nil {
		return nil, fmt.Errorf("counting the variants of step %s: %w", step, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[string]VariantCounts{}
	for rows.Next() {
		var name string
		var c VariantCounts
		if err := rows.Scan(&name, &c.Sent, &c.Opened, &c.Clicked, &c.Converted); err != nil {
			return nil, fmt.Errorf("counting the variants of step %s: %w", step, err)
		}
		out[name] = c
	}
	return out, rows.Err()
}

// Verdicts are the variants that won, by step.
func (e *Engine) Verdicts(ctx context.Context, a Armed) (map[string]string, error) {
	if !a.Compiled.Journey.Decides() {
		return nil, nil
	}
	found, err := e.verdictsOf(ctx, e.store, a.Ref, a.Epoch)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range a.Compiled.Journey.Steps {
		s := &a.Compiled.Journey.Steps[i]
		if s.Experiment != nil {
			if v := found[[2]string{s.Name, s.Experiment.Test}]; v != "" {
				out[s.Name] = v
			}
		}
	}
	return out, nil
}

// decide looks whether a variant has won. Who gets the step from then on gets that one.
func (e *Engine) decide(ctx context.Context, a *armed) error {
	if time.Since(a.decided) < decideEvery || !a.Compiled.Journey.Decides() {
		return nil
	}
	a.decided = time.Now()
	found, err := e.verdictsOf(ctx, e.store, a.Ref, a.Epoch)
	if err != nil {
		return err
	}
	for i := range a.Compiled.Journey.Steps {
		s := &a.Compiled.Journey.Steps[i]
		if s.Experiment == nil || s.Experiment.Winner == nil || found[[2]string{s.Name, s.Experiment.Test}] != "" {
			continue
		}
		counts, err := e.Variants(ctx, a.Ref, a.Epoch, s.Name)
		if err != nil {
			return err
		}
		w := s.Experiment.Winner
		least := w.MinRecipientsOrDefault()
		var groups []evidence.Group
		enough := true
		for _, v := range s.Experiment.Variants {
			c := counts[v.Name]
			enough = enough && c.Sent >= least
			groups = append(groups, evidence.Group{Size: c.Sent, Did: c.did(w.Metric)})
		}
		if !enough {
			continue
		}
		best := evidence.Winner(groups, least, w.ConfidenceOrDefault().Fraction())
		if best < 0 {
			continue
		}
		if _, err := e.store.Exec(ctx, `INSERT INTO verdicts (ns, scenario, epoch, step, test, variant, decided_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (ns, scenario, epoch, step, test) DO NOTHING`, a.Namespace, a.Name, a.Epoch, s.Name, s.Experiment.Test, s.Experiment.Variants[best].Name, store.Millis(e.clock.Now())); err != nil {
			return fmt.Errorf("recording which variant of step %s won: %w", s.Name, err)
		}
		e.notify(a.Ref)
	}
	return nil
}

// prefer gives messages that were planned before their step's experiment was decided the variant that won.
// Nobody has seen another of theirs: those whose sending began keep what they have.
func (e *Engine) prefer(ctx context.Context, letters []letter) error {
	of := map[string]verdicts{}
	changed := map[string][]string{} // messages, by the variant that they get
	for i := range letters {
		l := &letters[i]
		if l.variant == "" || l.state != StatePlanned || l.attempts > 0 {
			continue
		}
		if l.planned == nil || l.planned.Experiment == nil || l.planned.Experiment.Winner == nil {
			continue
		}
		if of[l.epoch] == nil {
			var err error
			if of[l.epoch], err = e.verdictsOf(ctx, e.store, l.ref, l.epoch); err != nil {
				return err
			}
		}
		if won := of[l.epoch][[2]string{l.step, l.planned.Experiment.Test}]; won != "" && won != l.variant {
			changed[won] = append(changed[won], l.id)
			l.variant = won
		}
	}
	d := e.store.Dialect()
	for won, ids := range changed {
		if _, err := e.store.Exec(ctx, `UPDATE messages SET variant = $1 WHERE state = 'planned' AND attempts = 0 AND id `+d.AnyUUID(2), won, store.List(d, ids)); err != nil {
			return fmt.Errorf("giving messages the variant that won: %w", err)
		}
	}
	return nil
}
