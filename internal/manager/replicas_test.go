// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestReplicasShareARun has two managers, of which one leads: both send, each message goes out once, and when the
// leader ends the other goes on and says how it went.
func TestReplicasShareARun(t *testing.T) {
	ctrl.SetLogger(testr.NewWithOptions(t, testr.Options{}))
	s := newShopIn(t, testenv.OwnControlPlane(t), testenv.Postgres(t), clock.Real())
	s.elects, s.shards = true, 2 // of four
	s.people(400)
	stopFirst := s.start()
	s.applyInPods("InProcess", "", "20")
	s.ready("scenario/sale", "channelconfig/line-main") // the first leads
	second := *s
	second.public = freeAddress(t)
	second.start()

	st, err := store.Open(t.Context(), s.dsn)
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	s.eventually(time.Minute, func() error {
		var holders string
		err := store.Each(t.Context(), st, func(rows *sql.Rows) error {
			var holder string
			err := rows.Scan(&holder)
			holders += " " + holder
			return err
		}, `SELECT DISTINCT holder FROM shards WHERE ns = $1 AND holder <> '' AND state = 'open'`, s.ns)
		must(t, err)
		if len(strings.Fields(holders)) < 2 {
			return fmt.Errorf("the run is worked on by%s; %d messages arrived", holders, s.total())
		}
		return nil
	})
	if got := s.total(); got >= 400 {
		t.Fatalf("all %d messages were sent before the leader ended", got)
	}
	stopFirst()
	s.eventually(2*time.Minute, func() error {
		if got := s.scenario("sale").Status; got.LastRun == nil || len(got.Active) > 0 || got.Steps[0].Sent != 400 {
			return fmt.Errorf("the run is not over: %s", show(got))
		}
		return nil
	})
	if got := s.perRecipient("line"); len(got) != 400 {
		t.Errorf("%d customers got a message", len(got))
	}
}
