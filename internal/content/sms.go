// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"
	"unicode/utf16"
)

// Encoding is how a text message goes over the air.
type Encoding string

// A text is GSM-7 where every character is in its alphabet, and UCS-2 otherwise.
const (
	GSM7 Encoding = "GSM-7"
	UCS2 Encoding = "UCS-2"
)

// SMSCount is what a text message costs: carriers bill by the part.
type SMSCount struct {
	Encoding Encoding
	// Units are septets in GSM-7, where ^{}\[]~|€ and the form feed take two, and UTF-16 units
	// in UCS-2, where an emoji takes two or more.
	Units int
	Parts int
}

const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmEscaped = "^{}\\[]~|€\f"
)

// gsmUnits holds the septets of each character of the alphabet.
var gsmUnits = func() map[rune]int {
	units := map[rune]int{}
	for _, r := range gsmBasic {
		units[r] = 1
	}
	for _, r := range gsmEscaped {
		units[r] = 2
	}
	return units
}()

// CountSMS counts a text message's parts: one of up to 160 septets or 70 UTF-16 units, or several
// of up to 153 or 67, since each then carries its place in the sequence. A character of two units
// is never split between parts.
func CountSMS(text string) SMSCount {
	if text == "" {
		return SMSCount{Encoding: GSM7}
	}
	if !strings.ContainsFunc(text, func(r rune) bool { return gsmUnits[r] == 0 }) {
		return count(text, GSM7, 160, 153, func(r rune) int { return gsmUnits[r] })
	}
	return count(text, UCS2, 70, 67, func(r rune) int { return max(1, utf16.RuneLen(r)) })
}

func count(text string, encoding Encoding, single, each int, unitsOf func(rune) int) SMSCount {
	total, parts, inPart := 0, 1, 0
	for _, r := range text {
		n := unitsOf(r)
		total += n
		if inPart+n > each {
			parts, inPart = parts+1, 0
		}
		inPart += n
	}
	if total <= single {
		parts = 1
	}
	return SMSCount{Encoding: encoding, Units: total, Parts: parts}
}
