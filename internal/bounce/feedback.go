// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"strings"
)

var (
	complaintSubject = regexp.MustCompile(`(?i)^\s*(?:complaint about (?:a )?message|(?:email )?(?:abuse|feedback|spam|complaint) (?:report|complaint))`)
	optOutText       = regexp.MustCompile(`(?i)sent this e-?mail to unsubscribe`)
)

// readFeedback reads a feedback report (RFC 5965), and those of large mailbox providers that have no
// such part.
func readFeedback(r *Report) bool {
	for _, text := range r.mail.feedback {
		for _, f := range statusGroups(text) {
			if kind := strings.ToLower(f.get("Feedback-Type")); kind != "" && r.Feedback == "" {
				r.Feedback = shorten(kind)
			}
			if id := messageID(f.get("Message-ID")); r.MessageID == "" {
				r.MessageID = id
			}
			if r.ReportingMTA == "" {
				r.ReportingMTA = shorten(afterType(f.get("Reporting-MTA")))
			}
			for _, name := range []string{"Original-Rcpt-To", "Final-Recipient", "Removal-Recipient"} {
				for _, to := range f.all(name) {
					r.complain(findAddress(to))
				}
			}
		}
	}
	if r.Feedback == "" && len(r.mail.feedback) > 0 {
		r.Feedback = "abuse"
	}
	if r.Feedback == "" && r.mail.returned && complaintSubject.MatchString(r.Subject) {
		r.Feedback = "abuse"
		r.complain(findAddress(r.mail.original.get("X-HmXmrOriginalRecipient")))
	}
	if r.Feedback == "" && optOutText.MatchString(r.mail.text) {
		r.Feedback = "opt-out"
		r.complain(findAddress(r.mail.header.get("From")))
	}
	if r.Feedback == "" {
		return false
	}
	r.Kind = Complained
	if r.Feedback == "not-spam" {
		r.Kind, r.Recipients = None, nil // the reader took a complaint back
	}
	return true
}

func (r *Report) complain(address string) {
	if address == "" || len(r.Recipients) >= maxRecipients {
		return
	}
	for _, to := range r.Recipients {
		if strings.EqualFold(to.Address, address) {
			return
		}
	}
	r.Recipients = append(r.Recipients, Recipient{Address: address, Kind: Complained})
}

// ByReader says that a complaint is a person's: they called the mail spam or asked for no more.
// Reports of failed authentication have the same form and are about us.
func (r *Report) ByReader() bool {
	switch r.Feedback {
	case "abuse", "complaint", "fraud", "opt-out", "opt-out-list", "other", "dislike", "miscategorized":
		return r.Kind == Complained
	}
	return false
}

var (
	autoSubject = regexp.MustCompile(`(?i)^\s*(?:auto(?:matic)?[- ]?(?:reply|respon|antwort|svar)|auto:|out of (?:the )?office|away|vacation|abwesen|réponse automatique|absence|respuesta autom|risposta automatica|abwesenheit|on vacation|自動(?:応答|返信)|不在)|(?:out of (?:the )?office|automatic reply|auto[- ]?reply|自動返信|自動応答|不在)`)
	autoFields  = []string{"X-Autoreply", "X-Autorespond", "X-Auto-Response", "X-Apple-Action", "X-Autoreply-From", "X-Mail-Autoreply"}
)

// readAutoReply knows the answers of programs (RFC 3834). Mail servers mark their reports the same
// way, so a mail that comes from one is not an answer.
func readAutoReply(r *Report) bool {
	h := r.mail.header
	auto := strings.ToLower(h.get("Auto-Submitted"))
	marked := strings.HasPrefix(auto, "auto-replied") || strings.HasPrefix(auto, "auto-generated") || strings.HasPrefix(auto, "auto-notified")
	for _, name := range autoFields {
		marked = marked || h.has(name) && !strings.EqualFold(h.get(name), "no")
	}
	precedence := strings.ToLower(h.get("Precedence"))
	marked = marked || precedence == "auto_reply" || strings.HasPrefix(strings.ToLower(h.get("X-Precedence")), "auto")
	if !marked && !autoSubject.MatchString(r.Subject) {
		return false
	}
	if h.has("X-Failed-Recipients") || strings.Contains(strings.ToLower(h.get("Content-Type")), "multipart/report") {
		return false
	}
	if daemon.MatchString(h.get("From")) && !autoSubject.MatchString(r.Subject) || failureSubject.MatchString(r.Subject) && !autoSubject.MatchString(r.Subject) {
		return false
	}
	r.Kind = AutoReply
	return true
}
