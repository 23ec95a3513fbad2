// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/store"
)

const anna = "anna@customer.example"

// customer writes a customer who wants mail.
func (f *fixture) customer(id, address string) {
	f.Helper()
	f.exec(`DELETE FROM customers WHERE ns = 'shop' AND id = $1`, id)
	err := f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCustomers(f.Context(), "shop", []store.Customer{{
			ID: id, Email: store.Value(address), Consents: map[string]string{store.ChannelEmail: store.ConsentGranted},
		}}, start)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

// mail writes a mail that was sent to Anna, and gives the address its bounces go to.
func (f *fixture) mail() (id uuid.UUID, returnPath string) {
	f.Helper()
	id = f.message("email", "mail-main", "sent")
	return id, "bounces+" + f.signer.BounceToken(id, anna) + "@shop.example"
}

// dsn is a report as RFC 3464 has it.
func dsn(to, recipient, action, status, diagnostic string) string {
	return strings.ReplaceAll(fmt.Sprintf(`Return-Path: <>
From: Mail Delivery System <MAILER-DAEMON@mx.customer.example>
To: <%s>
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

This is the mail system at host mx.customer.example.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.customer.example

Final-Recipient: rfc822; %s
Action: %s
Status: %s
Diagnostic-Code: smtp; %s

--b1--
`, to, recipient, action, status, diagnostic), "\n", "\r\n")
}

// arf is a complaint as RFC 5965 has it; the token is in the mail that it returns only.
func arf(returnPath, kind string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: <fbl@provider.example>
To: <abuse@shop.example>
Subject: FW: News
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an email abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: %s
User-Agent: Test/1.0
Version: 1

--b1
Content-Type: message/rfc822

Return-Path: <%s>
From: news@shop.example
Subject: News

Hello
--b1--
`, kind, returnPath), "\n", "\r\n")
}

func plainMail(to, from, subject, extra, text string) string {
	return strings.ReplaceAll(fmt.Sprintf("From: %s\nTo: <%s>\nSubject: %s\n%s\n%s\n", from, to, subject, extra, text), "\n", "\r\n")
}

// byHTTP brings a mail in as a pipe of a mail server does.
func (f *fixture) byHTTP(_, mail string) (inboundAnswer, int) {
	f.Helper()
	r := request(http.MethodPost, "/v1/inbound/email", mail)
	r.Header.Set("Content-Type", "message/rfc822")
	r.SetBasicAuth(writeKey, "")
	w := f.do(r)
	var a inboundAnswer
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			f.Fatal(err)
		}
	}
	return a, w.Code
}

// serveSMTP serves the gateway's SMTP and gives its address.
func (f *fixture) serveSMTP() string {
	f.Helper()
	l, err := (&net.ListenConfig{}).Listen(f.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.gateway.ServeSMTPListener(ctx, l) }()
	f.TB.(*testing.T).Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	return l.Addr().String()
}

// bySMTP brings a mail in over a socket, and gives the code of what refused it.
func (f *fixture) bySMTP(address, to, mail string) int {
	f.Helper()
	err := smtp.SendMail(address, nil, "", []string{to}, []byte(mail))
	var refused *textproto.Error
	switch {
	case err == nil:
		return 250
	case errors.As(err, &refused):
		return refused.Code
	}
	f.Error(err)
	return 0
}

// suppressed lists what is suppressed, with the reasons.
func (f *fixture) suppressed() (out []string) {
	f.Helper()
	rows, err := f.st.Query(f.Context(), `SELECT address, reason FROM suppressions WHERE ns = 'shop' AND channel = 'email' ORDER BY address`)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var address, reason string
		if err := rows.Scan(&address, &reason); err != nil {
			f.Fatal(err)
		}
		out = append(out, address+" "+reason)
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
	return out
}

// mailOutcome is what a report must come to.
type mailOutcome struct {
	marks      marks
	receipts   string
	suppressed []string
	consent    string
}

func (f *fixture) outcome(id uuid.UUID) mailOutcome {
	return mailOutcome{f.marks(id), f.receipts(id), f.suppressed(), f.consent("email")}
}

const granted = "granted import 0s"

func TestMailsThatComeBack(t *testing.T) {
	sent := marks{state: "sent"}
	bounced := marks{state: "sent", bounced: "0s"}
	cases := map[string]struct {
		mail func(returnPath string) string
		want mailOutcome
	}{
		"hard": {
			func(p string) string { return dsn(p, anna, "failed", "5.1.1", "550 5.1.1 User unknown") },
			mailOutcome{bounced, "bounced", []string{anna + " RecipientInvalid"}, granted},
		},
		"soft": {
			func(p string) string { return dsn(p, anna, "failed", "5.2.2", "552 5.2.2 Mailbox full") },
			mailOutcome{bounced, "bounced", nil, granted},
		},
		"policy": {
			func(p string) string {
				return dsn(p, anna, "failed", "5.7.1", "554 5.7.1 Service unavailable; client host blocked using a blocklist")
			},
			mailOutcome{bounced, "refused", nil, granted},
		},
		"content": {
			func(p string) string {
				return dsn(p, anna, "failed", "5.3.4", "552 5.3.4 Message size exceeds fixed limit")
			},
			mailOutcome{bounced, "bounced", nil, granted},
		},
		"delay": {
			func(p string) string { return dsn(p, anna, "delayed", "4.4.1", "connection timed out") },
			mailOutcome{sent, "delayed", nil, granted},
		},
		"delivered": {
			func(p string) string { return dsn(p, anna, "delivered", "2.0.0", "250 2.0.0 Ok") },
			mailOutcome{marks{state: "sent", delivered: "0s"}, "delivered", nil, granted},
		},
		"complaint": {
			func(p string) string { return arf(p, "abuse") },
			mailOutcome{sent, "complained", []string{anna + " Complained"}, "withdrawn complaint 0s"},
		},
		"opt-out": {
			func(p string) string { return arf(p, "opt-out") },
			mailOutcome{sent, "complained", []string{anna + " Complained"}, "withdrawn complaint 0s"},
		},
		"authentication failed": {
			func(p string) string { return arf(p, "auth-failure") },
			mailOutcome{sent, "refused", nil, granted},
		},
		"taken for no spam": {
			func(p string) string { return arf(p, "not-spam") },
			mailOutcome{sent, "", nil, granted},
		},
		"vacation": {
			func(p string) string {
				return plainMail(p, anna, "Out of office", "Auto-Submitted: auto-replied\n", "I am away; user unknown until Monday.")
			},
			mailOutcome{sent, "", nil, granted},
		},
		"an ordinary mail": {
			func(p string) string { return plainMail(p, anna, "Re: News", "", "Thank you!") },
			mailOutcome{sent, "", nil, granted},
		},
		"of a forwarding, the address we wrote to": {
			func(p string) string {
				return strings.Replace(dsn(p, "elsewhere@other.example", "failed", "5.1.1", "550 5.1.1 User unknown"),
					"Final-Recipient:", "Original-Recipient: rfc822; "+anna+"\r\nFinal-Recipient:", 1)
			},
			mailOutcome{bounced, "bounced", []string{anna + " RecipientInvalid"}, granted},
		},
		"about somebody else": {
			// Whoever gets our mail knows its return path, and must not be able to suppress others.
			func(p string) string {
				return dsn(p, "victim@customer.example", "failed", "5.1.1", "550 5.1.1 User unknown")
			},
			mailOutcome{bounced, "bounced", []string{anna + " RecipientInvalid"}, granted},
		},
	}
	stores(t, func(f *fixture) {
		for _, way := range []string{"HTTP", "SMTP"} {
			for name, tt := range cases {
				f.run(way+": "+name, func(f *fixture) {
					f.customer("anna", anna)
					id, returnPath := f.mail()
					smtpAddress := ""
					if way == "SMTP" {
						smtpAddress = f.serveSMTP()
					}
					// Told twice, the second time later, it is the same.
					for i := range 2 {
						f.clock.SetTime(start.Add(time.Duration(i) * time.Minute))
						if way == "SMTP" {
							if code := f.bySMTP(smtpAddress, returnPath, tt.mail(returnPath)); code != 250 {
								f.Errorf("code %d", code)
							}
						} else if _, status := f.byHTTP(returnPath, tt.mail(returnPath)); status != http.StatusOK {
							f.Errorf("status %d", status)
						}
						if diff := cmp.Diff(tt.want, f.outcome(id), cmp.AllowUnexported(marks{}, mailOutcome{})); diff != "" {
							f.Errorf("time %d: %s", i+1, diff)
						}
					}
				})
			}
		}
	})
}

func TestInboundRefusals(t *testing.T) {
	stores(t, func(f *fixture) {
		f.customer("anna", anna)
		id, returnPath := f.mail()
		elsewhere := uuid.New()
		f.exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason,
  attempts, fence, parts, cost, due_at, planned_at, expires_at)
VALUES ($1, 'other', 'second', '1', 'anna', 'e', 's1', 'run', 'r1', 'mail-main', 'email', 'sent', '', 1, 0, 1, 0, 0, 0, 0)`, elsewhere.String())
		hard := func(to string) string { return dsn(to, anna, "failed", "5.1.1", "550 5.1.1 User unknown") }
		token := f.signer.BounceToken(id, anna)
		address := f.serveSMTP()
		for name, to := range map[string]string{
			"the bare key": "bounces+" + id.String() + "@shop.example",
			"forged":       "bounces+" + strings.Repeat("a", len(token)) + "@shop.example",
			"no token":     "bounces@shop.example",
			"cut":          "bounces+" + token[:47] + "@shop.example",
		} {
			if code := f.bySMTP(address, to, hard(to)); code != 550 {
				f.Errorf("%s: SMTP says %d", name, code)
			}
			if a, status := f.byHTTP(to, hard(to)); status != http.StatusOK || a.Applied || !strings.Contains(a.Reason, "returnPath") {
				f.Errorf("%s: HTTP says %d %+v", name, status, a)
			}
		}
		if a, _ := f.byHTTP("", hard("bounces+"+f.signer.BounceToken(elsewhere, anna)+"@shop.example")); a.Applied {
			f.Error("a write key told of another namespace's message")
		}
		if got := f.outcome(id); got.receipts != "" || got.suppressed != nil {
			f.Errorf("something was done: %+v", got)
		}
		big := hard(returnPath) + strings.Repeat("x", maxMail)
		if _, status := f.byHTTP("", big); status != http.StatusRequestEntityTooLarge {
			f.Errorf("a huge mail: %d", status)
		}
		r := request(http.MethodPost, "/v1/inbound/email", hard(returnPath))
		wantStatus(f, f.do(r), http.StatusUnauthorized)
		r = request(http.MethodPost, "/v1/inbound/email?recipient="+strings.ReplaceAll(strings.ToUpper(returnPath), "+", "%2B"), hard("somebody@shop.example"))
		r.SetBasicAuth(writeKey, "")
		wantStatus(f, f.do(r), http.StatusOK)
		if got := f.receipts(id); got != "bounced" {
			f.Errorf("by ?recipient= in capitals: %q", got)
		}
	})
}

func TestInboundWhileTheStoreIsAway(t *testing.T) {
	f := newSQLite(t)
	f.customer("anna", anna)
	_, returnPath := f.mail()
	address := f.serveSMTP()
	if err := f.st.Close(); err != nil {
		t.Fatal(err)
	}
	mail := dsn(returnPath, anna, "failed", "5.1.1", "550 5.1.1 User unknown")
	if code := f.bySMTP(address, returnPath, mail); code != 451 {
		t.Errorf("SMTP says %d, want 451", code)
	}
	if _, status := f.byHTTP("", mail); status != http.StatusServiceUnavailable {
		t.Errorf("HTTP says %d, want 503", status)
	}
}

func TestSoftBouncesAddUp(t *testing.T) {
	soft := func(f *fixture, at int) uuid.UUID {
		id, returnPath := f.mail()
		f.clock.SetTime(start.Add(time.Duration(at) * time.Hour))
		mail := dsn(returnPath, anna, "failed", "5.2.2", "552 5.2.2 Mailbox full")
		for range 2 { // told twice, counted once
			if a, status := f.byHTTP("", mail); status != http.StatusOK || !a.Applied {
				f.Fatalf("status %d, %+v", status, a)
			}
		}
		return id
	}
	stores(t, func(f *fixture) {
		f.run("five in a row", func(f *fixture) {
			f.customer("anna", anna)
			for i := range softLimit {
				if got := f.suppressed(); got != nil {
					f.Fatalf("after %d: %v", i, got)
				}
				soft(f, i)
			}
			if diff := cmp.Diff([]string{anna + " SoftBounces"}, f.suppressed()); diff != "" {
				f.Error(diff)
			}
		})
		f.run("an open in between", func(f *fixture) {
			f.customer("anna", anna)
			for i := range softLimit - 1 {
				soft(f, i)
			}
			seen, _ := f.mail()
			f.clock.SetTime(start.Add(10 * time.Hour))
			wantStatus(f, f.get(f.token('o', seen)), http.StatusOK)
			soft(f, 11)
			if got := f.suppressed(); got != nil {
				f.Error(got)
			}
		})
		f.run("to another address before", func(f *fixture) {
			f.customer("anna", anna)
			for i := range softLimit - 1 {
				soft(f, i)
			}
			f.customer("anna", "new@customer.example")
			id := f.message("email", "mail-main", "sent")
			to := "bounces+" + f.signer.BounceToken(id, "new@customer.example") + "@shop.example"
			if a, _ := f.byHTTP("", dsn(to, "new@customer.example", "failed", "5.2.2", "552 5.2.2 Mailbox full")); !a.Applied {
				f.Fatal(a)
			}
			if got := f.suppressed(); got != nil {
				f.Error(got)
			}
		})
	})
}

func TestBounceAfterTheAddressChanged(t *testing.T) {
	stores(t, func(f *fixture) {
		f.customer("anna", anna)
		id, returnPath := f.mail()
		f.customer("anna", "new@customer.example")
		if a, _ := f.byHTTP("", dsn(returnPath, anna, "failed", "5.1.1", "550 5.1.1 User unknown")); !a.Applied {
			f.Fatal(a)
		}
		if got := f.suppressed(); !slices.Equal(got, []string{anna + " RecipientInvalid"}) {
			f.Errorf("suppressed %v, want the address that was written to", got)
		}
		if f.marks(id).bounced == "" {
			f.Error("the message is not marked")
		}
		// A report that names no address we know of suppresses nobody.
		second, returnPath := f.mail()
		f.exec(`DELETE FROM suppressions`)
		if a, _ := f.byHTTP("", dsn(returnPath, "", "failed", "5.1.1", "550 5.1.1 User unknown")); !a.Applied {
			f.Fatal(a)
		}
		if got := f.suppressed(); got != nil || f.marks(second).bounced == "" {
			f.Errorf("suppressed %v", got)
		}
	})
}

func TestBounceTakesDeliveredBack(t *testing.T) {
	stores(t, func(f *fixture) {
		f.customer("anna", anna)
		id, returnPath := f.mail()
		for i, mail := range []string{
			dsn(returnPath, anna, "delivered", "2.0.0", "250 Ok"),
			dsn(returnPath, anna, "failed", "5.1.1", "550 5.1.1 User unknown"),
			dsn(returnPath, anna, "relayed", "2.0.0", "250 Ok"),
		} {
			f.clock.SetTime(start.Add(time.Duration(i) * time.Minute))
			if a, _ := f.byHTTP("", mail); !a.Applied {
				f.Fatal(a)
			}
			if engagements := f.count(`SELECT COUNT(*) FROM engagements WHERE ns = 'shop' AND kind = 'delivered'`); (i == 0) != (engagements == 1) {
				f.Errorf("mail %d: %d engagements", i, engagements)
			}
		}
		if diff := cmp.Diff(marks{state: "sent", bounced: "1m0s"}, f.marks(id), cmp.AllowUnexported(marks{})); diff != "" {
			f.Error(diff)
		}
	})
}
