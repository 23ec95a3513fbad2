// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestGoalByAnEvent is about a goal that is no order: who reaches it is counted, and leaves, at once.
func TestGoalByAnEvent(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		e := f.engine()
		e.convert = func(ctx context.Context, tx *store.Tx, a Armed, customers []string) (int64, error) {
			return report.Convert(ctx, tx, a.Namespace, a.Name, a.Epoch, report.GoalOf(a.Compiled.Bundle.Spec.Goal), customers)
		}
		goal := func(event string, within crm.Duration) func(*crm.ScenarioSpec) {
			return func(s *crm.ScenarioSpec) {
				s.Goal = &crm.Goal{Event: event, Within: within}
				s.ExitOn = []crm.ExitReason{crm.ExitGoal}
			}
		}
		steps := `[{"name": "a", ` + thenMail + `, {"name": "b", "wait": {"for": "7d"}, ` + thenMail + `]`
		f.fire(e, f.armed(steps, goal("Product Viewed", "3d")))
		f.finish(e)
		f.want("sent:3;")
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.happen(viewed("e1", "c00001", monday.Add(-time.Minute)), viewed("e2", "c00002", monday.Add(23*time.Hour)))
		f.finish(e)
		for customer, want := range map[string]string{"c00000": "active  b", "c00001": "active  b", "c00002": "exited GoalReached "} {
			if got := f.way(customer); got != want {
				t.Errorf("%s is %q, want %q", customer, got, want)
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE converted_at IS NOT NULL AND customer_id = 'c00002'`); n != 1 {
			t.Errorf("%d messages are credited", n)
		}
		seen := func() int { return f.count(`SELECT CASE WHEN goal_seen_at = 0 THEN 0 ELSE 1 END FROM scenarios`) }
		// An edit that leaves the goal alone counts nothing anew; another goal does.
		for _, edit := range []struct {
			change func(*crm.ScenarioSpec)
			anew   bool
		}{
			{func(s *crm.ScenarioSpec) { goal("Product Viewed", "3d")(s); s.Goal.Target = "5%" }, false},
			{goal("Product Viewed", "5d"), true},
		} {
			f.ok(e.Arm(t.Context(), f.armed(steps, edit.change)))
			if anew := seen() == 0; anew != edit.anew {
				t.Errorf("the goal is counted anew: %v, want %v", anew, edit.anew)
			}
		}
	})
}

func viewed(id, customer string, at time.Time) store.Event {
	return store.Event{ID: id, CustomerID: customer, Name: "Product Viewed", OccurredAt: at, Properties: []byte(`{}`)}
}
