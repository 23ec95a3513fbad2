// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

func TestRetryKeyLifetime(t *testing.T) {
	l := newLedger()
	begun := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	now := begun
	l.now = func() time.Time { return now }
	l.recall(&record.Message{Key: "k", ReceivedAt: begun, Time: begun, Status: record.Delivered, Line: &record.Line{RequestID: "r"}})
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {24*time.Hour - time.Second, true}, {24 * time.Hour, false}, {0, false}} {
		now = begun.Add(tt.after)
		if _, ok := l.known("k"); ok != tt.want {
			t.Errorf("after %s known is %v, want %v", tt.after, ok, tt.want)
		}
	}
}

func TestMonthIsTokyos(t *testing.T) {
	l := newLedger()
	l.recall(&record.Message{Status: record.Delivered, Time: time.Date(2026, 9, 30, 15, 0, 0, 0, time.UTC), Line: &record.Line{}})
	l.recall(&record.Message{Status: record.Delivered, Time: time.Date(2026, 9, 30, 14, 59, 0, 0, time.UTC), Line: &record.Line{}})
	l.recall(&record.Message{Status: record.Blocked, Time: time.Date(2026, 10, 2, 0, 0, 0, 0, time.UTC), Line: &record.Line{}})
	if sep, oct := l.usedIn("2026-09"), l.usedIn("2026-10"); sep != 1 || oct != 1 {
		t.Errorf("September %d, October %d, want 1 and 1", sep, oct)
	}
}
