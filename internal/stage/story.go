// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/ingest"
)

// A Story is what happens in a shop, and which messages come of it. It is written as YAML; times are RFC
// 3339, and those of messages are compared to the minute.
type Story struct {
	// Begins is when the resources are applied.
	Begins time.Time `json:"begins"`
	// Imports are what the shop knows by then, one after the other.
	Imports []Import `json:"imports,omitempty"`
	// Then is what happens next.
	Then  []Scene   `json:"then,omitempty"`
	Until time.Time `json:"until"`
	// Messages are all that go out.
	Messages []Message `json:"messages"`
	// Skipped are all that were due and did not go out. Those of steps whose condition was false need not
	// be named. Without the list, any may be skipped.
	Skipped []Skip `json:"skipped,omitempty"`
}

// Import is CSV by the kind of its rows, as `kaeru import` takes it.
type Import map[string]string

// A Scene is what happens at a moment.
type Scene struct {
	At           time.Time  `json:"at"`
	Import       Import     `json:"import,omitempty"`
	Track        *Event     `json:"track,omitempty"`
	Opens        *Reaction  `json:"opens,omitempty"`
	Clicks       *Reaction  `json:"clicks,omitempty"`
	Unsubscribes *Reaction  `json:"unsubscribes,omitempty"`
	Line         *LineEvent `json:"line,omitempty"`
}

// LineEvent is something that a customer does in LINE.
type LineEvent struct {
	// Customer is one whose LINE user id is imported, or the user id itself of somebody unknown.
	Customer string `json:"customer"`
	// Type is follow, unfollow, message or postback, with Text or Data.
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
	Data string `json:"data,omitempty"`
}

// Event is something that a customer does in the shop.
type Event struct {
	Customer   string          `json:"customer"`
	Event      string          `json:"event"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// Reaction is what a customer does with the latest message of a step.
type Reaction struct {
	Customer string `json:"customer"`
	Step     string `json:"step"`
	// Scenario need not be named where no other has a step of the name.
	Scenario string `json:"scenario,omitempty"`
}

// Message is one that goes out.
type Message struct {
	At   time.Time `json:"at"`
	To   string    `json:"to"`
	Step string    `json:"step"`
	// Channel is email, line or sms.
	Channel string `json:"channel"`
	// Says are texts that the customer finds in it.
	Says     []string `json:"says,omitempty"`
	Scenario string   `json:"scenario,omitempty"`
	Variant  string   `json:"variant,omitempty"`
}

// Skip is a message that does not go out.
type Skip struct {
	At       time.Time `json:"at"`
	To       string    `json:"to"`
	Step     string    `json:"step"`
	Reason   string    `json:"reason"`
	Scenario string    `json:"scenario,omitempty"`
}

// ReadStory reads a file. What it does not know is an error.
func ReadStory(file string) (*Story, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a story: %w", err)
	}
	var s Story
	if err := yaml.UnmarshalStrict(text, &s); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &s, nil
}

func (s *Story) check() error {
	var wrong []error
	within := func(what string, at time.Time) {
		if at.Before(s.Begins) || at.After(s.Until) {
			wrong = append(wrong, fmt.Errorf("%s: at %s is not between begins and until", what, at.Format(time.RFC3339)))
		}
	}
	last := s.Begins
	for i := range s.Then {
		what := fmt.Sprintf("then[%d]", i)
		within(what, s.Then[i].At)
		if s.Then[i].At.Before(last) {
			wrong = append(wrong, fmt.Errorf("%s is earlier than what comes before it", what))
		}
		last = s.Then[i].At
		if s.Then[i].empty() {
			wrong = append(wrong, fmt.Errorf("%s: nothing happens: write import, track, opens, clicks, unsubscribes or line", what))
		}
		wrong = append(wrong, s.Then[i].Import.check(what+".import"))
	}
	for i := range s.Imports {
		wrong = append(wrong, s.Imports[i].check(fmt.Sprintf("imports[%d]", i)))
	}
	for i := range s.Messages {
		within(fmt.Sprintf("messages[%d]", i), s.Messages[i].At)
	}
	for i := range s.Skipped {
		within(fmt.Sprintf("skipped[%d]", i), s.Skipped[i].At)
	}
	return errors.Join(wrong...)
}

func (s *Scene) empty() bool {
	return s.Import == nil && s.Track == nil && s.Opens == nil && s.Clicks == nil && s.Unsubscribes == nil && s.Line == nil
}

func (m Import) check(what string) error {
	for kind := range m {
		if err := ingest.CheckKind(kind); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	return nil
}
