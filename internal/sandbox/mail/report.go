// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
)

// said is what a server says of a mail that it could not deliver.
type said struct{ action, status, diagnostic, words string }

var reports = map[string]said{
	fault.BackHard:   {"failed", "5.1.1", "550 5.1.1 <%s>: Recipient address rejected: User unknown", "The address does not exist."},
	fault.BackSoft:   {"failed", "4.2.2", "452 4.2.2 <%s>: The mailbox is over quota", "The mailbox is full."},
	fault.BackPolicy: {"failed", "5.7.1", "550 5.7.1 Message rejected due to the sending domain's policy", "The mail was refused by policy."},
}

// report is a mail about a mail: a delivery status notification (RFC 3464), or a complaint (RFC 5965).
func report(kind, from, to string, raw []byte, now time.Time) []byte {
	boundary := "=_" + uuid.NewString()
	header := headerOf(raw)
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	part := func(contentType string, lines ...string) {
		line("--%s", boundary)
		line("Content-Type: %s", contentType)
		line("")
		for _, l := range lines {
			line("%s", l)
		}
		line("")
	}
	line("From: Mail Delivery System <mailer-daemon@%s>", Domain)
	line("To: <%s>", from)
	line("Date: %s", now.UTC().Format(time.RFC1123Z))
	line("Message-ID: <%s@%s>", uuid.NewString(), Domain)
	line("Auto-Submitted: auto-replied")
	line("MIME-Version: 1.0")
	if kind == fault.BackComplaint {
		line("Subject: Complaint about a message")
		line(`Content-Type: multipart/report; report-type=feedback-report; boundary="%s"`, boundary)
		line("")
		part("text/plain; charset=us-ascii", "A recipient calls this message spam.")
		part("message/feedback-report", "Feedback-Type: abuse", "User-Agent: KaeruSandbox/1.0", "Version: 1",
			"Original-Mail-From: <"+from+">", "Original-Rcpt-To: <"+to+">", "Arrival-Date: "+now.UTC().Format(time.RFC1123Z))
	} else {
		s := reports[kind]
		diagnostic := strings.Replace(s.diagnostic, "%s", to, 1)
		line("Subject: Undelivered Mail Returned to Sender")
		line(`Content-Type: multipart/report; report-type=delivery-status; boundary="%s"`, boundary)
		line("")
		part("text/plain; charset=us-ascii", "The message could not be delivered to <"+to+">.", s.words, diagnostic)
		part("message/delivery-status", "Reporting-MTA: dns; "+Domain, "Arrival-Date: "+now.UTC().Format(time.RFC1123Z), "",
			"Final-Recipient: rfc822; "+to, "Action: "+s.action, "Status: "+s.status, "Diagnostic-Code: smtp; "+diagnostic)
	}
	line("--%s", boundary)
	line("Content-Type: text/rfc822-headers")
	line("")
	b.Write(header)
	line("")
	line("--%s--", boundary)
	return b.Bytes()
}

// headerOf is a mail's header as it is, of a mail that can be read.
func headerOf(raw []byte) []byte {
	if _, err := mail.ReadMessage(bytes.NewReader(raw)); err != nil {
		return nil
	}
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	return append(bytes.Clone(head), "\r\n"...)
}
