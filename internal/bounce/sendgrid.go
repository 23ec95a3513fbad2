// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"encoding/json"
	"errors"
	"strings"
)

var errNoEvents = errors.New("not events of SendGrid")

// ParseSendGrid reads the events of one call of SendGrid's. Those that say nothing of deliveries,
// bounces and complaints are left out.
func ParseSendGrid(body []byte) ([]*Report, error) {
	var events []struct {
		Event  string `json:"event"`
		Email  string `json:"email"`
		SMTPID string `json:"smtp-id"`
		Reason string `json:"reason"`
		Status string `json:"status"`
		Type   string `json:"type"`
	}
	if json.Unmarshal(body, &events) != nil {
		return nil, errNoEvents // the cause would quote it
	}
	var reports []*Report
	for _, e := range events {
		to := Recipient{Address: findAddress(e.Email), Status: findStatus(e.Status), Diagnostic: shorten(e.Reason)}
		feedback := ""
		switch strings.ToLower(e.Event) {
		case "delivered":
			to.Kind = Delivered
		case "deferred":
			to.Kind = Delayed
		case "bounce", "blocked":
			to.Kind, to.Class = Failed, sendgridClass(e.Event == "blocked" || e.Type == "blocked", e.Reason, to.Status)
		case "dropped":
			to.Kind, to.Class, feedback = sendgridDropped(e.Reason)
		case "spamreport":
			to.Kind, feedback = Complained, "abuse"
		default:
			continue
		}
		reports = append(reports, reportOf(to, feedback, e.SMTPID))
	}
	return reports, nil
}

func reportOf(to Recipient, feedback, id string) *Report {
	return &Report{Kind: to.Kind, Class: to.Class, Feedback: feedback, Recipients: []Recipient{to}, MessageID: messageID(id)}
}

// sendgridClass: what SendGrid calls blocked was refused for now, whatever the server said of whom.
func sendgridClass(blocked bool, reason, status string) Class {
	class := classify(reason, status, "")
	switch {
	case blocked && class == Hard, blocked && class == Other:
		return Policy
	case !blocked && class == Other:
		return Hard
	}
	return class
}

// sendgridDropped: SendGrid did not try, since of an earlier mail.
func sendgridDropped(reason string) (Kind, Class, string) {
	switch reason = strings.ToLower(reason); {
	case strings.Contains(reason, "spam report"):
		return Complained, "", "abuse"
	case strings.Contains(reason, "unsubscribed"):
		return Complained, "", "opt-out"
	case strings.Contains(reason, "bounced"), strings.Contains(reason, "invalid"):
		return Failed, Hard, ""
	case strings.Contains(reason, "spam"):
		return Failed, Policy, ""
	}
	return Failed, Other, ""
}
