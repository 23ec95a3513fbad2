// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"slices"
	"strings"
)

// Reaction is what follows from a report.
type Reaction string

// The reactions.
const (
	// Suppress keeps the address from being used again.
	Suppress Reaction = "suppress"
	// Count suppresses the address when it has happened often enough.
	Count Reaction = "count"
	// Alert tells the operator: it is for them to mend.
	Alert Reaction = "alert"
	// Record keeps the report, and nothing else follows.
	Record Reaction = "record"
	// Ignore does nothing.
	Ignore Reaction = "ignore"
)

// Reaction is the gravest reaction to a report's recipients.
func (r *Report) Reaction() Reaction { return r.ReactionTo(r.Kind, r.Class) }

// ReactionTo is what follows for a recipient.
func (r *Report) ReactionTo(kind Kind, class Class) Reaction {
	switch kind {
	case Failed:
		return map[Class]Reaction{Hard: Suppress, Soft: Count, Policy: Alert, Content: Alert, Other: Record}[class]
	case Complained:
		if r.ByReader() {
			return Suppress
		}
		return Alert
	case Delivered, Delayed:
		return Record
	}
	return Ignore
}

// token is the part of an envelope sender that names a message: 48 letters and digits of base32.
var token = regexp.MustCompile(`(?i)[+=]([a-z2-7]{48})@`)

// maxTokens is more than a report about one mail has.
const maxTokens = 8

// Tokens are what could be tokens of ours, in the addresses that the report was sent to, those first,
// and in what it quotes. Whether they are ours is for their signer to say.
func (r *Report) Tokens() (tokens []string) {
	if r.mail == nil {
		return nil
	}
	add := func(s string) {
		for _, found := range token.FindAllStringSubmatch(s, maxTokens) {
			if t := strings.ToLower(found[1]); len(tokens) < maxTokens && !slices.Contains(tokens, t) {
				tokens = append(tokens, t)
			}
		}
	}
	for _, f := range slices.Concat(r.mail.header, r.mail.original) {
		add(f.value)
	}
	for _, text := range slices.Concat(r.mail.status, r.mail.feedback, []string{r.mail.text}) {
		add(text)
	}
	return tokens
}

// TokensIn are what could be tokens in an address.
func TokensIn(address string) []string {
	if found := token.FindStringSubmatch(address); found != nil {
		return []string{strings.ToLower(found[1])}
	}
	return nil
}

// WithoutAddresses takes mail addresses out of what a server said.
func WithoutAddresses(s string) string {
	return address.ReplaceAllString(quotedAddress.ReplaceAllString(s, "…"), "…")
}

// About is what the report says of one of several addresses, or of the first where it names none of
// them. known is that address, or empty.
func (r *Report) About(is func(address string) bool) (to Recipient, known string) {
	for _, to := range r.Recipients {
		for _, a := range []string{to.Original, to.Address} {
			if a != "" && is(a) {
				return to, a
			}
		}
	}
	if len(r.Recipients) > 0 {
		return r.Recipients[0], ""
	}
	return Recipient{Kind: r.Kind, Class: r.Class}, ""
}
