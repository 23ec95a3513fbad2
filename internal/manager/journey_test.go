// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// faster is a clock on which a day takes twenty seconds: a message is worth sending for a day, and a
// busy machine needs some seconds for forty. It starts at midnight in Tokyo.
func faster(t *testing.T) clock.Clock {
	t.Helper()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	must(t, err)
	c, err := clock.NewScaled(time.Date(2026, 11, 2, 0, 0, 0, 0, tokyo), time.Now(), 4320)
	must(t, err)
	return c
}

const journey = channels + `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Segment
metadata: {name: once}
spec:
  match:
    all:
    - orders: {exactly: 1}
    - firstOrder: {olderThan: 30d}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: second-purchase}
spec:
  segmentRef: {name: once}
  trigger: {schedule: {cron: "0 10 * * *", startingDeadline: 12h}}
  goal: {event: Order Completed, within: 14d, target: "10%"}
  dispatch: {shardSize: 10, parallelism: 2}
  steps:
  - name: review
    email:
      channel: email-main
      subject: "{{ customer.first_name }}さん、使い心地は?"
      html: '<html><body><p>{{ customer.first_name }}</p><a href="https://shop.example/review?c={{ customer.id }}">書く</a></body></html>'
  - name: line-coupon
    wait: {for: 1d, at: "12:00"}
    if: '!steps["review"].clicked'
    line:
      channel: line-main
      messages:
      - {type: text, text: "{{ customer.first_name }}さん https://shop.example/pick"}
  - name: last-call
    wait: {for: 1d, at: "18:00"}
    if: '!goal.reached'
    sms: {channel: sms-main, text: "明日まで https://shop.example/last {{ links.unsubscribe }}"}
`

// TestMainJob is the product's main job from import to report, on both stores: at the slot a Job
// appears, the right customers get a mail, then a LINE push, then an SMS, and the status says what
// the doubles saw.
func TestMainJob(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, faster(t))
		s.importShop()
		s.start()
		s.apply(journey)
		s.ready("segment/once", "scenario/second-purchase", "channelconfig/line-main", "channelconfig/email-main", "channelconfig/sms-main")

		// 40 bought once; the last four of them have no consent for mail, and one of these none at all.
		s.eventually(time.Minute, func() error {
			if got := len(s.arrived("email")); got != 36 {
				return fmt.Errorf("%d mails arrived", got)
			}
			return nil
		})
		// Three click on their mail, and three others buy.
		for _, m := range s.arrived("email") {
			switch m.To {
			case "c01@shop.example", "c02@shop.example", "c03@shop.example":
				s.click(m)
			}
		}
		var orders strings.Builder
		orders.WriteString("id,customer_id,placed_at,total\n")
		for i := 10; i < 13; i++ {
			fmt.Fprintf(&orders, "o2-%d,c%02d,%s,1500\n", i, i, s.clock.Now().UTC().Format(time.RFC3339))
		}
		s.ingest("orders", orders.String())

		s.eventually(4*time.Minute, func() error {
			got := s.scenario("second-purchase").Status
			if got.Completed == nil || *got.Completed != 40 {
				return fmt.Errorf("not all are through: %s", show(got))
			}
			if p := got.Steps[2]; p.Pending > 0 || p.Delivered != p.Sent {
				return fmt.Errorf("messages are on their way: %s", show(got))
			}
			return nil
		})
		s.checkJourney()
	})
}

// importShop loads 40 customers who bought once long ago, and 10 others.
func (s *shop) importShop() {
	var customers, orders strings.Builder
	customers.WriteString("id,email,phone,line_user_id,first_name,consent_email,consent_line,consent_sms\n")
	orders.WriteString("id,customer_id,placed_at,total,currency,status\n")
	old := s.clock.Now().Add(-60 * 24 * time.Hour).UTC().Format(time.RFC3339)
	for i := range 50 {
		consent := "true"
		if i >= 36 && i < 40 {
			consent = "false"
		}
		fmt.Fprintf(&customers, "c%02d,c%02d@shop.example,+8190%08d,U%032x,花子%d,%s,%v,%v\n", i, i, i, i, i, consent, i != 39, i != 39)
		fmt.Fprintf(&orders, "o1-%d,c%02d,%s,3000,JPY,paid\n", i, i, old)
		if i >= 40 { // these bought twice
			fmt.Fprintf(&orders, "o1-%d-b,c%02d,%s,3000,JPY,paid\n", i, i, old)
		}
	}
	s.ingest("customers", customers.String())
	s.ingest("orders", orders.String())
}

func (s *shop) checkJourney() {
	s.t.Helper()
	got := s.scenario("second-purchase").Status
	fail := func(what string) { s.t.Errorf("%s; the status is %s", what, show(got)) }
	lines, texts := s.arrived("line"), s.arrived("sms")
	review, line, sms := got.Steps[0], got.Steps[1], got.Steps[2]
	if review.Sent != 36 || review.Skipped != 4 || review.Clicked != 3 {
		fail("review should have 36 sent, 4 skipped, 3 clicked")
	}
	// 40 without the three who clicked and the one who consents to nothing.
	if len(lines) != 36 || line.Sent != 36 || line.Skipped != 4 {
		fail(fmt.Sprintf("%d LINE pushes arrived, 36 were due", len(lines)))
	}
	// 40 without the three who bought and the one who consents to nothing.
	if len(texts) != 36 || sms.Sent != 36 || sms.Skipped != 4 || sms.Delivered != 36 {
		fail(fmt.Sprintf("%d SMS arrived, 36 were due", len(texts)))
	}
	if got.Goal == nil || got.Goal.Converted != 3 || got.Goal.Rate != "7.5%" || got.Goal.Revenue != "4500" || review.Converted+line.Converted != 3 {
		fail("three of 40 should have converted for 4,500")
	}
	if *got.Enrolled != 40 {
		fail("40 should be enrolled")
	}
	seen := map[string]bool{}
	for _, m := range append(append(lines, texts...), s.arrived("email")...) {
		if id := m.Channel + " " + m.To; seen[id] {
			s.t.Errorf("a second message arrived at %s", id)
		} else {
			seen[id] = true
		}
	}
	s.checkJob(got.LastRun.Job)
}

// checkJob looks at the Job of the first run, which has four indexes of ten messages.
func (s *shop) checkJob(last string) {
	s.t.Helper()
	var jobs batchv1.JobList
	must(s.t, s.client.List(s.t.Context(), &jobs))
	var first *batchv1.Job
	for i := range jobs.Items {
		if j := &jobs.Items[i]; j.Namespace == s.ns && (first == nil || j.CreationTimestamp.Before(&first.CreationTimestamp)) {
			first = j
		}
	}
	if first == nil {
		s.t.Fatal("there is no Job")
	}
	if first.Status.Succeeded != *first.Spec.Completions || len(first.Status.Conditions) != 2 {
		s.t.Errorf("the Job is not complete: %s", show(first.Status))
	}
	var job batchv1.Job
	must(s.t, s.client.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: last}, &job))
}

// click follows the first link of a mail as a browser would.
func (s *shop) click(m sandbox.Message) {
	s.t.Helper()
	full, err := s.sandbox.Client().Message(s.t.Context(), m.Seq)
	must(s.t, err)
	follow(s.t, full.Links[0])
}
