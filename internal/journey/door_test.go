// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

func TestAdmit(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	carts := crm.Trigger{Event: &crm.EventTrigger{Name: "Product Added", Where: map[string]crm.PropertyValues{"category": {"skincare", "7.50"}}}}
	always := &crm.Reentry{Policy: crm.ReentryAlways, Key: "cart_id"}
	for _, c := range []struct {
		what            string
		trigger         crm.Trigger
		reentry         *crm.Reentry
		facts           string
		age             time.Duration
		key, wantReason string
	}{
		{"once", carts, nil, `{"category": "skincare"}`, 0, "", ""},
		{"late to the millisecond", carts, nil, `{"category": "skincare"}`, time.Hour, "", ""},
		{"too late", carts, nil, `{"category": "skincare"}`, time.Hour + time.Millisecond, "", ReasonLate},
		{"another value", carts, nil, `{"category": "tea"}`, 0, "", ReasonWhere},
		{"no value", carts, nil, `{}`, 0, "", ReasonWhere},
		{"one of a list", carts, nil, `{"category": ["tea", "skincare"]}`, 0, "", ""},
		{"a number as it is written", carts, nil, `{"category": 7.50}`, 0, "", ""},
		{"an object", carts, nil, `{"category": {"skincare": 1}}`, 0, "", ReasonWhere},
		{"again, by its id", carts, &crm.Reentry{Policy: crm.ReentryAfterExit, Cooldown: "7d"}, `{"category": "skincare"}`, 0, "e1", ""},
		{"once a cart", carts, always, `{"category": "skincare", "cart_id": 12345678901234567890}`, 0, "12345678901234567890", ""},
		{"without the key", carts, always, `{"category": "skincare"}`, 0, "", ReasonNoKey},
		{"an empty key", carts, always, `{"category": "skincare", "cart_id": ""}`, 0, "", ReasonNoKey},
		{"a segment", crm.Trigger{SegmentEntry: &crm.SegmentEntryTrigger{}}, nil, `{"segment": "vip"}`, 100 * time.Hour, "", ""},
		{"a slot", crm.Trigger{Schedule: &crm.ScheduleTrigger{}}, &crm.Reentry{Policy: crm.ReentryAlways, Key: "at"}, `{}`, 0, "2026-11-23T10:00:00Z", ""},
	} {
		d, err := compileDoor(&crm.ScenarioSpec{Trigger: c.trigger, Reentry: c.reentry})
		if err != nil {
			t.Fatal(c.what, err)
		}
		e := Entry{Customer: "c1", Ref: "e1", At: now.Add(-c.age)}
		decoder := json.NewDecoder(strings.NewReader(c.facts))
		decoder.UseNumber()
		if err := decoder.Decode(&e.Facts); err != nil {
			t.Fatal(err)
		}
		e.Facts = e.Describe(&c.trigger)
		key, reason := d.Admit(&e, now)
		if key != c.key || reason != c.wantReason {
			t.Errorf("%s: key %q, reason %q, want %q and %q", c.what, key, reason, c.key, c.wantReason)
		}
	}
}

func TestKeysAreShort(t *testing.T) {
	long := strings.Repeat("é", 300)
	seen := map[string]string{}
	for _, text := range []string{"a", long, long + "b", "a\x00", "#a", "a\x00b"} {
		key := keyOf(text)
		if len(key) > maxKey || strings.ContainsRune(key, 0) {
			t.Errorf("the key of %.10q is %q", text, key)
		}
		if other, taken := seen[key]; taken {
			t.Errorf("%.10q and %.10q have one key", text, other)
		}
		seen[key] = text
	}
}

func TestKeyThatATriggerHasNot(t *testing.T) {
	_, err := compileDoor(&crm.ScenarioSpec{Trigger: crm.Trigger{SegmentEntry: &crm.SegmentEntryTrigger{}}, Reentry: &crm.Reentry{Policy: crm.ReentryAlways, Key: "order_id"}})
	if err == nil || !strings.HasPrefix(err.Error(), `spec.reentry.key: "order_id" is not something`) {
		t.Errorf("the error is %v", err)
	}
}

// TestHoldoutIsEvenAndStays holds the share within four standard deviations, and the smaller holdout
// within the larger one.
func TestHoldoutIsEvenAndStays(t *testing.T) {
	const n = 100_000
	small, large := &Door{holdout: 10}, &Door{holdout: 25}
	var held int
	for i := range n {
		customer := fmt.Sprintf("c%06d", i)
		in := small.Holds("shop", "winback", "", customer)
		if in {
			held++
		}
		if in && !large.Holds("shop", "winback", "", customer) {
			t.Fatalf("%s is held out of 10 %% and not of 25 %%", customer)
		}
	}
	if off := math.Abs(float64(held) - n*0.1); off > 4*math.Sqrt(n*0.1*0.9) {
		t.Errorf("%d of %d are held out of 10 %%", held, n)
	}
	// Another epoch, and another scenario, holds out others.
	both := 0
	for i := range n {
		customer := fmt.Sprintf("c%06d", i)
		if small.Holds("shop", "winback", "", customer) && small.Holds("shop", "winback", "2", customer) {
			both++
		}
	}
	if off := math.Abs(float64(both) - n*0.01); off > 4*math.Sqrt(n*0.01*0.99) {
		t.Errorf("%d of %d are held out twice", both, n)
	}
}

func TestEntryIsReadAsItWasDescribed(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 5_000_000, time.UTC)
	e := Entry{At: at, Facts: map[string]any{"price": json.Number("7.50"), "at": "mine"}}
	text, err := json.Marshal(e.Describe(&crm.Trigger{Event: &crm.EventTrigger{Name: "Product Added"}}))
	if err != nil {
		t.Fatal(err)
	}
	facts, err := ReadEntry(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := facts["at"].(time.Time); !ok || !got.Equal(at) || facts["event"] != "Product Added" || facts["price"] != 7.5 {
		t.Errorf("the entry is %v", facts)
	}
	if facts, err := ReadEntry(nil); facts != nil || err != nil {
		t.Errorf("no entry is %v, %v", facts, err)
	}
	if _, err := ReadEntry([]byte("[")); err == nil {
		t.Error("no JSON is an entry")
	}
}
