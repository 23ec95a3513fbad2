// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPresetsAreRules(t *testing.T) {
	names := map[string]bool{}
	for _, p := range Presets() {
		if names[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		names[p.Name] = true
		r, err := Parse(p.Name)
		if err != nil || r.ID != p.Name || r.Provider != p.Provider || r.Operation != p.Operation || r.Effect == (Effect{}) {
			t.Errorf("%s: %+v %v", p.Name, r, err)
		}
		if p.What == "" || p.Reaction == "" {
			t.Errorf("%s does not say what happens, or what is made of it", p.Name)
		}
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		spec string
		want Rule
	}{
		"a name alone": {"line-500", Rule{ID: "line-500", Provider: LINE, Operation: "push", Effect: Effect{Status: 500}}},
		"narrowed": {"line-500:count=3,to=U…*,every=10,probability=0.2,skip=1", Rule{
			ID: "line-500:count=3,to=U…*,every=10,probability=0.2,skip=1", Provider: LINE, Operation: "push", Effect: Effect{Status: 500},
			Match: Match{Count: 3, To: "U…*", Every: 10, Probability: 0.2, Skip: 1},
		}},
		"every time instead of once": {"line-409:once=false", Rule{
			ID: "line-409:once=false", Provider: LINE, Operation: "push", Effect: Effect{Accept: true, Status: 500},
		}},
		"a delay": {"twilio-30003:delay=250ms", Rule{
			ID: "twilio-30003:delay=250ms", Provider: Twilio, Operation: "delivery", Effect: Effect{Code: 30003, Delay: Duration(250 * time.Millisecond)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(tt.spec); err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v %v\nwant %+v", got, err, tt.want)
			}
		})
	}
	for name, tt := range map[string]struct{ spec, want string }{
		"nothing":             {"", "does not exist"},
		"another name":        {"line-501", "of line there are line-timeout, "},
		"no value":            {"line-500:count", "write key=value"},
		"an unknown key":      {"line-500:number=3", "one of answerDelay, count, delay, every, once, probability, skip, to"},
		"no number":           {"line-500:count=x", "write a whole number"},
		"less than nothing":   {"line-500:count=-1", "0 or more"},
		"no probability":      {"line-500:probability=2", "0 to 1"},
		"not even a number":   {"line-500:probability=NaN", "0 to 1"},
		"a pattern that ends": {"line-500:to=[a", "not a pattern"},
		"too long":            {"line-500:to=" + strings.Repeat("x", 2000), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestOnceHitsEachRecipientOnce(t *testing.T) {
	r, err := Parse("line-409")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBook(1, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		to  string
		hit bool
	}{{"a", true}, {"a", false}, {"b", true}, {"a", false}} {
		if got := b.Hit(LINE, "push", step.to) != (Effect{}); got != step.hit {
			t.Errorf("%s: hit %t", step.to, got)
		}
	}
}

// FuzzParse holds that what is taken is a rule that works, and comes out the same again.
func FuzzParse(f *testing.F) {
	for _, p := range Presets() {
		f.Add(p.Name + ":count=3,to=U0*,every=2,probability=0.5,skip=1,delay=1s,answerDelay=2ms,once=true")
	}
	f.Fuzz(func(t *testing.T, spec string) {
		r, err := Parse(spec)
		if err != nil {
			return
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("%q is taken, and is no rule: %v", spec, err)
		}
		again, err := Parse(r.ID)
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%q: %+v, and again %+v %v", spec, r, again, err)
		}
		b, err := NewBook(1, r)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b.Hit(r.Provider, r.Operation, "u")
		}
	})
}
