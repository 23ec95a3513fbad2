// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"maps"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestRestoredFromABackup sends a run of which the store then knows nothing any more: it is planned again, with the
// same keys, behind channels that are suspended, and what was due is marked. Nobody gets anything twice: whom the
// provider knows the key of is told apart, and mails, of which nobody can tell, end unknown.
func TestRestoredFromABackup(t *testing.T) {
	tests := map[string]struct {
		steps, want string
		resolves    int
	}{
		"LINE": {onePush, "sent:19;skipped NoConsent:1;", 19},
		"mail": {oneMail, "skipped NoConsent:1;unknown OutcomeLost:19;", 19},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.provider = newProvider()
				hold := func(suspended bool) {
					for ref, kind := range map[Ref]string{push: "line", mail: "email"} {
						ch := f.channel(kind)
						ch.Suspended = suspended
						f.channels.Put(ref, ch)
					}
				}
				hold(false)
				f.customers(20)
				a := f.armed(tt.steps)
				e := f.engine()
				f.fire(e, a)
				f.finish(e)
				f.want("sent:20;")

				for _, table := range []string{"messages", "enrolments", "runs", "slots", "shards"} {
					f.exec(`DELETE FROM ` + table) // as in a backup from before the slot
				}
				f.exec(`UPDATE consents SET state = 'withdrawn' WHERE customer_id = 'c00003'`)
				hold(true)
				next := f.engine()
				f.fire(next, a)
				f.plan(next)
				f.turn(next)
				f.want("planned:19;skipped NoConsent:1;")
				f.clock.SetTime(monday.Add(time.Hour))
				early, err := Doubt(t.Context(), f.st, "shop", monday.Add(-time.Hour), monday.Add(-time.Minute))
				f.ok(err)
				if len(early.Marked) != 0 {
					t.Errorf("marked %v of what was not due", early.Marked)
				}
				marked, err := Doubt(t.Context(), f.st, "shop", monday.Add(-time.Hour), f.clock.Now())
				f.ok(err)
				if want := map[string]int{map[string]string{"LINE": "line", "mail": "email"}[name]: 19}; !maps.Equal(marked.Marked, want) || marked.Unplanned != 0 {
					t.Errorf("marked %v, want %v", marked, want)
				}
				hold(false)
				f.finish(next)
				f.want(tt.want)
				asked := 0
				for _, n := range f.provider.resolves {
					asked += n
				}
				if asked != tt.resolves {
					t.Errorf("the provider was asked %d times, want %d", asked, tt.resolves)
				}
				f.exec(`UPDATE enrolments SET state = 'active', due_at = 0 WHERE customer_id = 'c00001'`)
				late, err := Doubt(t.Context(), f.st, "shop", monday, f.clock.Now())
				f.ok(err)
				if late.Unplanned != 1 || len(late.Marked) != 0 {
					t.Errorf("who is due and not planned: %+v", late)
				}
				for key, n := range f.provider.sends {
					if n != 1 {
						t.Errorf("message %s was sent %d times", key, n)
					}
				}
				if n := f.taken(); n != 20 {
					t.Errorf("%d messages were taken", n)
				}
			})
		}
	})
}
