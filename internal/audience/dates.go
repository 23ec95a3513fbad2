// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// A date in an attribute is a day that exists, alone or with a time of day, and a moment is one whose
// time says its offset from UTC. PostgreSQL fails on what looks like a moment and is none, so that
// the patterns must not match that. They are for PostgreSQL; dayOf does the same for SQLite.
const (
	yearPattern = `[1-9][0-9]{3}`
	leapPattern = `[1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00`
	dayPattern  = `((` + yearPattern + `)-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))` +
		`|(` + leapPattern + `)-02-29)`
	timePattern   = `[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?`
	offsetPattern = `(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])`
)

// day is the day of a text in the shop's zone, as 2006-01-02, and NULL where the text is no date.
func (s *statement) day(text string) string {
	zone := s.text(s.env.Shop.zone().String())
	if s.env.Dialect == store.SQLite {
		return "kaeru_day(" + text + ", " + zone + ")"
	}
	return fmt.Sprintf("(CASE WHEN %[1]s ~ '^%[2]s(%[3]s)?$' THEN LEFT(%[1]s, 10)"+
		" WHEN %[1]s ~ '^%[2]s%[3]s%[4]s$' THEN TO_CHAR(CAST(%[1]s AS TIMESTAMPTZ) AT TIME ZONE CAST(%[5]s AS TEXT), 'YYYY-MM-DD') END)",
		text, dayPattern, timePattern, offsetPattern, zone)
}

func (s *statement) attributeDate(c *v1alpha1.AttributeCondition, text, path string) (predicate, error) {
	day := s.day(text)
	var parts []string
	for _, side := range []struct {
		name, operator string
		limit          v1alpha1.Date
	}{{"after", ">", c.After}, {"before", "<", c.Before}} {
		if side.limit == "" {
			continue
		}
		if len(side.limit) != len(time.DateOnly) {
			return predicate{}, &Invalid{path + "." + side.name, "is not a date such as 2006-01-02"}
		}
		parts = append(parts, day+" "+side.operator+" "+s.text(string(side.limit)))
	}
	return when(strings.Join(parts, " AND ")), nil
}

// anniversary holds where the yearly return of a date lies on one of the days from today to the one
// that it is when the time has passed.
func (s *statement) anniversary(c *v1alpha1.AttributeCondition, text, path string) (predicate, error) {
	ahead, err := duration(c.AnniversaryWithin, path+".anniversaryWithin")
	if err != nil {
		return predicate{}, err
	}
	s.days = append(s.days, 0, ahead)
	zone, dialect := s.env.Shop.zone(), s.env.Dialect
	days := func(name string, more int) string {
		n := s.bind(named{name, ahead}, func(now time.Time, _ Thresholds) any {
			now = now.In(zone)
			return store.List(dialect, anniversaries(midnight(now).AddDate(0, 0, -more), midnight(now.Add(ahead)).AddDate(0, 0, more)))
		})
		return dialect.AnyText(n)
	}
	// Few customers have their day, and to read the others' dates would take most of the time. What is
	// written may be the day in another zone, and before 1 March that is two days off in a leap year.
	nearly := text
	if dialect == store.SQLite && !columns[c.Name] {
		// What is no text is no date, so that it may be taken as one here.
		nearly = s.word(s.customer("attributes"), c.Name, nil)
	}
	return when("SUBSTR(" + nearly + ", 6, 5) " + days("nearly", 2) + " AND SUBSTR(" + s.day(text) + ", 6, 5) " + days("anniversary", 0)), nil
}

// anniversaries are the days of the year, as 01-02, that return from one day to another.
func anniversaries(from, until time.Time) []string {
	if last := from.AddDate(1, 0, 0); until.After(last) {
		until = last
	}
	var days []string
	for day := from; !day.After(until); day = day.AddDate(0, 0, 1) {
		days = append(days, day.Format("01-02"))
		// In other years, who was born on 29 February has the anniversary on the 28th.
		if day.Month() == time.February && day.Day() == 28 && !leap(day.Year()) {
			days = append(days, "02-29")
		}
	}
	return days
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }
