// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// NormalizeEmail is an address in lower case, the form in which suppressions are compared. Beyond
// that it is only looked at whether the text can be one address.
func NormalizeEmail(text string) (string, error) {
	local, domain, _ := strings.Cut(text, "@")
	switch {
	case local == "" || domain == "" || strings.Contains(domain, "@"):
		return "", fmt.Errorf("%q is not an email address", shorten(text))
	case len(local) > 64 || len(text) > 254:
		return "", errors.New("is too long for an email address")
	case strings.HasPrefix(domain, "."), strings.HasSuffix(domain, "."), strings.Contains(domain, ".."):
		return "", fmt.Errorf("%q is not an email address: its domain has a dot too many", shorten(text))
	case strings.ContainsFunc(text, notInEmail):
		return "", fmt.Errorf("%q is not an email address: write the address alone, name@example.com", shorten(text))
	}
	if err := checkText(text); err != nil {
		return "", err
	}
	return strings.ToLower(text), nil
}

func notInEmail(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>()[],;:\"`, r)
}

// NormalizePhone is a number in E.164, the form in which suppressions are compared: + and 7 to 15
// digits. Spaces, hyphens, dots and parentheses between them are dropped. A number without its
// country is refused, as a message to it would go to somebody else.
func NormalizePhone(text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '(' || r == ')' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
	rest, international := strings.CutPrefix(digits, "+")
	if rest == "" || strings.ContainsFunc(rest, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", fmt.Errorf("%q is not a phone number: write it like +819012345678", shorten(text))
	}
	if !international || rest[0] == '0' {
		return "", fmt.Errorf("%q does not say its country: write it like +819012345678", shorten(text))
	}
	if len(rest) < 7 || len(rest) > 15 {
		return "", fmt.Errorf("%q has %d digits: a phone number has 7 to 15 with its country's code", shorten(text), len(rest))
	}
	return digits, nil
}

// NormalizeAddress is an address of a kind of channel as customers and suppressions hold it.
func NormalizeAddress(channel, address string) (string, error) {
	switch channel {
	case ChannelEmail:
		return NormalizeEmail(address)
	case ChannelSMS:
		return NormalizePhone(address)
	case ChannelLINE:
		return address, checkID(address)
	}
	return "", fmt.Errorf("%q is no kind of channel", channel)
}
