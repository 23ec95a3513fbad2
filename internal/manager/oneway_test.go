// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestOneWaySenders: a name cannot be answered with STOP, so each text through it needs a link; what is refused is
// taken when it is mended, whichever of the two resources that is done in.
func TestOneWaySenders(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.start()
	named := strings.ReplaceAll(channels, `from: "+815012345678"`, "from: KAERU")
	const scenario = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: hello}
spec:
  trigger: {event: {name: Signed Up}}
  steps:
  - name: text
    sms: {channel: sms-main, text: "Hello $LINK", variants: [{name: a, weight: 1}, {name: b, weight: 1, text: "Hi $B"}]}
`
	link := "{{ links.unsubscribe }}"
	is := func(want string) {
		t.Helper()
		s.eventually(30*time.Second, func() error {
			ready := meta.FindStatusCondition(s.scenario("hello").Status.Conditions, crm.ConditionReady)
			if ready == nil || (want == "") != (ready.Status == "True") || !strings.Contains(ready.Message, want) {
				return fmt.Errorf("ready is %s, want %q", show(ready), want)
			}
			return nil
		})
	}
	s.apply(named + strings.NewReplacer("$LINK", link, "$B", "there").Replace(scenario))
	is(`spec.steps[0].sms.variants, b: ChannelConfig "sms-main" sends as "KAERU", which is a name and cannot be answered with STOP: write {{ links.unsubscribe }} into the text`)
	s.apply(strings.NewReplacer("$LINK", link, "$B", link).Replace(scenario))
	is("")
	s.apply(strings.NewReplacer("$LINK", "", "$B", link).Replace(scenario))
	is("spec.steps[0].sms.variants, a: ")
	s.apply(channels) // now from a number
	is("")
}
