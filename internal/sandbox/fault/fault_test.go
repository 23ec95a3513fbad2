// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMatch(t *testing.T) {
	tests := map[string]struct {
		match Match
		to    string
		want  string // x where a request is hit
	}{
		"all":               {Match{}, "a", "xxxxxx"},
		"count":             {Match{Count: 2}, "a", "xx...."},
		"skip":              {Match{Skip: 4}, "a", "....xx"},
		"every third":       {Match{Every: 3}, "a", "..x..x"},
		"skip and every":    {Match{Skip: 1, Every: 2, Count: 1}, "a", "..x..."},
		"recipient":         {Match{To: "TARO@*"}, "taro@example.jp", "xxxxxx"},
		"another recipient": {Match{To: "hanako@*"}, "taro@example.jp", "......"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := NewBook(1, Rule{Provider: SMTP, Operation: "rcpt", Match: tt.match, Effect: Effect{Status: 450}})
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for range 6 {
				b.Hit(SMTP, "data", tt.to) // another operation counts for nothing
				b.Hit(LINE, "rcpt", tt.to)
				if b.Hit(SMTP, "rcpt", tt.to) == (Effect{}) {
					got.WriteString(".")
				} else {
					got.WriteString("x")
				}
			}
			if got.String() != tt.want {
				t.Errorf("hits %s, want %s", got.String(), tt.want)
			}
		})
	}
}

func TestProbabilityFollowsTheSeed(t *testing.T) {
	run := func(seed uint64) (pattern string, hits int) {
		b, err := NewBook(seed, Rule{Provider: LINE, Match: Match{Probability: 0.25}, Effect: Effect{Drop: true}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			if b.Hit(LINE, "push", "") != (Effect{}) {
				pattern += "x"
				hits++
			} else {
				pattern += "."
			}
		}
		return pattern, hits
	}
	one, hits := run(1)
	if again, _ := run(1); again != one {
		t.Error("the same seed hit other requests")
	}
	if other, _ := run(2); other == one {
		t.Error("another seed hit the same requests")
	}
	if hits < 400 || hits > 600 {
		t.Errorf("%d of 2000 hit, want about 500", hits)
	}
}

func TestBook(t *testing.T) {
	b, err := NewBook(0)
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Add(Rule{Provider: LINE, Effect: Effect{Status: 500}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(Rule{ID: "mine", Provider: LINE, Effect: Effect{Status: 429}}); err != nil {
		t.Fatal(err)
	}
	if got := b.Hit(LINE, "push", "u").Status; got != 500 {
		t.Errorf("status %d, want the first rule's 500", got)
	}
	if !b.Remove(first.ID) || b.Remove(first.ID) {
		t.Error("a rule is removed once")
	}
	if got := b.Hit(LINE, "push", "u").Status; got != 429 {
		t.Errorf("status %d, want 429", got)
	}
	if l := b.List(); len(l) != 1 || l[0].ID != "mine" || l[0].Hit != 1 || l[0].Seen != 1 {
		t.Errorf("list %+v", l)
	}
	b.Clear()
	if len(b.List()) != 0 {
		t.Error("cleared rules are still listed")
	}
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		rule Rule
		want string
	}{
		"provider":    {Rule{Provider: "fax", Effect: Effect{Drop: true}}, "write line, twilio or smtp"},
		"operation":   {Rule{Provider: SMTP, Operation: "push", Effect: Effect{Drop: true}}, "write one of connect"},
		"no effect":   {Rule{Provider: LINE}, "effect is empty"},
		"status":      {Rule{Provider: SMTP, Effect: Effect{Status: 250}}, "400 to 599"},
		"pattern":     {Rule{Provider: LINE, Match: Match{To: "["}, Effect: Effect{Drop: true}}, "not a pattern"},
		"probability": {Rule{Provider: LINE, Match: Match{Probability: 2}, Effect: Effect{Drop: true}}, "0 to 1"},
		"good":        {Rule{Provider: Twilio, Operation: "delivery", Effect: Effect{Code: 30007}}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(tt.rule.Validate()); !strings.Contains(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	var e Effect
	if err := json.Unmarshal([]byte(`{"delay":"250ms"}`), &e); err != nil || time.Duration(e.Delay) != 250*time.Millisecond {
		t.Errorf("%v %v", e, err)
	}
	if b, err := json.Marshal(e); err != nil || string(b) != `{"delay":"250ms"}` {
		t.Errorf("%s %v", b, err)
	}
	for _, bad := range []string{`"-1s"`, `"soon"`, `3`} {
		if err := json.Unmarshal([]byte(`{"delay":`+bad+`}`), &e); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
