// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clock provides the clock of business time: slots, waits, windows and goals read it,
// leases, timeouts, retries and rate limits do not.
//
// In production it is the machine's clock. A demo may speed it up, so that several days of a
// scenario pass in a minute.
package clock

import (
	"time"

	"k8s.io/utils/clock"
)

// Clock is what business time is read from and waited on.
type Clock = clock.WithTicker

// Real is the machine's clock.
func Real() Clock { return clock.RealClock{} }

// RealDuration turns a duration of clk's time into the time a person at the machine would wait,
// for what cannot be given a clock, such as a reconciler's RequeueAfter. A positive duration
// stays positive, since RequeueAfter: 0 would mean "never again". A clock that is not sped up,
// a fake one included, gives d back.
func RealDuration(clk clock.PassiveClock, d time.Duration) time.Duration {
	if s, ok := clk.(*Scaled); ok {
		return s.real(d)
	}
	return d
}
