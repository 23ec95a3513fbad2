// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const wantCron = `write five fields, minute, hour, day of month, month and day of week, such as "0 10 * * *"`

// horizon is the longest that a cron expression can pause: from 29 February 2096 to that of 2104.
const horizon = 9 * 12

// expression finds the wall times that a cron expression matches. Only the parsing is the
// library's: its Next walks instants of a zone and loses slots where the clock is changed.
type expression struct {
	minute, hour, dom, month, dow uint64
	anyDay                        bool // either day field suffices
}

// starBit is how the library marks a field that was written *.
const starBit = 1 << 63

func parseExpression(text string) (*expression, error) {
	fields := strings.Fields(text)
	switch {
	case strings.HasPrefix(text, "TZ="), strings.HasPrefix(text, "CRON_TZ="):
		return nil, fmt.Errorf("cron %q names a time zone: put it in timeZone", text)
	case strings.HasPrefix(text, "@every"):
		return nil, fmt.Errorf("cron %q has no fixed times to keep to: %s", text, wantCron)
	case len(fields) == 6:
		return nil, fmt.Errorf("cron %q has six fields, and seconds are not supported: %s", text, wantCron)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("cron %q is not valid (%w): %s", text, err, wantCron)
	}
	spec, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("cron %q has no fixed times to keep to: %s", text, wantCron)
	}
	e := &expression{
		minute: spec.Minute &^ starBit,
		hour:   spec.Hour &^ starBit,
		dom:    spec.Dom &^ starBit,
		month:  spec.Month &^ starBit,
		dow:    spec.Dow &^ starBit,
		anyDay: spec.Dom&starBit == 0 && spec.Dow&starBit == 0,
	}
	if e.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("cron %q never fires: no year has a day that it matches", text)
	}
	return e, nil
}

func (e *expression) matchesDay(day time.Time) bool {
	if e.month&(1<<day.Month()) == 0 {
		return false
	}
	dom, dow := e.dom&(1<<day.Day()) != 0, e.dow&(1<<day.Weekday()) != 0
	if e.anyDay {
		return dom || dow
	}
	return dom && dow
}

// next is the first match after wall, or zero where there is none within the horizon.
func (e *expression) next(wall time.Time) time.Time {
	day := midnight(wall)
	if e.matchesDay(day) {
		if m, ok := e.nextMinute(int(wall.Sub(day)/time.Minute) + 1); ok {
			return day.Add(m)
		}
	}
	end := day.AddDate(0, horizon, 0)
	for day = day.AddDate(0, 0, 1); day.Before(end); {
		switch {
		case e.month&(1<<day.Month()) == 0:
			day = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !e.matchesDay(day):
			day = day.AddDate(0, 0, 1)
		default:
			if m, ok := e.nextMinute(0); ok {
				return day.Add(m)
			}
			return time.Time{}
		}
	}
	return time.Time{}
}

// latest is the last match at or before wall, or zero where there is none within the horizon.
func (e *expression) latest(wall time.Time) time.Time {
	day := midnight(wall)
	if e.matchesDay(day) {
		if m, ok := e.latestMinute(int(wall.Sub(day) / time.Minute)); ok {
			return day.Add(m)
		}
	}
	end := day.AddDate(0, -horizon, 0)
	for day = day.AddDate(0, 0, -1); day.After(end); {
		switch {
		case e.month&(1<<day.Month()) == 0:
			day = time.Date(day.Year(), day.Month(), 0, 0, 0, 0, 0, time.UTC)
		case !e.matchesDay(day):
			day = day.AddDate(0, 0, -1)
		default:
			if m, ok := e.latestMinute(24*60 - 1); ok {
				return day.Add(m)
			}
			return time.Time{}
		}
	}
	return time.Time{}
}

// nextMinute is the first match of a day at or after its minute.
func (e *expression) nextMinute(minute int) (time.Duration, bool) {
	hour := minute / 60
	if e.hour&(1<<hour) != 0 {
		if rest := e.minute >> (minute % 60); rest != 0 {
			return time.Duration(minute+bits.TrailingZeros64(rest)) * time.Minute, true
		}
	}
	hours := e.hour >> (hour + 1)
	if hours == 0 || e.minute == 0 {
		return 0, false
	}
	hour += 1 + bits.TrailingZeros64(hours)
	return time.Duration(hour*60+bits.TrailingZeros64(e.minute)) * time.Minute, true
}

// latestMinute is the last match of a day at or before its minute.
func (e *expression) latestMinute(minute int) (time.Duration, bool) {
	hour := minute / 60
	if e.hour&(1<<hour) != 0 {
		if rest := e.minute & (1<<(minute%60+1) - 1); rest != 0 {
			return time.Duration(hour*60+bits.Len64(rest)-1) * time.Minute, true
		}
	}
	hours := e.hour & (1<<hour - 1)
	if hours == 0 || e.minute == 0 {
		return 0, false
	}
	return time.Duration((bits.Len64(hours)-1)*60+bits.Len64(e.minute)-1) * time.Minute, true
}
