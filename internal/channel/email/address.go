// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"errors"
	"net/mail"
	"regexp"
	"strings"

	"golang.org/x/net/idna"
)

const maxAddress = 254

var (
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	// oddLocal is what Japanese carriers once gave out: dots at the end and in a row, which RFC 5322
	// only has between quotes.
	oddLocal = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+$")
)

var errAddress = errors.New("the address is not a mail address")

// parseRecipient returns the bare address, its domain in ASCII.
func parseRecipient(to string) (string, error) {
	if len(to) > maxAddress || strings.ContainsAny(to, "<>\r\n") {
		return "", errAddress
	}
	address := to
	if parsed, err := mail.ParseAddress(to); err == nil {
		address = parsed.Address
	} else if local, _, ok := cutAddress(to); !ok || !oddLocal.MatchString(local) {
		return "", errAddress
	}
	local, domain, ok := cutAddress(address)
	if !ok {
		return "", errAddress
	}
	domain, err := idna.Lookup.ToASCII(domain)
	if err != nil || !hostName.MatchString(domain) {
		return "", errAddress
	}
	return local + "@" + domain, nil
}

func cutAddress(address string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 1 || i == len(address)-1 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}

// path is an address as SMTP's commands have it: in angle brackets, quoted where it must be.
func path(address string) string { return (&mail.Address{Address: address}).String() }

// needsUTF8 says that an address cannot be given to a server without SMTPUTF8.
func needsUTF8(address string) bool {
	return strings.ContainsFunc(address, func(r rune) bool { return r > 127 })
}
