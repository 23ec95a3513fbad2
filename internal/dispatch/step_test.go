// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// rest goes on with an engine until there is nothing more to do at this moment, and opens the runs as a
// controller would.
func (f *fixture) rest(e *Engine, s *Steps) {
	f.Helper()
	for range 100 {
		busy, err := s.Step(f.Context())
		f.ok(err)
		runs, err := e.Runs(f.Context(), shop)
		f.ok(err)
		for _, r := range runs {
			if r.State == RunPlanned {
				f.ok(e.Open(f.Context(), shop, r.Name))
				busy = true
			}
		}
		if !busy {
			return
		}
	}
	f.Fatal("there is always something more to do")
}

// TestStepsGoFromMomentToMoment drives an engine by hand over a wait, a night, and a cap that others go
// first under: each time Next says when there is something to do, and by then it is done.
func TestStepsGoFromMomentToMoment(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		hours, err := schedule.ParseQuietHours("21:00", "08:00", "Asia/Tokyo")
		f.ok(err)
		ch := f.channel("line")
		ch.Quiet = &Quiet{QuietHours: hours}
		ch.Caps = []Cap{{Messages: 1, Per: time.Hour}}
		f.channels.Put(push, ch)
		e := f.engine()
		e.firstBackoff, e.heldBack = firstBackoff, heldBack // which nobody here waits for
		steps := &Steps{engine: e}
		first := int32(90)
		urgent := f.armed(oneMail, func(s *crm.ScenarioSpec) { s.Priority = &first })
		urgent.Name = "urgent"
		f.ok(e.Arm(f.Context(), urgent))
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t"}},
  {"name": "b", "wait": {"for": "1d", "at": "22:00"}, "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}},
  {"name": "c", "wait": {"for": "1d", "at": "12:00"}, "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`))
		at := func(want string) time.Time {
			moment, err := time.Parse(time.RFC3339, want)
			f.ok(err)
			return moment
		}
		for _, then := range []struct{ states, next string }{
			{"sent:3;", "2026-11-03T22:00:00+09:00"},
			{"planned QuietHours:3;sent:3;", "2026-11-04T08:00:00+09:00"},
			{"sent:6;", "2026-11-05T12:00:00+09:00"},
			{"planned:3;sent:6;", "2026-11-05T12:00:02+09:00"},
			{"sent:9;", ""},
		} {
			f.rest(e, steps)
			f.want(then.states)
			next, err := steps.Next(f.Context())
			f.ok(err)
			if then.next == "" {
				if !next.IsZero() {
					t.Errorf("there is something to do at %s, and all is done", next)
				}
				continue
			}
			if !next.Equal(at(then.next)) {
				t.Fatalf("there is something to do at %s, want %s", next, then.next)
			}
			f.clock.SetTime(next)
		}
	})
}
