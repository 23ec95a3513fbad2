// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kclock "k8s.io/utils/clock"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
)

// wait turns a business moment into machine time from now, for RequeueAfter. Zero, for none, stays
// zero; a moment that has passed is almost now.
func wait(clk kclock.PassiveClock, next time.Time) time.Duration {
	if next.IsZero() {
		return 0
	}
	return max(clock.RealDuration(clk, next.Sub(clk.Now())), time.Millisecond)
}

// earlier is the earlier of two moments, either of which may be zero for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func metaTime(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	// Status keeps whole seconds; what it is compared with must too.
	return &metav1.Time{Time: t.Truncate(time.Second).Local()}
}

func trimSpace(b []byte) string { return strings.TrimSpace(string(b)) }

func readyReason(list []metav1.Condition) string {
	if c := meta.FindStatusCondition(list, crm.ConditionReady); c != nil {
		return c.Reason
	}
	return crm.ReasonProgressing
}

func sameReady(a, b []metav1.Condition) bool {
	x, y := meta.FindStatusCondition(a, crm.ConditionReady), meta.FindStatusCondition(b, crm.ConditionReady)
	return x != nil && y != nil && x.Status == y.Status && x.Reason == y.Reason && x.Message == y.Message
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
