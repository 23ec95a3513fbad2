// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"time"

	"github.com/google/uuid"
)

// keySpace is the namespace of message keys. Changing it would send everything again.
var keySpace = uuid.MustParse("5d0c2f0a-9f0e-5f0e-8f6b-6b6165727500")

// Key is the one key of one message. It does not hang on the resource's UID: a replaced or
// re-created Scenario must not send again.
func Key(namespace, scenario, epoch, customer, entry, step string) uuid.UUID {
	size := 0
	parts := [...]string{namespace, scenario, epoch, customer, entry, step}
	for _, p := range parts {
		size += len(p) + 1
	}
	name := make([]byte, 0, size)
	for _, p := range parts {
		name = append(name, p...)
		name = append(name, 0) // none of the parts can hold a zero byte
	}
	return uuid.NewSHA1(keySpace, name)
}

// StepResult is what became of one step's message.
type StepResult struct {
	Sent, Delivered, Opened, Clicked, Failed, Skipped bool
	At                                                time.Time
}

// Facts are what a decision rests on.
type Facts struct {
	Now time.Time
	// Customer are the attributes, with id, email, phone and line_user_id among them.
	Customer map[string]any
	// Entry is the event or date that let the customer in.
	Entry map[string]any
	// Coupon is the one that the entry was given: code, pool and expires_at.
	Coupon map[string]any
	// Steps are the steps that had a message so far, by name.
	Steps map[string]StepResult
	// Converted says that the goal was reached.
	Converted bool
	// OutOfSegment says that the customer is not in the scenario's segment.
	OutOfSegment bool
	// Dates are those in the customer's life that waits end by, where there are any.
	Dates map[DateKey]time.Time
	// Happened is when the event that the customer waits for happened; zero where it has not.
	Happened time.Time
	// Unsubscribed says that the customer withdrew a consent after entering.
	Unsubscribed bool
}

// activation is what an expression sees. A step that it names and that had no message, because it was
// added after the customer had passed, is one that nothing came of.
func (f Facts) activation(named []string) map[string]any {
	steps := make(map[string]map[string]any, len(f.Steps)+len(named))
	for _, name := range named {
		steps[name] = StepResult{}.facts()
	}
	for name, s := range f.Steps {
		steps[name] = s.facts()
	}
	return map[string]any{
		"customer": orEmpty(f.Customer),
		"entry":    orEmpty(f.Entry),
		"coupon":   orEmpty(f.Coupon),
		"goal":     map[string]any{"reached": f.Converted},
		"steps":    steps,
		"now":      f.Now,
	}
}

func (s StepResult) facts() map[string]any {
	m := map[string]any{
		"sent": s.Sent, "delivered": s.Delivered, "opened": s.Opened, "clicked": s.Clicked,
		"failed": s.Failed, "skipped": s.Skipped,
	}
	if !s.At.IsZero() {
		m["at"] = s.At
	}
	return m
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
