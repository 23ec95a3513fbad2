// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"
)

// A lease is the database's business: a worker whose clock is hours off takes nothing from who holds it, and
// keeps nothing from who comes next.
func TestLeasesAndAClockThatIsWrong(t *testing.T) {
	for _, off := range []string{"2 hours", "-2 hours"} {
		t.Run(off, func(t *testing.T) {
			s := newSharing(t)
			s.clock(off)
			st := s.open()
			if _, err := st.Exec(t.Context(), `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'shop', 'sale', 'r', 0, 1, 'open', '', 0, 0, 0)`); err != nil {
				t.Fatal(err)
			}
			one, two := &Engine{store: st, holder: "one"}, &Engine{store: s.open(), holder: "two"}
			claim := func(e *Engine, want int) (taken []shard) {
				t.Helper()
				taken, err := e.claim(t.Context(), 8, func(Ref) int { return 8 }, nil)
				if err != nil || len(taken) != want {
					t.Fatalf("%s took %d %v, want %d", e.holder, len(taken), err, want)
				}
				return taken
			}
			held := claim(one, 1)[0]
			claim(two, 0)
			if of, err := two.workedElsewhere(t.Context()); err != nil || of[held.ref] != 1 {
				t.Errorf("two counts %v %v", of, err)
			}
			if ours, err := one.renew(t.Context(), held); err != nil || !ours {
				t.Errorf("renewed: %v %v", ours, err)
			}
			claim(two, 0)
			if err := one.release(t.Context(), held, time.Now().Add(300*time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			claim(two, 0)
			time.Sleep(350 * time.Millisecond)
			again := claim(two, 1)[0]
			if ours, err := one.renew(t.Context(), held); err != nil || ours {
				t.Errorf("renewed what another has: %v %v", ours, err)
			}
			if again.fence <= held.fence {
				t.Errorf("fence %d after %d", again.fence, held.fence)
			}
		})
	}
}
