// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestAPIServerAwayMidRun kills the API server in the middle of a run. What is planned goes out meanwhile, and the
// status tells of it when the API server is back.
func TestAPIServerAwayMidRun(t *testing.T) {
	s := newShopIn(t, testenv.OwnControlPlane(t), testenv.SQLite(t), clock.Real())
	s.importShop()
	s.start()
	s.apply(channels + slow)
	s.ready("segment/buyers", "channelconfig/line-slow")
	s.apply(at(3*time.Second, false))
	s.eventually(time.Minute, func() error {
		if got := s.total(); got < 3 {
			return fmt.Errorf("%d messages arrived", got)
		}
		return nil
	})
	must(t, s.cluster.StopAPIServer())
	away := s.total()
	s.eventually(time.Minute, func() error {
		if got := s.total(); got != 49 {
			return fmt.Errorf("%d messages arrived", got)
		}
		return nil
	})
	if away == 49 {
		t.Error("all was sent before the API server was killed")
	}
	must(t, s.cluster.StartAPIServer(t.Context()))
	s.eventually(time.Minute, func() error {
		got := s.scenario("sale").Status
		if len(got.Steps) == 0 || got.Steps[0].Sent != 49 || got.LastRun == nil || len(got.Active) > 0 {
			return fmt.Errorf("the status does not say that the run is over: %s", show(got))
		}
		return nil
	})
	if n := len(s.perRecipient("line")); n != 49 {
		t.Errorf("%d got one", n)
	}
}
