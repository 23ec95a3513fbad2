// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestPlay(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) { Play(t, dsn, "testdata/shop") })
}

func TestReadStoryRefuses(t *testing.T) {
	const good = "begins: 2026-11-01T09:00:00Z\nuntil: 2026-11-02T09:00:00Z\n"
	for name, tc := range map[string]struct{ text, want string }{
		"what it does not know":  {good + "than: []\n", "than"},
		"a scene without time":   {good + "then:\n- track: {customer: c1, event: e}\n", "then[0]"},
		"an empty scene":         {good + "then:\n- at: 2026-11-01T10:00:00Z\n", "nothing happens"},
		"scenes out of order":    {good + "then:\n- {at: 2026-11-01T11:00:00Z, track: {customer: c, event: e}}\n- {at: 2026-11-01T10:00:00Z, track: {customer: c, event: e}}\n", "then[1] is earlier"},
		"rows of another kind":   {good + "imports:\n- {people: x}\n", "imports[0]"},
		"a message after it all": {good + "messages:\n- {at: 2026-12-01T10:00:00Z, to: c1, step: a, channel: line}\n", "messages[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "timeline.yaml")
			if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := ReadStory(file); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	sent := func(customer, text string) end {
		return end{at: at.Add(2 * time.Second), customer: customer, scenario: "letters", step: "a", kind: "line", state: "sent", message: &sandbox.Message{Text: text}}
	}
	skipped := func(reason string) end {
		return end{at: at, customer: "c3", scenario: "letters", step: "b", kind: "sms", state: "skipped", reason: reason}
	}
	says := func(customer string, texts ...string) Message {
		return Message{At: at, To: customer, Step: "a", Channel: "line", Says: texts}
	}
	tests := map[string]struct {
		story Story
		ends  []end
		want  string
	}{
		"all as it says":           {Story{Messages: []Message{says("c1", "in your")}}, []end{sent("c1", "It is in\n your cart")}, ""},
		"of two the one that fits": {Story{Messages: []Message{says("c1", "tea"), says("c1", "soap")}}, []end{sent("c1", "soap"), sent("c1", "tea")}, ""},
		"skips need not be said":   {Story{}, []end{skipped("NoConsent")}, ""},
		"but may":                  {Story{Skipped: []Skip{}}, []end{skipped("NoConsent")}, "+ 2026-11-02 10:00 Mon  c3  letters  b  sms  skipped: NoConsent\n"},
		"conditions need not":      {Story{Skipped: []Skip{}}, []end{skipped("ConditionFalse")}, ""},
		"other words": {Story{Messages: []Message{says("c1", "tea")}}, []end{sent("c1", "soap")},
			"- 2026-11-02 10:00 Mon  c1  letters  a  line  says \"tea\"; it says: soap\n"},
		"one too many and one too few": {Story{Messages: []Message{says("c1"), says("c2")}}, []end{sent("c2", ""), sent("c3", ""), skipped("NoConsent")}, `
- 2026-11-02 10:00 Mon  c1           a  line  sent
  2026-11-02 10:00 Mon  c2  letters  a  line  sent
+ 2026-11-02 10:00 Mon  c3  letters  a  line  sent
· 2026-11-02 10:00 Mon  c3  letters  b  sms   skipped: NoConsent
`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.story.Begins = at
			_, got, _ := strings.Cut(tc.story.compare(tc.ends), "\n")
			if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
