// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey_test

import (
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// TestCalendar is about the next slot after a moment, and the day whose occasions it lets in for.
func TestCalendar(t *testing.T) {
	tests := map[string]struct {
		zone, at  string
		offset    crm.SignedDuration
		after     string
		slot, day string
	}{
		"Tokyo":                           {"Asia/Tokyo", "10:00", "-3d", "2026-11-02T01:00:00Z", "2026-11-03T01:00:00Z", "2026-11-06"},
		"Tokyo, just after midnight":      {"Asia/Tokyo", "00:30", "0d", "2026-11-02T01:00:00Z", "2026-11-02T15:30:00Z", "2026-11-03"},
		"over the year's end":             {"Asia/Tokyo", "10:00", "-3d", "2026-12-29T02:00:00Z", "2026-12-30T01:00:00Z", "2027-01-02"},
		"back over the year's end":        {"Asia/Tokyo", "10:00", "2d", "2026-12-31T02:00:00Z", "2027-01-01T01:00:00Z", "2026-12-30"},
		"to a leap day":                   {"Asia/Tokyo", "10:00", "-1d", "2028-02-27T02:00:00Z", "2028-02-28T01:00:00Z", "2028-02-29"},
		"from a leap day":                 {"Asia/Tokyo", "10:00", "1d", "2028-02-29T02:00:00Z", "2028-03-01T01:00:00Z", "2028-02-29"},
		"over a month's end":              {"Asia/Tokyo", "10:00", "30d", "2026-03-01T02:00:00Z", "2026-03-02T01:00:00Z", "2026-01-31"},
		"New York, before the clock goes": {"America/New_York", "10:00", "-1d", "2026-03-07T10:00:00Z", "2026-03-07T15:00:00Z", "2026-03-08"},
		"New York, the day it goes":       {"America/New_York", "10:00", "-1d", "2026-03-08T10:00:00Z", "2026-03-08T14:00:00Z", "2026-03-09"},
		"New York, a time left out":       {"America/New_York", "02:30", "0d", "2026-03-08T01:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08"},
		"New York, a time that is twice":  {"America/New_York", "01:30", "0d", "2026-11-01T01:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01"},
		"New York, not a second time":     {"America/New_York", "01:30", "0d", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z", "2026-11-02"},
		"London, a time left out":         {"Europe/London", "01:15", "7d", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-22"},
		"London, a time that is twice":    {"Europe/London", "01:15", "7d", "2026-10-24T12:00:00Z", "2026-10-25T00:15:00Z", "2026-10-18"},
		"Lord Howe, half an hour forward": {"Australia/Lord_Howe", "02:15", "0d", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z", "2026-10-04"},
		"Lord Howe, half an hour back":    {"Australia/Lord_Howe", "01:45", "0d", "2026-04-04T02:00:00Z", "2026-04-04T14:45:00Z", "2026-04-05"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := bundle(t, tt.zone, `[{"name": "a", `+mail+`}]`)
			b.Spec.Trigger = crm.Trigger{Date: &crm.DateTrigger{Of: crm.DateNextDelivery, Offset: tt.offset, Time: crm.TimeOfDay(tt.at)}}
			c := compile(t, b).Calendar
			slot := c.Daily.Next(moment(t, tt.after))
			if got := slot.Time.UTC().Format(time.RFC3339); got != tt.slot {
				t.Errorf("the slot is %s, want %s", got, tt.slot)
			}
			if got := c.DayOf(slot.Time).Format(time.DateOnly); got != tt.day {
				t.Errorf("it is about %s, want %s", got, tt.day)
			}
		})
	}
}
