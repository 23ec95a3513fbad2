// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestWhoWaitsForItsTurnGetsIt has a channel looked at again and again while messages wait for its rate, as a
// controller does whenever there is something to report. Who waited longer than that lost its turn each time.
func TestWhoWaitsForItsTurnGetsIt(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		slow := func() *Channel {
			ch := f.channel("email")
			ch.PerSecond, ch.AllowList = 40, map[string]bool{}
			return ch
		}
		f.channels.Put(mail, slow())
		before, _ := f.channels.Get(mail)
		ctx, stop := context.WithCancel(t.Context())
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			for ctx.Err() == nil {
				f.channels.Put(mail, slow())
				time.Sleep(time.Millisecond)
			}
		}()
		f.customers(60)
		e := f.engine()
		f.fire(e, f.armed(oneMail))
		f.finish(e)
		stop()
		<-looked
		f.want("sent:60;")
		if now, _ := f.channels.Get(mail); now != before {
			t.Error("a channel that did not change is another one")
		}
		changed := slow()
		changed.AllowList["c00001"] = true
		f.channels.Put(mail, changed)
		if now, _ := f.channels.Get(mail); now != changed || now.Limiter != before.Limiter {
			t.Error("a channel that changed is the old one, or begins with a full bucket")
		}
	})
}
