// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// wellFormed says what holds for every report, whatever it was read from.
func wellFormed(t *testing.T, r *Report) {
	t.Helper()
	if len(r.Recipients) > maxRecipients || len(r.Tokens()) > maxTokens {
		t.Errorf("%d recipients, %d tokens", len(r.Recipients), len(r.Tokens()))
	}
	if r.Kind == Delivered {
		for _, to := range r.Recipients {
			if to.Kind == Failed {
				t.Error("a failure is taken for a delivery")
			}
		}
	}
	for _, to := range r.Recipients {
		if (to.Class != "") != (to.Kind == Failed) {
			t.Errorf("kind %q has class %q", to.Kind, to.Class)
		}
		if !utf8.ValidString(to.Diagnostic) || len(to.Diagnostic) > maxShown+8 {
			t.Errorf("diagnostic %q", to.Diagnostic)
		}
		if len(WithoutAddresses(to.Diagnostic)) > 4*len(to.Diagnostic) {
			t.Errorf("diagnostic %q grows", to.Diagnostic)
		}
	}
	if r.Kind == None && r.Reaction() != Ignore {
		t.Errorf("no report, but %s", r.Reaction())
	}
}

// TestHostileMails holds mails that cost the most to read to a time that a flood of them may take.
func TestHostileMails(t *testing.T) {
	report := "From: MAILER-DAEMON@x.example\nSubject: Undelivered\nContent-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
	for name, line := range map[string]string{
		"recipients": "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.0.0\n\n", "addresses": "<a@b.example>: 550 x\n",
		"letters": "a", "brackets": "<", "at signs": "a@", "dots": "a.", "headers": "Received: from x\n", "boundaries": "--b\n\n",
		"nested": "Content-Type: multipart/mixed; boundary=b\n\n--b\n", "spaces": " ", "quotes": "\"a\"@", "replies": "550 5.1.1 the mailbox of the user is \n",
	} {
		for _, start := range []string{report, "From: postmaster@x.example\nSubject: failure notice\n\n"} {
			begun := time.Now()
			wellFormed(t, Parse([]byte(start+strings.Repeat(line, MaxSize/len(line)))))
			if took := time.Since(begun); took > 20*time.Second {
				t.Errorf("%s: %v", name, took)
			} else {
				t.Logf("%s: %v", name, took)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { wellFormed(t, Parse(raw)) })
}

func FuzzParseSES(f *testing.F) {
	f.Add([]byte(`{"eventType":"Bounce","mail":{"commonHeaders":{"messageId":"<a@b>"}},"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"a@b.example","status":"5.1.1","diagnosticCode":"smtp; 550 unknown user"}]}}`))
	f.Add([]byte(`{"Message":"{\"notificationType\":\"Complaint\",\"complaint\":{\"complainedRecipients\":[{\"emailAddress\":\"a@b.example\"}]}}"}`))
	f.Add([]byte(`{"eventType":"Delivery","delivery":{"recipients":["a@b.example"]}}`))
	f.Add([]byte(`{"eventType":"DeliveryDelay","deliveryDelay":{"delayedRecipients":[{}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := ParseSES(raw); err == nil {
			wellFormed(t, r)
		}
	})
}

func FuzzParseSendGrid(f *testing.F) {
	f.Add([]byte(`[{"event":"bounce","type":"blocked","email":"a@b.example","smtp-id":"<a@b>","reason":"550 5.7.1 blocked","status":"5.7.1"}]`))
	f.Add([]byte(`[{"event":"dropped","reason":"Bounced Address"},{"event":"delivered"},{"event":"spamreport"},{"event":"open"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		reports, err := ParseSendGrid(raw)
		for _, r := range reports {
			if err != nil {
				t.Error("reports and an error")
			}
			wellFormed(t, r)
		}
	})
}

func FuzzParseMailgun(f *testing.F) {
	f.Add([]byte(`{"signature":{"timestamp":"1","token":"t","signature":"00"},"event-data":{"event":"failed","severity":"permanent","reason":"bounce","recipient":"a@b.example","message":{"headers":{"message-id":"a@b"}},"delivery-status":{"code":550,"message":"no such user"}}}`))
	f.Add([]byte(`{"event-data":{"event":"complained"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, r, err := ParseMailgun(raw); err == nil {
			wellFormed(t, r)
		}
	})
}
