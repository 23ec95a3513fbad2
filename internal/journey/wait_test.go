// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey_test

import (
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// TestWaits is about one step b after a step a, which the customer came to at now, or waits for since then.
func TestWaits(t *testing.T) {
	delivery := journey.DateKey{Of: crm.DateNextDelivery}
	renewal := journey.DateKey{Attribute: "renews_on"}
	renews := journey.DateKey{Of: crm.DateSubscriptionRenewal}
	tests := map[string]struct {
		zone, wait  string
		cursor, due string // empty comes from a
		since, now  string
		happened    string
		dates       map[journey.DateKey]string
		entry       map[string]any
		of          crm.DateReference // of the trigger
		want        string
	}{
		"until a moment": {
			wait: `{"until": {"of": "NextDelivery", "offset": "-1d"}}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-05T03:00:00Z"}, want: "a@02T01:00, then b@04T03:00",
		},
		"until a time of that day, not of the next": {
			wait: `{"until": {"of": "NextDelivery", "offset": "-1d"}, "at": "18:00"}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-05T14:59:59Z"}, want: "a@02T01:00, then b@04T09:00",
		},
		"the day is that of the zone": {
			wait: `{"until": {"of": "NextDelivery"}, "at": "08:00"}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-05T15:00:00Z"}, want: "a@02T01:00, then b@05T23:00",
		},
		"of an attribute": {
			wait: `{"until": {"attribute": "renews_on", "offset": "2d"}, "at": "12:00"}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{renewal: "2026-11-04T15:00:00Z"}, want: "a@02T01:00, then b@07T03:00",
		},
		"that has passed": {
			wait: `{"until": {"of": "NextDelivery", "offset": "-1d"}}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-03T00:59:59Z"}, want: "a@02T01:00, b@02T01:00!DatePassed, completed",
		},
		"that is now": {
			wait: `{"until": {"of": "NextDelivery", "offset": "-1d"}}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-03T01:00:00Z"}, want: "a@02T01:00, b@02T01:00, completed",
		},
		"that the customer has not got, perhaps yet": {
			wait: `{"until": {"of": "NextDelivery"}}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, then >b@02T01:00",
		},
		"that the customer has not got": {
			wait: `{"until": {"of": "NextDelivery"}}`, cursor: ">b", due: "2026-11-02T01:00:00Z", now: "2026-11-02T01:00:01Z", want: "b@02T01:00!NoDate, completed",
		},
		"that has moved while they waited": {
			wait: `{"until": {"of": "NextDelivery"}}`, cursor: "b", due: "2026-11-05T03:00:00Z", now: "2026-11-05T03:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-09T03:00:00Z"}, want: "then b@09T03:00",
		},
		"that came nearer while they waited": {
			wait: `{"until": {"of": "NextDelivery"}}`, cursor: "b", due: "2026-11-05T03:00:00Z", now: "2026-11-05T03:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-04T03:00:00Z"}, want: "b@04T03:00, completed",
		},
		"the date that let in stays": {
			wait: `{"until": {"of": "NextDelivery", "offset": "1d"}, "at": "10:00"}`, now: "2026-11-02T01:00:00Z", of: crm.DateNextDelivery,
			entry: map[string]any{"date": "2026-11-05"}, dates: map[journey.DateKey]string{delivery: "2026-12-05T03:00:00Z"}, want: "a@02T01:00, then b@06T01:00",
		},
		"over the end of summer time": {
			zone: "America/New_York", wait: `{"until": {"of": "NextDelivery", "offset": "-1d"}}`, now: "2026-10-25T12:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-11-01T17:00:00Z"}, // noon, an hour after which it is one hour less
			want:  "a@25T12:00, then b@31T16:00",
		},
		"half an hour that is left out on Lord Howe": {
			zone: "Australia/Lord_Howe", wait: `{"until": {"of": "NextDelivery"}, "at": "02:15"}`, now: "2026-10-01T00:00:00Z",
			dates: map[journey.DateKey]string{delivery: "2026-10-04T01:00:00Z"}, want: "a@01T00:00, then b@03T15:30",
		},
		"a leap day": {
			wait: `{"until": {"attribute": "renews_on", "offset": "1d"}}`, now: "2028-02-20T00:00:00Z",
			dates: map[journey.DateKey]string{renewal: "2028-02-27T15:00:00Z"}, want: "a@20T00:00, then b@28T15:00",
		},
		"the end of the year": {
			wait: `{"until": {"attribute": "renews_on", "offset": "-3d"}, "at": "09:00"}`, now: "2026-12-20T00:00:00Z",
			dates: map[journey.DateKey]string{renewal: "2027-01-01T15:00:00Z"}, want: "a@20T00:00, then b@30T00:00",
		},

		"the yearly return, which is next": {
			wait: `{"until": {"of": "SubscriptionRenewal", "offset": "-7d"}, "at": "10:00"}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{renews: "2024-11-19T03:00:00Z"}, want: "a@02T01:00, then b@12T01:00",
		},
		"the yearly return, this year's being over": {
			wait: `{"until": {"of": "SubscriptionRenewal", "offset": "-7d"}, "at": "10:00"}`, now: "2026-11-02T01:00:00Z",
			dates: map[journey.DateKey]string{renews: "2024-11-05T03:00:00Z"}, want: "a@02T01:00, then b@29T01:00",
		},
		"the day after the yearly return": {
			wait: `{"until": {"of": "SubscriptionRenewal", "offset": "1d"}, "at": "10:00"}`, cursor: "b", due: "2026-11-20T01:00:00Z", now: "2026-11-20T01:00:00Z",
			dates: map[journey.DateKey]string{renews: "2024-11-19T03:00:00Z"}, want: "b@20T01:00, completed",
		},
		"the yearly return of a leap day": {
			wait: `{"until": {"of": "SubscriptionRenewal"}, "at": "10:00"}`, now: "2027-02-01T01:00:00Z",
			dates: map[journey.DateKey]string{renews: "2024-02-29T03:00:00Z"}, want: "a@01T01:00, then b@28T01:00",
		},

		"on weekdays":                 {wait: `{"weekdays": ["Mon", "Fri"], "at": "09:00"}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, then b@06T00:00"},
		"on one of them, later today": {wait: `{"weekdays": ["Mon"], "at": "11:00"}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, then b@02T02:00"},
		"on a weekday, now":           {wait: `{"weekdays": ["Mon"]}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, b@02T01:00, completed"},
		"at the same time on one":     {wait: `{"for": "1d", "weekdays": ["Sat"]}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, then b@07T01:00"},
		"weekdays over the end of summer time": {
			zone: "Europe/London", wait: `{"weekdays": ["Sun"], "at": "09:00"}`, now: "2026-10-23T12:00:00Z", want: "a@23T12:00, then b@25T09:00",
		},
		"a weekday whose hour is left out": {
			zone: "Europe/London", wait: `{"weekdays": ["Sun"], "at": "01:30"}`, now: "2026-03-27T12:00:00Z", want: "a@27T12:00, then b@29T01:00",
		},

		"for an event": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, now: "2026-11-02T01:00:00Z", want: "a@02T01:00, then ?b@04T01:00",
		},
		"for an event, some seconds late": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}, "at": "10:00"}`, cursor: ">a", due: "2026-11-02T01:00:00Z", now: "2026-11-02T01:00:07Z", want: "a@02T01:00, then ?b@04T01:00",
		},
		"for an event, days late": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, cursor: ">a", due: "2026-11-02T01:00:00Z", now: "2026-11-05T01:00:00Z", want: "a@02T01:00, then ?b@07T01:00",
		},
		"woken without it": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, cursor: "?b", due: "2026-11-04T01:00:00Z", since: "2026-11-02T01:00:00Z",
			now: "2026-11-03T01:00:00Z", want: "then ?b@04T01:00",
		},
		"when it happens": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, cursor: "?b", due: "2026-11-04T01:00:00Z", since: "2026-11-02T01:00:00Z",
			now: "2026-11-03T01:00:00Z", happened: "2026-11-03T00:30:00Z", want: "b@03T00:30, completed",
		},
		"when it happens, at the next hour": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}, "at": "12:00"}`, cursor: "?b", due: "2026-11-04T01:00:00Z", since: "2026-11-02T01:00:00Z",
			now: "2026-11-03T01:00:00Z", happened: "2026-11-03T00:30:00Z", want: "then b@03T03:00",
		},
		"what happened before": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, cursor: "?b", due: "2026-11-04T01:00:00Z", since: "2026-11-02T01:00:00Z",
			now: "2026-11-03T01:00:00Z", happened: "2026-11-02T00:59:59Z", want: "then ?b@04T01:00",
		},
		"when time is up": {
			wait: `{"untilEvent": {"name": "Product Viewed", "timeout": "2d"}}`, cursor: "?b", due: "2026-11-04T01:00:00Z", since: "2026-11-02T01:00:00Z",
			now: "2026-11-04T01:00:00Z", want: "b@04T01:00, completed",
		},
		"an event that nobody waits for any more": {
			wait: `{"for": "1d"}`, cursor: "?b", due: "2026-11-04T01:00:00Z", now: "2026-11-03T01:00:00Z", want: "then b@04T01:00",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.zone == "" {
				tt.zone = "Asia/Tokyo"
			}
			b := bundle(t, tt.zone, `[{"name": "a", `+mail+`}, {"name": "b", "wait": `+tt.wait+`, `+mail+`}]`)
			if tt.of != "" {
				b.Spec.Trigger.Date = &crm.DateTrigger{Of: tt.of, Offset: "-3d"}
			}
			j := compile(t, b)
			f := journey.Facts{Now: moment(t, tt.now), Entry: tt.entry, Dates: map[journey.DateKey]time.Time{}}
			for key, at := range tt.dates {
				f.Dates[key] = moment(t, at)
			}
			if tt.happened != "" {
				f.Happened = moment(t, tt.happened)
			}
			s := j.Start(f.Now)
			if tt.cursor != "" {
				s = journey.StateAt(tt.cursor, moment(t, tt.due))
			}
			if tt.since != "" {
				s.Since = moment(t, tt.since)
			}
			if got := told(j.Advance(s, f)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestExitsDuringAWait(t *testing.T) {
	b := bundle(t, "UTC", `[{"name": "a", `+mail+`}, {"name": "b", "wait": {"for": "7d"}, `+mail+`}]`)
	b.Spec.ExitOn = []crm.ExitReason{crm.ExitGoal, crm.ExitSegment}
	j := compile(t, b)
	now := moment(t, "2026-11-03T00:00:00Z")
	waiting := journey.StateAt("b", now.Add(24*time.Hour))
	for want, facts := range map[string]journey.Facts{
		"exited GoalReached":  {Now: now, Converted: true},
		"exited SegmentExit":  {Now: now, OutOfSegment: true},
		"exited Unsubscribed": {Now: now, Unsubscribed: true},
		"then b@04T00:00":     {Now: now},
	} {
		if got := told(j.Advance(waiting, facts)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
