// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// conditional is a journey whose last step has the condition, after a mail, a LINE push and an SMS.
func conditional(t testing.TB, text string) journey.Bundle {
	t.Helper()
	var out []crm.Step
	if err := json.Unmarshal([]byte(`[{"name": "review-request", `+mail+`}, {"name": "push", "line": {"channel": "l", "messages": []}},
	  {"name": "text", "sms": {"channel": "s", "text": "t"}}, {"name": "last", `+mail+`}]`), &out); err != nil {
		t.Fatal(err)
	}
	out[3].If = text
	return journey.Bundle{Spec: crm.ScenarioSpec{Steps: out}}
}

func TestCondition(t *testing.T) {
	at := time.Date(2026, 11, 2, 1, 0, 0, 0, time.UTC)
	facts := journey.Facts{
		Now: at.Add(25 * time.Hour),
		Customer: map[string]any{
			"id": "c-1", "points": 120.0, "rank": "gold", "vip": true, "tags": []any{"a", "b"}, "none": nil,
		},
		Steps: map[string]journey.StepResult{
			"review-request": {Sent: true, Delivered: true, Opened: true, At: at},
			"push":           {Skipped: true, At: at},
		},
		Converted: true,
	}
	tests := map[string]struct {
		text string
		want bool
	}{
		"a step's fact":                  {`steps["review-request"].opened`, true},
		"not a step's fact":              {`!steps["review-request"].clicked`, true},
		"a step by a dot":                {`steps.push.skipped`, true},
		"a step that had no message":     {`steps.text.sent`, false},
		"not a step that had no message": {`!steps.text.sent`, true},
		"when a step was":                {`now - steps["review-request"].at > duration("24h")`, true},
		"when a step was that never was": {`steps.text.at < now`, false},
		"the goal":                       {`goal.reached`, true},
		"a number against an integer":    {`customer.points >= 100`, true},
		"a number equal to an integer":   {`customer.points == 120`, true},
		"a text":                         {`customer.rank in ["gold", "silver"]`, true},
		"a truth by itself":              {`customer.vip`, true},
		"a list":                         {`"b" in customer.tags`, true},
		"has":                            {`has(customer.rank) && !has(customer.birthday)`, true},
		"an absent attribute":            {`customer.birthday == "01-01"`, false},
		"an absent attribute, unequal":   {`customer.birthday != "01-01"`, false},
		"an absent attribute or another": {`customer.birthday == "01-01" || customer.vip`, true},
		"null against a number":          {`customer.none > 3`, false},
		"a text where a truth is wanted": {`customer.rank`, false},
		"kinds that cannot be compared":  {`customer.rank > 3`, false},
		"no entry":                       {`has(entry.order_id)`, false},
		"steps by a name that is made":   {`steps["pu" + "sh"].skipped`, true},
		"all steps":                      {`steps.exists(s, steps[s].skipped)`, true},
		"more than it may cost":          {`[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, true)))))`, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := compile(t, conditional(t, tt.text))
			d := j.Advance(journey.StateAt("last", at), facts)
			if len(d.Messages) != 1 || (d.Messages[0].Skip == "") != tt.want {
				t.Errorf("%s, want it to hold: %v", told(d), tt.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"syntax":                   {"goal.reached &&", "spec.steps[3].if: line 1, column 16: "},
		"syntax on another line":   {"goal.reached &&\n  )", "spec.steps[3].if: line 2, column 3: "},
		"a name nobody has":        {`custmer.points > 1`, "spec.steps[3].if: line 1, column 1: undeclared reference to 'custmer'"},
		"not a truth":              {`1 + 2`, "spec.steps[3].if: is int, and must be true or false"},
		"opened on LINE":           {`goal.reached || steps["push"].opened`, `steps["push"].opened exists for email only: LINE and SMS tell nobody who read what; ask for clicked`},
		"opened on SMS, by a dot":  {`steps.text.opened`, `steps["text"].opened exists for email only`},
		"opened on LINE, in has":   {`has(steps.push.opened)`, `steps["push"].opened exists for email only`},
		"a step that is not there": {`goal.reached && steps["reviewrequest"].sent`, `line 1, column 22: steps["reviewrequest"] is not a step before this one`},
		"the step itself":          {`steps["last"].sent`, `steps["last"] is not a step before this one`},
		"a fact nobody has":        {`steps.push.read`, `steps["push"].read is not known: it is one of sent, delivered, opened, clicked, failed, skipped, at`},
		"a goal's fact":            {`goal.converted`, "goal.converted is not known: write goal.reached"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := journey.Compile(conditional(t, tt.text))
			var found *journey.Error
			if !errors.As(err, &found) || found.Path != "spec.steps[3].if" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestCompileRefusesWhatIsNoCondition(t *testing.T) {
	b := conditional(t, "")
	b.Shop.TimeZone = "Tokyo"
	if _, err := journey.Compile(b); err == nil || !strings.Contains(err.Error(), `timeZone "Tokyo" is not an IANA zone such as Asia/Tokyo`) {
		t.Error(err)
	}
	b = conditional(t, "")
	b.Spec.Steps[1].Wait = &crm.Wait{At: "25:00"}
	if _, err := journey.Compile(b); err == nil || !strings.HasPrefix(err.Error(), "spec.steps[1].wait.at: ") {
		t.Error(err)
	}
}

func TestNeeds(t *testing.T) {
	tests := map[string]struct {
		text            string
		customer, steps bool
	}{
		"nothing":  {"", false, false},
		"the goal": {"!goal.reached", false, false},
		"customer": {"has(customer.rank)", true, false},
		"steps":    {`!steps["push"].clicked`, false, true},
		"both":     {`[1].exists(x, customer.points > x) && steps.push.sent`, true, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := compile(t, conditional(t, tt.text))
			if j.NeedsCustomer() != tt.customer || j.NeedsSteps() != tt.steps {
				t.Errorf("customer %v, steps %v", j.NeedsCustomer(), j.NeedsSteps())
			}
		})
	}
}

func FuzzCondition(f *testing.F) {
	for _, text := range []string{
		`!steps["review-request"].clicked`, `steps.push.opened`, `goal.reached && customer.points > 3`, `steps[1].sent`, `steps[?"a"]`,
		`customer.all(k, customer[k] == k)`, `now.getHours("Asia/Tokyo") > 3`, `has(entry.a.b)`, "((((((((((", `steps["`, `'\xff'`, `"a".matches("(")`,
		`1/0 == 0`, `[].map(x, x)[0]`, `{steps: 1}[steps]`, `type(steps) == map`, `steps["push"]["sent"]`,
	} {
		f.Add(text)
	}
	facts := journey.Facts{Now: time.Unix(1_800_000_000, 0), Customer: map[string]any{"points": 3.0}, Steps: map[string]journey.StepResult{"push": {Sent: true}}}
	f.Fuzz(func(t *testing.T, text string) {
		j, err := journey.Compile(conditional(t, text))
		if err != nil {
			var found *journey.Error
			if !errors.As(err, &found) {
				t.Errorf("%q: %v names no field", text, err)
			}
			return
		}
		j.Advance(journey.StateAt("last", facts.Now), facts)
	})
}
