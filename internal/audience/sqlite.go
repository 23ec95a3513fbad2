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
	registerInZone("kaeru_day", func(text string, zone *time.Location) driver.Value {
		if day, ok := dayOf(text, zone); ok {
			return day
		}
		return nil
	})
	registerInZone("kaeru_moment", func(text string, zone *time.Location) driver.Value {
		if at, ok := momentOf(text, zone); ok {
			return at.UnixMilli()
		}
		return nil
	})
}

// registerInZone registers a function of a text and the name of a zone.
func registerInZone(name string, f func(text string, zone *time.Location) driver.Value) {
	sqlite.MustRegisterDeterministicScalarFunction(name, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		name, named := args[1].(string)
		if !ok || !named {
			return nil, nil
		}
		zone, err := location(name)
		if err != nil {
			return nil, err
		}
		return f(text, zone), nil
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

// written is a date in a text: its day and time of day as they stand there, in UTC, and the offset
// that they have, if one is given.
type written struct {
	at       time.Time
	offset   time.Duration
	offsetOK bool
}

func readDate(text string) (w written, ok bool) {
	if len(text) < len(time.DateOnly) || text[0] == '0' {
		return w, false
	}
	date, rest := text[:len(time.DateOnly)], text[len(time.DateOnly):]
	day, err := time.Parse(time.DateOnly, date)
	if err != nil || rest == "" {
		return written{at: day}, err == nil
	}
	parts := timeForm.FindStringSubmatch(rest)
	if parts == nil {
		return w, false
	}
	offset := parts[4]
	clock := rest[1 : len(rest)-len(offset)]
	ahead, err := time.ParseDuration(clock[:2] + "h" + clock[3:5] + "m")
	if err != nil {
		return w, false
	}
	if len(clock) > 5 {
		seconds, err := strconv.ParseFloat(clock[6:], 64)
		if err != nil {
			return w, false
		}
		// PostgreSQL rounds to microseconds.
		ahead += time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
	}
	w = written{at: day.Add(ahead), offsetOK: offset != ""}
	if w.offsetOK && offset != "Z" {
		east, err := time.ParseDuration(offset[1:3] + "h" + offset[len(offset)-2:] + "m")
		if err != nil {
			return w, false
		}
		if w.offset = east; offset[0] == '-' {
			w.offset = -east
		}
	}
	return w, true
}

// dayOf is the day of a text in a zone, as 2006-01-02.
func dayOf(text string, zone *time.Location) (string, bool) {
	w, ok := readDate(text)
	switch {
	case !ok:
		return "", false
	case !w.offsetOK:
		return text[:len(time.DateOnly)], true
	}
	return w.at.Add(-w.offset).In(zone).Format(time.DateOnly), true
}

// momentOf is the moment of a text. Without an offset it is the one at which the clocks in the zone
// show it. A time that they skip is taken as before they did, and one that they show twice as the
// second one, as PostgreSQL does.
func momentOf(text string, zone *time.Location) (time.Time, bool) {
	w, ok := readDate(text)
	if !ok || w.offsetOK {
		return w.at.Add(-w.offset), ok
	}
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, after := offset(w.at.Add(-24*time.Hour)), offset(w.at.Add(24*time.Hour))
	for _, o := range []time.Duration{after, before} {
		if at := w.at.Add(-o); offset(at) == o {
			return at, true
		}
	}
	return w.at.Add(-before), true
}
