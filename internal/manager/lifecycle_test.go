// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const slow = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: line-slow}
spec:
  line: {credentialsSecretRef: {name: line}, endpoint: "$LINE"}
  rateLimit: {perSecond: 20}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Segment
metadata: {name: buyers}
spec: {match: {all: [{orders: {atLeast: 1}}]}}
---
`

const sale = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: sale}
spec:
  suspend: $SUSPEND
  segmentRef: {name: buyers}
  trigger: {schedule: {at: "$AT"}}
  steps:
  - name: push
    line: {channel: line-slow, messages: [{type: text, text: "{{ customer.id }}"}]}
`

func at(in time.Duration, suspend bool) string {
	return strings.NewReplacer("$AT", time.Now().Add(in).UTC().Format(time.RFC3339), "$SUSPEND", fmt.Sprint(suspend)).Replace(sale)
}

// TestDeletedMidRun deletes a Scenario while its run is under way, and creates it again: what was
// not sent is cancelled, and nobody hears of it a second time.
func TestDeletedMidRun(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.importShop()
	s.start()
	s.apply(channels + slow)
	s.ready("segment/buyers", "channelconfig/line-slow")
	manifest := at(3*time.Second, false)
	s.apply(manifest)
	s.eventually(time.Minute, func() error {
		if got := s.total(); got < 5 {
			return fmt.Errorf("%d messages arrived", got)
		}
		return nil
	})
	s.cluster.Run(t, "", "delete", "scenario", "sale", "-n", s.ns)
	time.Sleep(3 * time.Second)
	sent := s.total()
	if sent >= 49 {
		t.Fatalf("all %d messages went out before the Scenario was deleted", sent)
	}
	s.apply(manifest)
	s.ready("scenario/sale")
	time.Sleep(3 * time.Second)
	if got := s.total(); got != sent {
		t.Errorf("%d messages arrived after the Scenario was deleted and created again", got-sent)
	}
	s.eventually(10*time.Second, func() error {
		if p := s.scenario("sale").Status.Steps[0]; p.Sent != int64(sent) || p.Sent+p.Cancelled+p.Skipped != 50 {
			return fmt.Errorf("the ends do not add up to 50: %s", show(p))
		}
		return nil
	})
}

// TestSuspendedAndPast lets moments pass that must not send: while a Scenario is suspended, and
// before it was there.
func TestSuspendedAndPast(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.importShop()
	s.start()
	s.apply(channels + slow)
	s.ready("segment/buyers", "channelconfig/line-slow")

	manifest := at(3*time.Second, true)
	s.apply(manifest)
	s.ready("scenario/sale")
	time.Sleep(4 * time.Second)
	s.apply(strings.Replace(manifest, "suspend: true", "suspend: false", 1))
	s.apply(strings.Replace(at(-time.Minute, false), "name: sale", "name: past", 1))
	s.ready("scenario/sale", "scenario/past")
	for _, name := range []string{"sale", "past"} {
		s.eventually(10*time.Second, func() error {
			if got := s.scenario(name).Status; got.LastMissed == nil || !strings.Contains(got.LastMissed.Reason, "already past") {
				return fmt.Errorf("status of %s does not say that it missed its moment: %s", name, show(got))
			}
			return nil
		})
	}
	if got := s.total(); got != 0 {
		t.Errorf("%d messages arrived", got)
	}
}
