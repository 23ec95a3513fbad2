// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"database/sql/driver"
	"regexp"
	"strconv"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// SQLite knows no time zones and no patterns, so it calls back for them. Functions are registered
// for the process, before a connection is opened.
func init() {
	sqlite.MustRegisterDeterministicScalarFunction("kaeru_number", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		if text, ok := args[0].(string); ok && numberForm.MatchString(text) {
			return strconv.ParseFloat(text, 64)
		}
		return nil, nil
	})
	sqlite.MustRegisterDeterministicScalarFunction("kaeru_day", 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		name, named := args[1].(string)
		if !ok || !named {
			return nil, nil
		}
		zone, err := location(name)
		if err != nil {
			return nil, err
		}
		if day, ok := dayOf(text, zone); ok {
			return day, nil
		}
		return nil, nil
	})
}

var locations sync.Map // of *time.Location by name: to load one takes longer than all the rest

func location(name string) (*time.Location, error) {
	if zone, ok := locations.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		locations.Store(name, zone)
	}
	return zone, err
}

var timeForm = regexp.MustCompile(`^` + timePattern + `(` + offsetPattern + `)?$`)

// dayOf is the day of a text in a zone, as 2006-01-02.
func dayOf(text string, zone *time.Location) (string, bool) {
	if len(text) < len(time.DateOnly) || text[0] == '0' {
		return "", false
	}
	date, rest := text[:len(time.DateOnly)], text[len(time.DateOnly):]
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", false
	}
	if rest == "" {
		return date, true
	}
	parts := timeForm.FindStringSubmatch(rest)
	if parts == nil {
		return "", false
	}
	offset := parts[4]
	if offset == "" {
		return date, true
	}
	clock := rest[1 : len(rest)-len(offset)]
	ahead, err := time.ParseDuration(clock[:2] + "h" + clock[3:5] + "m")
	if err != nil {
		return "", false
	}
	if len(clock) > 5 {
		seconds, err := strconv.ParseFloat(clock[6:], 64)
		if err != nil {
			return "", false
		}
		// PostgreSQL rounds to microseconds.
		ahead += time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
	}
	if offset != "Z" {
		east, err := time.ParseDuration(offset[1:3] + "h" + offset[len(offset)-2:] + "m")
		if err != nil {
			return "", false
		}
		if offset[0] == '-' {
			east = -east
		}
		ahead -= east
	}
	return day.Add(ahead).In(zone).Format(time.DateOnly), true
}
