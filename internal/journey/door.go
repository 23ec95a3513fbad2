// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// Door decides who enters a scenario, and as which entry.
type Door struct {
	// Late is how old a fact may be that lets somebody in; zero for as old as it likes.
	Late time.Duration
	// Cooldown is how long after the end of their way a customer stays out, with Again.
	Cooldown time.Duration
	// Again lets a customer in once more who is not under way.
	Again bool

	where   map[string]crm.PropertyValues
	key     string
	holdout int32
}

// What every entry says, whatever let it in.
const (
	// EntryAt is when it happened, as RFC 3339.
	EntryAt = "at"
	// EntryEvent is the name of the event.
	EntryEvent = "event"
	// EntrySegment is the segment that was entered.
	EntrySegment = "segment"
)

// entryFacts are what a customer's entry says by each trigger; nil where that depends on the fact.
func entryFacts(t *crm.Trigger) []string {
	switch {
	case t.Schedule != nil:
		return []string{EntryAt}
	case t.SegmentEntry != nil:
		return []string{EntryAt, EntrySegment}
	case t.Date != nil && (t.Date.Of == crm.DateNextDelivery || t.Date.Of == crm.DateSubscriptionRenewal):
		return []string{EntryAt, EntryDate, EntrySubscription, EntryPlan}
	case t.Date != nil && t.Date.Of == crm.DateCouponExpiry:
		return []string{EntryAt, EntryDate, EntryCode, EntryPool}
	case t.Date != nil:
		return []string{EntryAt, EntryDate}
	}
	return nil
}

func compileDoor(spec *crm.ScenarioSpec) (*Door, error) {
	d := &Door{}
	if e := spec.Trigger.Event; e != nil {
		d.Late, d.where = e.StartingDeadlineOrDefault(), e.Where
	}
	if e := spec.Trigger.ProductEvent; e != nil {
		d.Late, d.where = e.StartingDeadlineOrDefault(), e.Where
	}
	if t := spec.Trigger.Date; t != nil {
		d.Late = t.StartingDeadlineOrDefault()
	}
	if spec.Holdout != nil {
		d.holdout = spec.Holdout.Percent
	}
	switch r := spec.Reentry; spec.ReentryPolicyOrDefault() {
	case crm.ReentryAfterExit:
		d.Again, d.Cooldown = true, r.Cooldown.Duration()
	case crm.ReentryAlways:
		d.key = r.Key
		if known := entryFacts(&spec.Trigger); known != nil && !slices.Contains(known, r.Key) {
			return nil, &Error{Path: "spec.reentry.key", Message: fmt.Sprintf("%q is not something that this trigger's entries have: it is one of %s", r.Key, strings.Join(known, ", "))}
		}
	}
	return d, nil
}

// Entry is a fact that may let a customer in.
type Entry struct {
	Customer string
	// Ref is what the fact is among its kind: an event's id, an order's, a slot.
	Ref string
	At  time.Time
	// Facts are what the fact says. Admit adds what every entry says.
	Facts map[string]any
}

// Reasons why a fact lets nobody in.
const (
	ReasonLate    = "Late"
	ReasonWhere   = "WhereFalse"
	ReasonNoKey   = "NoKey"
	maxKey        = 200
	hashedKeySign = "#"
)

// Admit decides about a fact: under which key the customer enters, which tells it from other entries of
// theirs, or for which reason nobody does. Who is under way or was in before is not known here.
func (d *Door) Admit(e *Entry, now time.Time) (key, reason string) {
	if d.Late > 0 && now.Sub(e.At) > d.Late {
		return "", ReasonLate
	}
	for name, values := range d.where {
		if !isOneOf(e.Facts[name], values) {
			return "", ReasonWhere
		}
	}
	return d.Key(e)
}

// Key is Admit for an entry that was judged already.
func (d *Door) Key(e *Entry) (key, reason string) {
	switch {
	case d.Again:
		return keyOf(e.Ref), ""
	case d.key == "":
		return "", ""
	}
	text := textOf(e.Facts[d.key])
	if text == "" {
		return "", ReasonNoKey
	}
	return keyOf(text), ""
}

// keyOf is a key that is not longer than an index may hold.
func keyOf(text string) string {
	if len(text) <= maxKey && !strings.HasPrefix(text, hashedKeySign) && !strings.ContainsRune(text, 0) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hashedKeySign + hex.EncodeToString(sum[:])
}

// isOneOf compares a value, or each of a list, as text.
func isOneOf(value any, values []string) bool {
	if list, ok := value.([]any); ok {
		return slices.ContainsFunc(list, func(v any) bool { return isOneOf(v, values) })
	}
	text := textOf(value)
	return text != "" && slices.Contains(values, text)
}

// textOf is a value that is no list or object as text; empty where it is absent.
func textOf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case int64:
		return strconv.FormatInt(v, 10)
	case fmt.Stringer: // a number as it was written
		return v.String()
	}
	return ""
}

// holdoutSpace keeps the draw for the holdout apart from others of the same customer.
const holdoutSpace = "holdout"

// Holds tells whether a customer is held out: the same ones for as long as the scenario has this name
// and epoch, and when the share grows, they and others.
func (d *Door) Holds(ns, scenario, epoch, customer string) bool {
	return d.holdout > 0 && Draw(holdoutSpace, ns, scenario, epoch, customer) < float64(d.holdout)/100
}

// HoldsOut tells whether anybody is held out.
func (d *Door) HoldsOut() bool { return d.holdout > 0 }

// Draw is a number from 0 up to 1 that depends on the parts and on nothing else, as evenly as the hash
// of them. It stays the same over edits, restarts and databases.
func Draw(parts ...string) float64 {
	hash := sha256.New()
	for _, p := range parts {
		hash.Write([]byte(p))
		hash.Write([]byte{0}) // none of the parts can hold one
	}
	sum := hash.Sum(nil)
	return float64(binary.BigEndian.Uint64(sum)>>11) / (1 << 53)
}

// Describe is what conditions and templates see as entry.
func (e *Entry) Describe(trigger *crm.Trigger) map[string]any {
	facts := maps.Clone(e.Facts)
	if facts == nil {
		facts = map[string]any{}
	}
	facts[EntryAt] = e.At.UTC().Format(time.RFC3339Nano)
	switch {
	case trigger.Event != nil:
		facts[EntryEvent] = trigger.Event.Name
	case trigger.ProductEvent != nil:
		facts[EntryEvent], facts[EntryNews] = trigger.ProductEvent.Name, e.Ref
	}
	return facts
}

// ReadEntry reads what Describe made, as conditions and templates see it.
func ReadEntry(text []byte) (map[string]any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var facts map[string]any
	if err := json.Unmarshal(text, &facts); err != nil {
		return nil, fmt.Errorf("reading an entry: %w", err)
	}
	if at, ok := facts[EntryAt].(string); ok {
		if t, err := time.Parse(time.RFC3339Nano, at); err == nil {
			facts[EntryAt] = t
		}
	}
	return facts, nil
}
