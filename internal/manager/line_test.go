// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const lineScenario = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: %s}
spec:
  trigger: {event: {name: Product Viewed}}
  steps:
  - name: hello
    line:
      channel: line-main
      messages:
      - {type: flex, altText: "{{ customer.first_name }}さん", contents: {type: bubble, body: {type: box, layout: vertical, contents: [{type: text, %s: "{{ entry.name }}"}]}}}
`

// LINE is asked about a Scenario's messages when it is read, and once. What it refuses stalls the Scenario; that
// it cannot be asked does not.
func TestLINEChecksMessages(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.start()
	s.apply(channels)
	s.ready("channelconfig/line-main")
	count, err := s.sandbox.Client().AddFault(t.Context(), sandbox.Fault{Provider: "line", Operation: "validate", Effect: sandbox.FaultEffect{Delay: sandbox.Duration(time.Millisecond)}})
	must(t, err)
	asked := func() int {
		faults, err := s.sandbox.Client().Faults(t.Context())
		must(t, err)
		for _, f := range faults {
			if f.ID == count.ID {
				return f.Seen
			}
		}
		return -1
	}
	condition := func(name, kind string) string {
		return s.cluster.Run(t, "", "get", "scenario/"+name, "-n", s.ns, "-o", fmt.Sprintf(`jsonpath={.status.conditions[?(@.type=="%[1]s")].reason}: {.status.conditions[?(@.type=="%[1]s")].message}`, kind))
	}
	handled := func(name, request string) {
		s.cluster.Run(t, "", "annotate", "--overwrite", "scenario/"+name, "-n", s.ns, "crm.kaeru.dev/requestedAt="+request)
		s.eventually(time.Minute, func() error {
			if got := s.cluster.Run(t, "", "get", "scenario/"+name, "-n", s.ns, "-o", "jsonpath={.status.lastHandledRequest}"); got != request {
				return fmt.Errorf("handled %q", got)
			}
			return nil
		})
	}

	s.apply(fmt.Sprintf(lineScenario, "good", "text"))
	s.ready("scenario/good")
	handled("good", "again")
	if n := asked(); n != 1 {
		t.Errorf("LINE was asked %d times", n)
	}

	s.apply(fmt.Sprintf(lineScenario, "bad", "txet"))
	s.eventually(time.Minute, func() error {
		got := condition("bad", "Stalled")
		if got != `ContentInvalid: spec.steps[0].line.messages[0].contents.body.contents[0].text: LINE refuses it: May not be empty (step "hello")` {
			return fmt.Errorf("Stalled is %q", got)
		}
		return nil
	})
	s.apply(fmt.Sprintf(lineScenario, "bad", "text"))
	s.ready("scenario/bad")

	away, err := s.sandbox.Client().AddFault(t.Context(), sandbox.Fault{ID: count.ID, Provider: "line", Operation: "validate", Effect: sandbox.FaultEffect{Status: 500}})
	must(t, err)
	s.apply(fmt.Sprintf(lineScenario, "later", "txet"))
	s.ready("scenario/later")
	if got := condition("later", "Ready"); !strings.Contains(got, `LINE could not check the messages of step "hello", and is asked again`) {
		t.Errorf("Ready is %q", got)
	}
	must(t, s.sandbox.Client().RemoveFault(t.Context(), away.ID))
	handled("later", "now")
	if got := condition("later", "Stalled"); !strings.HasPrefix(got, "ContentInvalid: ") {
		t.Errorf("Stalled is %q", got)
	}
}
