// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// furtherEntry is somebody whom a step lets in to another scenario.
type furtherEntry struct {
	scenario, customer, ref, facts string
	at                             time.Time
}

// entryFrom names, in an entry, the scenario whose step let in.
const entryFrom = "scenario"

// act does what steps do that send nothing. It happens in the transaction that moves the customer on,
// and so once.
func (b *batch) act(ctx context.Context, t *traveller, steps []*journey.Step) error {
	for _, s := range steps {
		switch s.Kind {
		case journey.KindUpdate:
			if t.gone {
				continue // and does not come back for it
			}
			attributes, err := b.attributes(ctx, t, s)
			if err != nil {
				return err
			}
			if attributes != nil {
				b.updates = append(b.updates, store.Customer{ID: t.customer, Attributes: attributes})
			}
		case journey.KindEnter:
			facts := maps.Clone(t.facts.Entry)
			if facts == nil {
				facts = map[string]any{}
			}
			facts[entryFrom] = b.ref.Name
			delete(facts, journey.EntryProductNow) // there it is another now
			text, err := json.Marshal(facts)
			if err != nil {
				return fmt.Errorf("writing what lets in to %s: %w", s.Enters, err)
			}
			b.entries = append(b.entries, furtherEntry{s.Enters, t.customer, b.ref.Name + "/" + b.epoch + "/" + t.entry + "/" + s.Name, string(text), b.now})
		}
	}
	return nil
}

// attributes are what an update writes; nil where the customer lacks what its templates need.
func (b *batch) attributes(ctx context.Context, t *traveller, s *journey.Step) (map[string]json.RawMessage, error) {
	values, err := b.rev.templates[s.Name].update.Render(ctx, b.rev.data(t.facts.Customer, t.facts.Entry, t.facts.Coupon))
	var missing *content.MissingValueError
	if errors.As(err, &missing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("making the attributes of step %s: %w", s.Name, err)
	}
	out := make(map[string]json.RawMessage, len(values))
	for name, value := range values {
		out[name] = json.RawMessage("null")
		if value == "" {
			continue
		}
		if out[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("writing the attributes of step %s: %w", s.Name, err)
		}
	}
	return out, nil
}

func (b *batch) writeActs(ctx context.Context, tx *store.Tx) error {
	if len(b.updates) > 0 {
		if _, err := tx.UpsertCustomers(ctx, b.ref.Namespace, b.updates, b.now); err != nil {
			return fmt.Errorf("updating customers: %w", err)
		}
	}
	byScenario := map[string][]store.Arrival{}
	for _, e := range b.entries {
		byScenario[e.scenario] = append(byScenario[e.scenario], store.Arrival{Ref: e.ref, Customer: e.customer, At: e.at, Facts: json.RawMessage(e.facts)})
	}
	for scenario, arrivals := range byScenario {
		if err := tx.Enter(ctx, b.ref.Namespace, scenario, arrivals); err != nil {
			return err
		}
	}
	return nil
}
