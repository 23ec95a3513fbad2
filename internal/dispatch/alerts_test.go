// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

func TestAlerts(t *testing.T) {
	ref := Ref{"shop", "sms-main"}
	told := 0
	c := NewChannels(func(Ref) { told++ })
	for _, step := range []struct {
		reason string
		alerts int
	}{
		{channel.ReasonContentFiltered, 0},
		{channel.ReasonContentFiltered, 0},
		{channel.ReasonRecipientInvalid, 0}, // no alert at all
		{channel.ReasonContentFiltered, 1},
		{channel.ReasonContentFiltered, 0}, // said already
		{channel.ReasonTooManyToOne, 1},
	} {
		c.Alert(ref, step.reason)
		if got := c.Alerts(ref); len(got) != step.alerts {
			t.Errorf("after %s: %v, want %d", step.reason, got, step.alerts)
		}
	}
	if told != 2 {
		t.Errorf("the reconciler was woken %d times, want 2", told)
	}
	now := time.Now()
	for i, want := range []bool{false, false, true} {
		if got := c.alerts.count(ref, channel.ReasonContentFiltered, now.Add(2*alertWithin)); got != want {
			t.Errorf("the %d. of the next hour: %t", i+1, got)
		}
	}
}
