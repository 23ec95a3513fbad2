// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

func push(key, id string) sandbox.Message {
	return sandbox.Message{Channel: "line", Key: key, Line: &record.Line{SentMessages: []record.SentMessage{{ID: id}}}}
}

func TestJudge(t *testing.T) {
	sent := row{id: "k", kind: "line", state: "sent", providerID: "1"}
	for name, tt := range map[string]struct {
		row    row
		took   []sandbox.Message
		faults []string
		want   string
	}{
		"as it should be":             {sent, []sandbox.Message{push("k", "1")}, nil, ""},
		"twice":                       {sent, []sandbox.Message{push("k", "1"), push("k", "2")}, nil, "taken twice"},
		"sent to nobody":              {sent, nil, nil, "the provider has it not"},
		"another id":                  {sent, []sandbox.Message{push("k", "2")}, nil, "another id"},
		"another key":                 {sent, []sandbox.Message{push("x", "1")}, nil, "another key"},
		"failed and taken":            {row{id: "k", kind: "line", state: "failed"}, []sandbox.Message{push("k", "1")}, nil, "taken by the provider"},
		"open":                        {row{kind: "sms", state: "sending"}, nil, nil, "has no end"},
		"a push is unknown":           {row{id: "k", kind: "line", state: "unknown"}, nil, []string{"kill"}, "may not be"},
		"a mail is unknown":           {row{kind: "email", state: "unknown"}, nil, []string{"kill"}, ""},
		"unknown for nothing":         {row{kind: "email", state: "unknown"}, nil, []string{"edit"}, "may not be"},
		"cancelled by a deletion":     {row{kind: "sms", state: "cancelled"}, nil, []string{"delete"}, ""},
		"cancelled without one":       {row{kind: "sms", state: "cancelled"}, nil, []string{"kill"}, "no Scenario was deleted"},
		"an unknown mail was brought": {row{kind: "email", state: "unknown"}, []sandbox.Message{{Channel: "email"}}, []string{"cut"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &round{result: &result{Faults: tt.faults}}
			var found findings
			r.judge(&tt.row, tt.took, &found)
			if got := strings.Join(found.order, "; "); (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLeftOut(t *testing.T) {
	one := func(scenario string) (out []*row) {
		for _, step := range steps[scenario] {
			out = append(out, &row{scenario: scenario, customer: customerID(0), step: step})
		}
		return out
	}
	went := map[string]int{"sale " + customerID(0): 1, "cart " + customerID(0): 1}
	for name, tt := range map[string]struct {
		rows    []*row
		entered map[string]int
		faults  []string
		want    int
		lost    int // addresses of the customer that may not be used
	}{
		"nobody":                      {append(one("sale"), one("cart")...), went, nil, 0, 0},
		"a step is missing":           {append(one("sale")[:1], one("cart")...), went, nil, 1, 0},
		"a Scenario is missing":       {one("sale"), map[string]int{}, nil, 1, 0},
		"it was deleted":              {one("sale"), map[string]int{}, []string{"delete"}, 0, 0},
		"deleted, and a step is lost": {append(one("sale")[:1], one("cart")...), went, []string{"delete"}, 1, 0},
		"suppressed before the slot":  {one("cart"), map[string]int{"cart " + customerID(0): 1}, nil, 0, 1},
		"suppressed, and it entered":  {one("cart"), went, nil, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := &round{lane: &lane{options: options{customers: 1}}, result: &result{Faults: tt.faults}}
			var found findings
			r.leftOut(tt.rows, tt.entered, map[string]int{"sale " + customerID(0): tt.lost}, &found)
			if got := len(found.of["left out"]); got != tt.want {
				t.Errorf("%d left out, want %d: %v", got, tt.want, found.of)
			}
		})
	}
}

func TestChooseBySeed(t *testing.T) {
	for seed := range uint64(200) {
		for _, store := range []string{"sqlite", "postgres"} {
			chosen := choose([]string{store}, nil, rand.New(rand.NewPCG(seed, 1)))
			if again := choose([]string{store}, nil, rand.New(rand.NewPCG(seed, 1))); !slices.Equal(chosen, again) {
				t.Fatalf("seed %d: %v, and again %v", seed, chosen, again)
			}
			if len(chosen) == 0 || len(chosen) > 4 {
				t.Errorf("seed %d: %v", seed, chosen)
			}
			for _, name := range chosen {
				if f := faults[name]; f.store != "" && f.store != store {
					t.Errorf("seed %d: %s on %s", seed, name, store)
				}
			}
		}
	}
}
