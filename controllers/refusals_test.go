// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestRefusalsAreShown(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	testenv.Stores(t, func(t *testing.T, dsn string) {
		st, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		if err := st.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := st.Exec(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		refuse := func(channel, status string, at time.Time) {
			t.Helper()
			id := uuid.NewString()
			exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason,
  attempts, fence, parts, cost, due_at, planned_at, expires_at)
VALUES ($1, 'shop', 'second', '1', 'anna', $2, 's1', 'run', 'r1', $3, 'email', 'sent', '', 1, 0, 1, 0, 0, 0, 0)`, id, id, channel)
			exec(`INSERT INTO receipts (ns, id, message_id, kind, detail, machine, occurred_at, received_at) VALUES ('shop', $1, $2, 'refused', $3, 0, $4, $4)`,
				"email/"+id, id, `{"class":"policy","status":"`+status+`"}`, store.Millis(at))
		}
		recorder := events.NewFakeRecorder(10)
		clock := clocktesting.NewFakePassiveClock(now)
		r := &ChannelConfigReconciler{Store: st, Clock: clock, Recorder: recorder}
		config := &crm.ChannelConfig{Spec: crm.ChannelConfigSpec{Email: &crm.EmailChannel{}}}
		look := func() string {
			t.Helper()
			if err := r.refusals(t.Context(), dispatch.Ref{Namespace: "shop", Name: "mail-main"}, config); err != nil {
				t.Fatal(err)
			}
			if c := meta.FindStatusCondition(config.Status.Conditions, crm.ConditionMailAccepted); c != nil {
				return string(c.Status) + " " + c.Reason + " " + c.Message
			}
			return ""
		}
		refuse("mail-other", "5.7.1", now)
		refuse("mail-main", "5.7.1", now.Add(-25*time.Hour))
		if got := look(); got != "" {
			t.Errorf("another channel's, and an old one: %s", got)
		}
		refuse("mail-main", "5.7.1", now.Add(-2*time.Hour))
		refuse("mail-main", "5.7.26", now.Add(-time.Hour))
		for range 2 {
			if got := look(); !strings.HasPrefix(got, "False PolicyRefused in the last 24 hours 2 mails") || !strings.Contains(got, "5.7.26") {
				t.Errorf("status %s", got)
			}
		}
		if len(recorder.Events) != 1 || !strings.Contains(<-recorder.Events, "PolicyRefused") {
			t.Error("there is not one event")
		}
		clock.SetTime(now.Add(24 * time.Hour))
		if got := look(); got != "" {
			t.Errorf("a day later: %s", got)
		}
	})
}
