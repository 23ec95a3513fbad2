// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// steps writes a journey down as a Scenario does.
func steps(t *testing.T, text string) []crm.Step {
	t.Helper()
	var out []crm.Step
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func bundle(t *testing.T, zone, text string) journey.Bundle {
	t.Helper()
	return journey.Bundle{Spec: crm.ScenarioSpec{Steps: steps(t, text)}, Shop: journey.Shop{TimeZone: zone}}
}

func compile(t *testing.T, b journey.Bundle) *journey.Journey {
	t.Helper()
	j, err := journey.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// told is a decision in one line.
func told(d journey.Decision) string {
	var out []string
	for _, m := range d.Messages {
		word := m.Step.Name + "@" + m.Due.UTC().Format("02T15:04")
		if m.Skip != "" {
			word += "!" + m.Skip
		}
		out = append(out, word)
	}
	switch {
	case d.End != journey.Underway:
		out = append(out, strings.TrimSpace(string(d.End)+" "+d.Reason))
	default:
		out = append(out, "then "+d.State.Cursor()+"@"+d.State.Due.UTC().Format("02T15:04"))
	}
	return strings.Join(out, ", ")
}

const mail = `"email": {"channel": "email-main", "subject": "s", "text": "t"}`

func TestAdvance(t *testing.T) {
	const start = "2026-11-02T01:00:00Z" // 10:00 in Tokyo
	three := `[{"name": "a", ` + mail + `}, {"name": "b", "wait": {"for": "1d", "at": "12:00"}, ` + mail + `}, {"name": "c", "wait": {"for": "36h"}, ` + mail + `}]`
	tests := map[string]struct {
		zone, steps string
		cursor      string // empty begins at start
		due         string
		now         string
		facts       journey.Facts
		exitOn      []crm.ExitReason
		want        string
	}{
		"the first step is due at once":   {steps: three, want: "a@02T01:00, then b@03T03:00"},
		"a step before its time":          {steps: three, cursor: "b", due: "2026-11-03T03:00:00Z", now: "2026-11-03T02:59:59Z", want: "then b@03T03:00"},
		"a step at its time":              {steps: three, cursor: "b", due: "2026-11-03T03:00:00Z", now: "2026-11-03T03:00:00Z", want: "b@03T03:00, then c@04T15:00"},
		"a little late moves nothing":     {steps: three, cursor: "b", due: "2026-11-03T03:00:00Z", now: "2026-11-03T05:00:00Z", want: "b@03T03:00, then c@04T15:00"},
		"very late counts from now":       {steps: three, cursor: "b", due: "2026-11-03T03:00:00Z", now: "2026-11-09T03:00:00Z", want: "b@03T03:00, then c@10T15:00"},
		"the last step completes":         {steps: three, cursor: "c", due: "2026-11-04T15:00:00Z", now: "2026-11-04T15:00:00Z", want: "c@04T15:00, completed"},
		"a step that is gone completes":   {steps: three, cursor: "z", due: start, want: "completed"},
		"arriving begins the wait":        {steps: three, cursor: ">c", due: start, want: "then c@03T13:00"},
		"arriving at an hour that passed": {steps: three, cursor: ">b", due: "2026-11-02T04:00:00Z", now: "2026-11-02T04:00:00Z", want: "then b@04T03:00"},
		"without waits they go out together": {
			steps: `[{"name": "a", ` + mail + `}, {"name": "b", "sms": {"channel": "s", "text": "t"}}, {"name": "c", "line": {"channel": "l", "messages": []}}]`,
			want:  "a@02T01:00, b@02T01:00, c@02T01:00, completed",
		},
		"only an hour": {steps: `[{"name": "a", "wait": {"at": "09:30"}, ` + mail + `}]`, want: "then a@03T00:30"},
		"an hour is the shop's, over the end of summer time": {
			zone: "Europe/Berlin", steps: `[{"name": "a", "wait": {"for": "1d", "at": "08:00"}, ` + mail + `}]`,
			cursor: ">a", due: "2026-10-24T05:00:00Z", now: "2026-10-24T05:00:00Z", want: "then a@25T07:00",
		},
		"an hour that summer time leaves out": {
			zone: "Europe/Berlin", steps: `[{"name": "a", "wait": {"at": "02:30"}, ` + mail + `}]`,
			cursor: ">a", due: "2026-03-28T23:00:00Z", now: "2026-03-28T23:00:00Z", want: "then a@29T01:00",
		},
		"a false condition skips the step": {
			steps: `[{"name": "a", "if": "goal.reached", ` + mail + `}, {"name": "b", ` + mail + `}]`, want: "a@02T01:00!ConditionFalse, b@02T01:00, completed",
		},
		"an exit":             {steps: `[{"name": "a", ` + mail + `}, {"name": "out", "exit": {}}, {"name": "b", ` + mail + `}]`, want: "a@02T01:00, exited ExitStep"},
		"an exit not taken":   {steps: `[{"name": "out", "if": "goal.reached", "exit": {}}, {"name": "b", ` + mail + `}]`, want: "b@02T01:00, completed"},
		"an exit on a fact":   {steps: `[{"name": "out", "if": "goal.reached", "exit": {}}, {"name": "b", ` + mail + `}]`, facts: journey.Facts{Converted: true}, want: "exited ExitStep"},
		"unsubscribed":        {steps: three, facts: journey.Facts{Unsubscribed: true}, want: "exited Unsubscribed"},
		"goal without exitOn": {steps: three, facts: journey.Facts{Converted: true}, want: "a@02T01:00, then b@03T03:00"},
		"exitOn Goal":         {steps: three, facts: journey.Facts{Converted: true}, exitOn: []crm.ExitReason{crm.ExitGoal}, want: "exited GoalReached"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.zone == "" {
				tt.zone = "Asia/Tokyo"
			}
			b := bundle(t, tt.zone, tt.steps)
			b.Spec.ExitOn = tt.exitOn
			j := compile(t, b)
			if tt.now == "" {
				tt.now = start
			}
			tt.facts.Now = moment(t, tt.now)
			state := j.Start(moment(t, start))
			if tt.cursor != "" {
				state = journey.StateAt(tt.cursor, moment(t, tt.due))
			}
			if got := told(j.Advance(state, tt.facts)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestAMonthInAMoment goes through a journey as the engine would, waking up when something is due.
func TestAMonthInAMoment(t *testing.T) {
	j := compile(t, bundle(t, "Asia/Tokyo", `[
	  {"name": "a", `+mail+`},
	  {"name": "b", "wait": {"for": "3d", "at": "12:00"}, "if": "!steps[\"a\"].clicked", "line": {"channel": "l", "messages": []}},
	  {"name": "c", "wait": {"for": "2w"}, "if": "steps.b.sent && now > steps.b.at + duration('24h')", "sms": {"channel": "s", "text": "t"}}]`))
	now := moment(t, "2026-11-02T01:00:00Z")
	state, facts := j.Start(now), journey.Facts{Steps: map[string]journey.StepResult{}}
	var went []string
	for range 10 {
		facts.Now = now
		d := j.Advance(state, facts)
		for _, m := range d.Messages {
			went = append(went, fmt.Sprintf("%s %s%s", now.Format("01-02T15:04"), m.Step.Name, m.Skip))
			facts.Steps[m.Step.Name] = journey.StepResult{Sent: m.Skip == "", Skipped: m.Skip != "", At: now}
		}
		if d.End != journey.Underway {
			want := "11-02T01:00 a, 11-05T03:00 b, 11-19T03:00 c"
			if got := strings.Join(went, ", "); got != want || d.End != journey.Completed {
				t.Errorf("%s and %s, want %s", got, d.End, want)
			}
			return
		}
		if !d.State.Due.After(now) {
			t.Fatalf("at %s it is due at %s: it would never go on", now, d.State.Due)
		}
		state, now = journey.StateAt(d.State.Cursor(), d.State.Due), d.State.Due
	}
	t.Fatal("it does not end")
}

func TestResume(t *testing.T) {
	before := compile(t, bundle(t, "", `[{"name": "a", `+mail+`}, {"name": "b", `+mail+`}, {"name": "c", `+mail+`}, {"name": "d", `+mail+`}]`))
	tests := map[string]struct {
		after string
		want  map[string]string
	}{
		"nothing is gone":   {`[{"name": "d", ` + mail + `}, {"name": "c", ` + mail + `}, {"name": "b", ` + mail + `}, {"name": "a", ` + mail + `}, {"name": "e", ` + mail + `}]`, map[string]string{}},
		"one in the middle": {`[{"name": "a", ` + mail + `}, {"name": "c", ` + mail + `}, {"name": "d", ` + mail + `}]`, map[string]string{"b": ">c", ">b": ">c", "?b": ">c"}},
		"two, and a new one": {`[{"name": "a", ` + mail + `}, {"name": "x", ` + mail + `}, {"name": "d", ` + mail + `}]`, map[string]string{
			"b": ">d", ">b": ">d", "?b": ">d", "c": ">d", ">c": ">d", "?c": ">d",
		}},
		"the last": {`[{"name": "a", ` + mail + `}, {"name": "b", ` + mail + `}, {"name": "c", ` + mail + `}]`, map[string]string{"d": "", ">d": "", "?d": ""}},
		"all": {`[{"name": "x", ` + mail + `}]`, map[string]string{
			"a": "", ">a": "", "?a": "", "b": "", ">b": "", "?b": "", "c": "", ">c": "", "?c": "", "d": "", ">d": "", "?d": "",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := journey.Resume(before, compile(t, bundle(t, "", tt.after)))
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// TestKey holds the keys where they are: another one for the same message would send it again.
func TestKey(t *testing.T) {
	const golden = "a60bf48f-bbad-5374-8328-07b8f89ace96"
	key := journey.Key("shop", "second-purchase", "2026-autumn", "c-1", "", "review")
	if key.String() != golden {
		t.Errorf("%s, want %s", key, golden)
	}
	seen := map[string]bool{}
	for _, p := range [][6]string{
		{"shop", "second-purchase", "2026-autumn", "c-1", "", "review"},
		{"shop2", "second-purchase", "2026-autumn", "c-1", "", "review"},
		{"shop", "second", "2026-autumn", "c-1", "", "review"},
		{"shop", "second-purchase", "", "c-1", "", "review"},
		{"shop", "second-purchase", "2026-autumn", "c-12", "", "review"},
		{"shop", "second-purchase", "2026-autumn", "c-1", "2", "review"},
		{"shop", "second-purchase", "2026-autumn", "c-1", "", "coupon"},
		{"shop", "second-purchase", "2026-autumn", "", "c-1", "review"},
	} {
		seen[journey.Key(p[0], p[1], p[2], p[3], p[4], p[5]).String()] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d keys of 8", len(seen))
	}
}

func TestRevision(t *testing.T) {
	b := bundle(t, "Asia/Tokyo", `[{"name": "a", `+mail+`}]`)
	revision := func(b journey.Bundle) string {
		t.Helper()
		r, text, err := b.Revision()
		if err != nil {
			t.Fatal(err)
		}
		read, err := journey.ReadBundle(text)
		if err != nil {
			t.Fatal(err)
		}
		if again, _, err := read.Revision(); err != nil || again != r {
			t.Errorf("read back it is %s, was %s: %v", again, r, err)
		}
		return r
	}
	first := revision(b)
	b.Spec.Suspend, b.Spec.Description = true, "words"
	if got := revision(b); got != first {
		t.Error("suspending made another revision")
	}
	b.Spec.Steps[0].Email.Subject = "other"
	if got := revision(b); got == first {
		t.Error("another subject is the same revision")
	}
}
