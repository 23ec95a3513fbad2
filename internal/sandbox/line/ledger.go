// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// keyLifetime is how long LINE keeps a retry key.
const keyLifetime = 24 * time.Hour

// tokyo is the zone in which LINE counts months.
var tokyo = time.FixedZone("JST", 9*60*60)

func month(t time.Time) string { return t.In(tokyo).Format("2006-01") }

// accepted is what a repeated retry key is answered with.
type accepted struct {
	at        time.Time
	requestID string
	sent      []record.SentMessage
}

// ledger is what one channel remembers: the retry keys it accepted and the
// messages it sent in each month. A push holds the lock from looking its key
// up to writing it down, so that of two at once one gets the 409.
type ledger struct {
	mu    sync.Mutex
	keys  map[string]accepted
	order []string
	used  map[string]int
	units map[string][]string
	now   func() time.Time
}

func newLedger() *ledger {
	return &ledger{keys: map[string]accepted{}, used: map[string]int{}, now: time.Now}
}

func (l *ledger) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys, l.order, l.used, l.units = map[string]accepted{}, nil, map[string]int{}, nil
}

func (l *ledger) recall(m *record.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remember(m)
}

// remember takes a recorded push into account; the caller holds the lock.
func (l *ledger) remember(m *record.Message) {
	for _, name := range m.Line.AggregationUnits {
		l.unit(month(m.Time), name)
	}
	if m.Status == record.Delivered && !m.Line.Reply {
		l.used[month(m.Time)]++
	}
	if m.Key == "" {
		return
	}
	l.keys[m.Key] = accepted{at: m.ReceivedAt, requestID: m.Line.RequestID, sent: m.Line.SentMessages}
	l.order = append(l.order, m.Key)
}

// known looks a retry key up, dropping those past their time; the caller holds the lock.
func (l *ledger) known(key string) (accepted, bool) {
	limit := l.now().Add(-keyLifetime)
	for len(l.order) > 0 && !l.keys[l.order[0]].at.After(limit) {
		delete(l.keys, l.order[0])
		l.order = l.order[1:]
	}
	a, ok := l.keys[key]
	return a, ok
}

func (l *ledger) usedIn(month string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used[month]
}
