// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"strings"
	"testing"
)

func TestSegments(t *testing.T) {
	tests := map[string]struct {
		body     string
		parts    int
		encoding string
	}{
		"empty":                       {"", 1, GSM7},
		"160":                         {strings.Repeat("a", 160), 1, GSM7},
		"161":                         {strings.Repeat("a", 161), 2, GSM7},
		"306":                         {strings.Repeat("a", 306), 2, GSM7},
		"307":                         {strings.Repeat("a", 307), 3, GSM7},
		"euro counts twice":           {strings.Repeat("a", 158) + "€", 1, GSM7},
		"one too many with the euro":  {strings.Repeat("a", 159) + "€", 2, GSM7},
		"an escape is not split":      {strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), 3, GSM7},
		"kanji 70":                    {strings.Repeat("蛙", 70), 1, UCS2},
		"kanji 71":                    {strings.Repeat("蛙", 71), 2, UCS2},
		"kanji 134":                   {strings.Repeat("蛙", 134), 2, UCS2},
		"kanji 135":                   {strings.Repeat("蛙", 135), 3, UCS2},
		"emoji 35":                    {strings.Repeat("🐸", 35), 1, UCS2},
		"emoji 36":                    {strings.Repeat("🐸", 36), 2, UCS2},
		"an emoji is not split":       {strings.Repeat("🐸", 67), 3, UCS2},
		"one kanji makes all of it":   {"蛙" + strings.Repeat("a", 70), 2, UCS2},
		"accents that GSM does carry": {"ÄÖÜäöüßéèà£¥§", 1, GSM7},
		"accents that it does not":    {"ê", 1, UCS2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if parts, encoding := Segments(tt.body); parts != tt.parts || encoding != tt.encoding {
				t.Errorf("%d %s, want %d %s", parts, encoding, tt.parts, tt.encoding)
			}
		})
	}
}
