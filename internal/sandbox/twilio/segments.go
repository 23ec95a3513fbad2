// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"strings"
	"unicode/utf16"
)

// The two ways an SMS is written on the air.
const (
	GSM7 = "GSM-7"
	UCS2 = "UCS-2"
)

const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€" // each is sent as two
)

// Segments counts the parts an SMS is sent and billed as. A character that
// takes two units is never split between two parts.
func Segments(body string) (parts int, encoding string) {
	units, encoding := widths(body)
	single, part := 160, 153
	if encoding == UCS2 {
		single, part = 70, 67
	}
	total := 0
	for _, u := range units {
		total += u
	}
	if total <= single {
		return 1, encoding
	}
	parts, used := 1, 0
	for _, u := range units {
		if used+u > part {
			parts, used = parts+1, 0
		}
		used += u
	}
	return parts, encoding
}

func widths(body string) (units []int, encoding string) {
	for _, r := range body {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			units = append(units, 1)
		case strings.ContainsRune(gsmExtended, r):
			units = append(units, 2)
		default:
			units = units[:0]
			for _, r := range body {
				units = append(units, utf16.RuneLen(r))
			}
			return units, UCS2
		}
	}
	return units, GSM7
}
