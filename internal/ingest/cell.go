// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// cell is a value of a row: text from CSV, a JSON value from JSON lines.
type cell struct {
	text     string
	document json.RawMessage // nil from CSV
}

// absent holds for an empty cell of CSV, and for null.
func (c cell) absent() bool {
	if c.document != nil {
		return string(c.document) == "null"
	}
	return strings.TrimSpace(c.text) == ""
}

// plain is the value as text: a string's content, a number or a truth value as written, and an
// empty text where it is absent.
func (c cell) plain() (string, error) {
	switch {
	case c.document == nil:
		return strings.TrimSpace(c.text), nil
	case c.absent():
		return "", nil
	}
	switch c.document[0] {
	case '"':
		var text string
		if err := json.Unmarshal(c.document, &text); err != nil {
			return "", errors.New("is not a JSON string")
		}
		return strings.TrimSpace(text), nil
	case '{', '[':
		return "", errors.New("is a JSON object or array: write a text or a number")
	}
	return string(c.document), nil
}

// json is the value as a document: a cell of CSV holds one as text.
func (c cell) json() json.RawMessage {
	if c.document != nil {
		return c.document
	}
	return json.RawMessage(c.text)
}

// field reads a value that may be absent.
func field[T comparable](c cell, parse func(string) (T, error)) (store.Field[T], error) {
	text, err := c.plain()
	if err != nil {
		return store.Field[T]{}, err
	}
	if text == "" {
		return store.None[T](), nil
	}
	v, err := parse(text)
	if err != nil {
		return store.Field[T]{}, err
	}
	return store.Value(v), nil
}

// must reads a value that may not be absent.
func must[T comparable](c cell, parse func(string) (T, error)) (T, error) {
	f, err := field(c, parse)
	v, ok := f.Get()
	if err == nil && !ok {
		err = errors.New("is empty")
	}
	return v, err
}

func text(s string) (string, error) { return s, nil }

func integer(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", shorten(s))
	}
	return n, nil
}

func amount(s string) (money.Amount, error) { return money.Parse(s) }

// moment reads a time; one without a zone is in zone.
func moment(zone *time.Location) func(string) (time.Time, error) {
	return func(s string) (time.Time, error) {
		// Longer forms first; Parse takes a fraction of a second in all of them.
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t, nil
		}
		for _, layout := range []string{time.DateTime, time.DateOnly, "2006-01-02T15:04:05"} {
			if t, err := time.ParseInLocation(layout, s, zone); err == nil {
				return t, nil
			}
		}
		return time.Time{}, fmt.Errorf("%q is not a time: write it like 2026-03-01T10:00:00+09:00, 2026-03-01 10:00:00 or 2026-03-01", shorten(s))
	}
}

func consent(s string) (string, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", store.ConsentGranted:
		return store.ConsentGranted, nil
	case "false", "0", "no", store.ConsentWithdrawn:
		return store.ConsentWithdrawn, nil
	}
	return "", fmt.Errorf("%q is neither true nor false", shorten(s))
}

// phone puts a country's calling code in place of a leading 0. The rest is the store's to judge.
func phone(callingCode string) func(string) (string, error) {
	return func(s string) (string, error) {
		rest, national := strings.CutPrefix(strings.TrimLeft(s, "( "), "0")
		switch {
		case !national:
			return s, nil
		case callingCode == "":
			return "", fmt.Errorf("%q does not say its country: write it like +819012345678, or import with --calling-code, such as 81", shorten(s))
		case strings.HasPrefix(rest, "0"):
			return "", fmt.Errorf("%q begins with two zeros: write + and the country's code", shorten(s))
		}
		return "+" + callingCode + rest, nil
	}
}

// shorten keeps a whole pasted file out of an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
