// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package clock

import (
	"sync"
	"time"
)

// timer hands out business time, where a time.Timer would hand out the machine's.
type timer struct {
	clock *Scaled
	timer *time.Timer
	c     chan time.Time
}

func (t *timer) fire() {
	select {
	case t.c <- t.clock.Now():
	default:
	}
}

func (t *timer) C() <-chan time.Time { return t.c }

func (t *timer) Stop() bool { return t.timer.Stop() }

func (t *timer) Reset(d time.Duration) bool { return t.timer.Reset(t.clock.real(d)) }

type ticker struct {
	c    chan time.Time
	once sync.Once
	done chan struct{}
}

func (t *ticker) C() <-chan time.Time { return t.c }

func (t *ticker) Stop() { t.once.Do(func() { close(t.done) }) }
