// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const wantDuration = "write it like 90m, 36h, 30d, 2w or 1d12h"

var units = map[byte]time.Duration{
	's': time.Second,
	'm': time.Minute,
	'h': time.Hour,
	'd': 24 * time.Hour,
	'w': 7 * 24 * time.Hour,
}

// ParseDuration reads a duration as resources write it: whole numbers, each with a unit of s, m, h,
// d or w, added up. A day is 24 hours whatever the zone.
func ParseDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, fmt.Errorf("duration is empty: %s", wantDuration)
	}
	var total time.Duration
	for rest := text; rest != ""; {
		n, digits := int64(0), 0
		for ; digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9'; digits++ {
			d := int64(rest[digits] - '0')
			if n > (math.MaxInt64-d)/10 {
				return 0, fmt.Errorf("duration %q is too long: the limit is 292 years", text)
			}
			n = n*10 + d
		}
		if digits == 0 || digits == len(rest) {
			return 0, fmt.Errorf("duration %q is not valid: %s", text, wantDuration)
		}
		unit, ok := units[rest[digits]]
		if !ok {
			return 0, fmt.Errorf("duration %q is not valid: %s", text, wantDuration)
		}
		if n > int64(math.MaxInt64-total)/int64(unit) {
			return 0, fmt.Errorf("duration %q is too long: the limit is 292 years", text)
		}
		total += time.Duration(n) * unit
		rest = rest[digits+1:]
	}
	return total, nil
}

// ParseOffset reads a duration that may be negative, such as -3d: before rather than after.
func ParseOffset(text string) (time.Duration, error) {
	positive, negative := strings.CutPrefix(text, "-")
	d, err := ParseDuration(positive)
	if negative {
		d = -d
	}
	return d, err
}
