// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fault decides which request to a provider goes wrong, and how.
package fault

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Providers and their operations, as a rule names them.
const (
	LINE   = "line"
	Twilio = "twilio"
	SMTP   = "smtp"
)

var operations = map[string][]string{
	LINE:   {"push", "validate", "info", "quota", "consumption", "profile", "webhook", "reply", "token", "units"},
	Twilio: {"create", "list", "fetch", "account", "delivery", "callback"},
	SMTP:   {"connect", "tls", "hello", "auth", "mail", "rcpt", "data"},
}

// Rule makes matching requests go wrong.
type Rule struct {
	// ID names the rule; one is made up where it is empty.
	ID       string `json:"id,omitempty"`
	Provider string `json:"provider"`
	// Operation is one of the provider's; empty matches all of them.
	//
	// line: push, reply, validate, info, quota, consumption, profile, units, token
	// (issuing one); webhook (an event on its way to the account's address).
	// twilio: create, list, fetch, account; delivery (a message on its way to
	// the phone: effect.code is the ErrorCode it ends undelivered with) and
	// callback (drop: the status callback is not sent).
	// smtp: connect, hello, auth, mail, rcpt, data (after 354); tls (drop: the
	// handshake shows a certificate that has expired).
	Operation string `json:"operation,omitempty"`
	Match     Match  `json:"match,omitzero"`
	Effect    Effect `json:"effect"`
}

// Match narrows a rule down. The conditions hold together, in this order:
// recipient, once, skip, every, probability, count.
type Match struct {
	// To is a recipient, or a pattern with * and ?, without regard to case.
	To string `json:"to,omitempty"`
	// Once hits each recipient at most once.
	Once bool `json:"once,omitempty"`
	// Skip lets the first so many pass.
	Skip int `json:"skip,omitempty"`
	// Every hits each Nth of the rest: the Nth, the 2Nth …
	Every int `json:"every,omitempty"`
	// Probability hits that share of the rest, 0 to 1, by the sandbox's seed.
	Probability float64 `json:"probability,omitempty"`
	// Count ends the rule after so many hits.
	Count int `json:"count,omitempty"`
}

// Effect is what happens to a request that is hit. Accept and Drop are
// independent: the request takes effect or not, and the answer is the usual
// one, another one, or none.
type Effect struct {
	// Delay holds the request back before it is looked at.
	Delay Duration `json:"delay,omitempty"`
	// AnswerDelay holds the answer back after the request took effect.
	AnswerDelay Duration `json:"answerDelay,omitempty"`
	// Accept lets the request take effect although Status or Drop spoils the answer.
	Accept bool `json:"accept,omitempty"`
	// Drop cuts the connection instead of answering.
	Drop bool `json:"drop,omitempty"`
	// Status is the HTTP status or SMTP code of the answer; after 421, SMTP hangs up.
	Status int `json:"status,omitempty"`
	// Code is Twilio's error code.
	Code int `json:"code,omitempty"`
	// Enhanced is SMTP's enhanced code, such as 5.1.1.
	Enhanced string `json:"enhanced,omitempty"`
	// Message is the text in the provider's usual form of error.
	Message string `json:"message,omitempty"`
	// Body is sent as it is in place of the provider's form of error.
	Body string `json:"body,omitempty"`
	// ContentType is Body's; text/html where empty.
	ContentType string `json:"contentType,omitempty"`
	// Repeat sends a callback or webhook so many times more.
	Repeat int `json:"repeat,omitempty"`
	// Forge signs a callback or webhook with a secret that is not the account's.
	Forge bool `json:"forge,omitempty"`
	// Back is what comes back of a message that was taken: for line's push
	// unfollow, for smtp's data dsn-hard, dsn-soft, dsn-policy or arf.
	Back string `json:"back,omitempty"`
}

// What comes back of a message, as Effect.Back names it.
const (
	BackUnfollow  = "unfollow"
	BackHard      = "dsn-hard"
	BackSoft      = "dsn-soft"
	BackPolicy    = "dsn-policy"
	BackComplaint = "arf"
)

// backs are where what comes back can be asked for.
var backs = map[string][]string{
	LINE + "/push": {BackUnfollow},
	SMTP + "/data": {BackHard, BackSoft, BackPolicy, BackComplaint},
}

// maxRepeat bounds what one rule sends out.
const maxRepeat = 100

// Spoils reports whether the usual answer is not given.
func (e Effect) Spoils() bool { return e.Drop || e.Status != 0 }

// Takes reports whether the request takes effect.
func (e Effect) Takes() bool { return e.Accept || !e.Spoils() }

// Validate says what to write instead where a rule cannot work.
func (r Rule) Validate() error {
	ops, ok := operations[r.Provider]
	if !ok {
		return fmt.Errorf("provider %q is not known: write line, twilio or smtp", r.Provider)
	}
	if r.Operation != "" && !slices.Contains(ops, r.Operation) {
		return fmt.Errorf("operation %q does not exist on %s: write one of %s", r.Operation, r.Provider, strings.Join(ops, ", "))
	}
	if _, err := path.Match(r.Match.To, ""); err != nil {
		return fmt.Errorf("match.to %q is not a pattern: %w", r.Match.To, err)
	}
	m, e := r.Match, r.Effect
	if m.Skip < 0 || m.Every < 0 || m.Count < 0 || !(m.Probability >= 0 && m.Probability <= 1) { // NaN is neither
		return fmt.Errorf("match: skip, every and count are 0 or more, probability is 0 to 1")
	}
	if e == (Effect{}) {
		return fmt.Errorf("effect is empty: write a status, drop, delay or answerDelay")
	}
	if e.Repeat < 0 || e.Repeat > maxRepeat {
		return fmt.Errorf("effect.repeat %d: write 0 to %d", e.Repeat, maxRepeat)
	}
	if at := r.Provider + "/" + r.Operation; e.Back != "" && !slices.Contains(backs[at], e.Back) {
		return fmt.Errorf("effect.back %q does not come back of %s %s: write %s on line push, or %s on smtp data",
			e.Back, r.Provider, r.Operation, BackUnfollow, strings.Join(backs[SMTP+"/data"], ", "))
	}
	if e.Status != 0 {
		low, high := 300, 599
		if r.Provider == SMTP {
			low = 400
		}
		if e.Status < low || e.Status > high {
			return fmt.Errorf("effect.status %d: write %d to %d", e.Status, low, high)
		}
	}
	return nil
}

// Duration is written as "250ms" or "3s" in JSON.
type Duration time.Duration

// MarshalJSON writes the duration as Go does.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a duration of 0 or more.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is written as \"250ms\" or \"3s\": %w", err)
	}
	return d.parse(s)
}

func (d *Duration) parse(s string) error {
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("duration %q: write 250ms or 3s", s)
	}
	*d = Duration(v)
	return nil
}
