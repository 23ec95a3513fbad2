// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// MailgunSignature is what Mailgun proves itself with.
type MailgunSignature struct {
	Timestamp string `json:"timestamp"`
	Token     string `json:"token"`
	Signature string `json:"signature"`
}

var errNoEvent = errors.New("not an event of Mailgun")

// ParseMailgun reads a call of Mailgun's. The report's kind is None for what says nothing of a
// delivery, a bounce or a complaint.
func ParseMailgun(body []byte) (MailgunSignature, *Report, error) {
	var call struct {
		Signature MailgunSignature `json:"signature"`
		Event     struct {
			Event     string `json:"event"`
			Severity  string `json:"severity"`
			Reason    string `json:"reason"`
			Recipient string `json:"recipient"`
			Message   struct {
				Headers struct {
					ID string `json:"message-id"`
				} `json:"headers"`
			} `json:"message"`
			Status struct {
				Code        json.RawMessage `json:"code"`
				Enhanced    string          `json:"enhanced-code"`
				Message     string          `json:"message"`
				Description string          `json:"description"`
			} `json:"delivery-status"`
		} `json:"event-data"`
	}
	if json.Unmarshal(body, &call) != nil || call.Event.Event == "" {
		return MailgunSignature{}, nil, errNoEvent // the cause would quote it
	}
	e := &call.Event
	said := strings.TrimSpace(first(e.Status.Message, e.Status.Description))
	if code := string(bytes.TrimSpace(e.Status.Code)); len(code) == 3 && code[0] >= '4' && code[0] <= '5' && !strings.HasPrefix(said, code) {
		said = code + " " + said
	}
	to := Recipient{Kind: None, Address: findAddress(e.Recipient), Status: findStatus(first(e.Status.Enhanced, said)), Diagnostic: shorten(said)}
	feedback := ""
	switch strings.ToLower(e.Event) {
	case "delivered":
		to.Kind = Delivered
	case "complained":
		to.Kind, feedback = Complained, "abuse"
	case "rejected": // Mailgun would not send it
		to.Kind, to.Class = Failed, Policy
	case "failed":
		to.Kind, to.Class, feedback = mailgunFailed(e.Severity, e.Reason, said, to.Status)
	}
	if to.Kind == None {
		return call.Signature, &Report{Kind: None}, nil
	}
	return call.Signature, reportOf(to, feedback, e.Message.Headers.ID), nil
}

func mailgunFailed(severity, reason, said, status string) (Kind, Class, string) {
	if severity == "temporary" {
		return Delayed, "", "" // Mailgun tries again, and calls it permanent when it stops
	}
	switch reason {
	case "suppress-bounce":
		return Failed, Hard, ""
	case "suppress-complaint":
		return Complained, "", "abuse"
	case "suppress-unsubscribe":
		return Complained, "", "opt-out"
	}
	class := classify(said, status, "")
	switch {
	case reason == "old" && class != Policy:
		class = Soft
	case class == Other && reason == "bounce":
		class = Hard
	}
	return Failed, class, ""
}
