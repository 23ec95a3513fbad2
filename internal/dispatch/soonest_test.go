// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestSoonest(t *testing.T) {
	tests := map[string]struct {
		next []time.Duration // after the tick began; it took 50 ms
		want time.Duration
	}{
		"nobody":                   {nil, tickEvery},
		"somebody soon":            {[]time.Duration{450 * time.Millisecond, 900 * time.Millisecond}, 400 * time.Millisecond},
		"somebody later":           {[]time.Duration{time.Hour}, tickEvery},
		"one after the other":      {[]time.Duration{60 * time.Millisecond}, soonestTick},
		"became due during a tick": {[]time.Duration{20 * time.Millisecond}, soonestTick},
		"was due and had to stay":  {[]time.Duration{0, -time.Minute}, tickEvery},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			clk := clocktesting.NewFakePassiveClock(monday.Add(50 * time.Millisecond))
			e := &Engine{clock: clk, armed: map[Ref]*armed{}}
			for i, d := range tt.next {
				e.armed[Ref{"shop", string(rune('a' + i))}] = &armed{next: monday.Add(d)}
			}
			if got := e.soonest(monday); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}
