// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// failures are the rows of the table, by what the provider does.
var failures = map[string]failure{
	"LINE does not answer":             {channel: "line-main", slow: true, faults: []string{"line-timeout"}, rows: "sent", taken: 1},
	"LINE cuts the connection":         {channel: "line-main", faults: []string{"line-reset:count=2"}, rows: "sent", taken: 1},
	"LINE fails":                       {channel: "line-main", faults: []string{"line-500:count=2"}, rows: "sent", taken: 1},
	"LINE has it already":              {channel: "line-main", faults: []string{"line-409"}, rows: "sent", taken: 1, then: idOfTheDouble},
	"LINE fails for a day":             {channel: "line-main", faults: []string{"line-500"}, rows: "sending", taken: 0, then: aDayLater},
	"LINE limits the rate":             {channel: "line-main", faults: []string{"line-429-rate:count=2"}, rows: "sent", taken: 1},
	"LINE limits what happens at once": {channel: "line-main", faults: []string{"line-429-concurrent:count=2"}, rows: "sent", taken: 1},
	"LINE's month is used up": {
		channel: "line-main", faults: []string{"line-429-monthly"}, rows: "planned QuotaExhausted", notReady: "QuotaExhausted",
		conditions: []string{"QuotaAvailable"}, event: "QuotaExhausted", says: "raise the account's limit with the provider", then: mend,
	},
	"LINE does not take the content": {
		channel: "line-main", faults: []string{"line-400-details"}, customers: 3, rows: "failed ContentRefused", about: "tell",
		event: "Held", says: "messages[0].text: May not be empty", then: nobodyElse,
	},
	"LINE does not know the user": {
		channel: "line-main", faults: []string{"line-400-user"}, customers: 2, rows: "failed RecipientInvalid", suppressed: "RecipientInvalid",
	},
	"LINE does not take the token": {
		channel: "line-main", faults: []string{"line-401"}, rows: "planned CredentialsInvalid", notReady: "CredentialsInvalid",
		conditions: []string{"CredentialsValid"}, event: "CredentialsInvalid", says: "put valid credentials into the Secret", then: mend,
	},
	"LINE does not let the account send": {
		channel: "line-main", faults: []string{"line-403"}, rows: "planned PermissionDenied", notReady: "PermissionDenied",
		event: "PermissionDenied", says: "have the provider allow the account to send", then: mend,
	},
	"LINE finds it too large": {channel: "line-main", faults: []string{"line-413"}, rows: "failed ContentTooLarge"},
	"LINE's user unfollows":   {channel: "line-main", faults: []string{"line-unfollow"}, rows: "sent", suppressed: "Unfollowed", taken: 1, then: followedAgain},
	"LINE's webhooks come twice": {
		channel: "line-main", faults: []string{"line-unfollow", "line-webhook-twice"}, rows: "sent", suppressed: "Unfollowed", taken: 1, then: followedAgain,
	},
	"LINE's webhooks are forged": {
		channel: "line-main", customers: 3, faults: []string{"line-unfollow", "line-webhook-forged"}, rows: "sent", taken: 3,
		event: "SignatureInvalid", says: "see that the Secret has the account's own secret",
	},

	"Twilio limits the rate":    {channel: "sms-main", faults: []string{"twilio-429:count=2"}, rows: "sent delivered", taken: 1},
	"Twilio does not answer":    {channel: "sms-main", slow: true, faults: []string{"twilio-timeout"}, rows: "unknown OutcomeLost", taken: 0},
	"Twilio's answer is lost":   {channel: "sms-main", faults: []string{"twilio-lost"}, rows: "sent delivered", taken: 1},
	"Twilio fails":              {channel: "sms-main", slow: true, faults: []string{"twilio-500"}, rows: "unknown OutcomeLost", taken: 0},
	"Twilio's balancer fails":   {channel: "sms-main", faults: []string{"twilio-503-html"}, rows: "sent delivered", taken: 1},
	"Twilio knows of a STOP":    {channel: "sms-main", faults: []string{"twilio-21610"}, rows: "failed RecipientOptedOut", suppressed: "RecipientOptedOut"},
	"no number, 21211":          {channel: "sms-main", faults: []string{"twilio-21211"}, rows: "failed RecipientInvalid", suppressed: "RecipientInvalid"},
	"no mobile, 21614":          {channel: "sms-main", faults: []string{"twilio-21614"}, rows: "failed RecipientInvalid", suppressed: "RecipientInvalid"},
	"a landline, 21635":         {channel: "sms-main", faults: []string{"twilio-21635"}, rows: "failed RecipientInvalid", suppressed: "RecipientInvalid"},
	"an unknown number, 30005":  {channel: "sms-main", faults: []string{"twilio-30005"}, rows: "sent bounced", suppressed: "RecipientInvalid"},
	"an unknown carrier, 30006": {channel: "sms-main", faults: []string{"twilio-30006"}, rows: "sent bounced", suppressed: "RecipientInvalid"},
	"a region that is not enabled, 21408": {
		channel: "sms-main", faults: []string{"twilio-21408"}, rows: "planned ConfigurationWrong", notReady: "ConfigurationWrong",
		event: "ConfigurationWrong", says: "correct the channel's sender or endpoint", then: mend,
	},
	"from cannot reach it, 21612": {
		channel: "sms-main", faults: []string{"twilio-21612"}, rows: "planned ConfigurationWrong", notReady: "ConfigurationWrong",
		event: "ConfigurationWrong", says: "code 21612", then: mend,
	},
	"from is no sender, 21212": {
		channel: "sms-main", faults: []string{"twilio-21212"}, rows: "planned ConfigurationWrong", notReady: "ConfigurationWrong",
		event: "ConfigurationWrong", says: "code 21212", then: mend,
	},
	"Twilio does not take the token": {
		channel: "sms-main", faults: []string{"twilio-401"}, rows: "planned CredentialsInvalid", notReady: "CredentialsInvalid",
		conditions: []string{"CredentialsValid"}, event: "CredentialsInvalid", says: "put valid credentials into the Secret", then: mend,
	},
	"a handset that is off, 30003": {channel: "sms-main", faults: []string{"twilio-30003:count=1"}, rows: "planned", taken: 0, then: thenArrives},
	"nobody knows why, 30008":      {channel: "sms-main", faults: []string{"twilio-30008:count=1"}, rows: "planned", taken: 0, then: thenArrives},
	"off for good, 30003": {
		channel: "sms-main", slow: true, faults: []string{"twilio-30003"}, rows: "planned", taken: 0, then: offForGood,
	},
	"blocked, 30004": {
		channel: "sms-main", faults: []string{"twilio-30004"}, customers: 3, rows: "sent bounced", event: "ContentFiltered", says: "were filtered as spam",
	},
	"filtered by the carrier, 30007": {
		channel: "sms-main", faults: []string{"twilio-30007"}, customers: 3, rows: "sent bounced", event: "ContentFiltered", says: "were filtered as spam",
	},
	"filtered by Twilio, 30450": {
		channel: "sms-main", faults: []string{"twilio-30450"}, customers: 3, rows: "failed ContentFiltered", event: "ContentFiltered", says: "were filtered as spam",
	},
	"the sender's queue is full, 21611": {channel: "sms-main", faults: []string{"twilio-21611:count=1"}, rows: "planned QueueFull", taken: 0},
	"the queue overflowed, 30001":       {channel: "sms-main", faults: []string{"twilio-30001:count=1"}, rows: "planned", taken: 0, then: thenArrives},
	"waited for too long, 30036":        {channel: "sms-main", faults: []string{"twilio-30036:count=1"}, rows: "planned", taken: 0, then: thenArrives},
	"the account's day is full, 63038": {
		channel: "sms-main", faults: []string{"twilio-63038"}, rows: "planned QuotaExhausted", notReady: "QuotaExhausted",
		event: "QuotaExhausted", says: "sending is paused until ", then: mend,
	},
	"two numbers that answer each other, 14107": {
		channel: "sms-main", slow: true, faults: []string{"twilio-14107:count=1"}, rows: "sent delivered", taken: 1,
		event: "TooManyToOne", says: "look for another system that answers",
	},
	"Twilio's callbacks come twice": {channel: "sms-main", faults: []string{"twilio-callback-twice"}, rows: "sent delivered", taken: 1},
	"Twilio's callbacks come late":  {channel: "sms-main", faults: []string{"twilio-callback-late"}, rows: "sent delivered", taken: 1, then: bothTold},
	"Twilio's callbacks are forged": {
		channel: "sms-main", faults: []string{"twilio-callback-forged"}, customers: 2, rows: "sent", taken: 2,
		event: "SignatureInvalid", says: "--public-url is the address the provider calls",
	},

	"the mail server goes away, 421":            {channel: "email-main", faults: []string{"smtp-421:count=2"}, rows: "sent", taken: 1},
	"the mailbox cannot be reached now":         {channel: "email-main", faults: []string{"smtp-450:count=1"}, rows: "sent", taken: 1},
	"the mailbox is full now":                   {channel: "email-main", faults: []string{"smtp-full:count=1"}, rows: "sent", taken: 1},
	"the mail server limits the rate":           {channel: "email-main", faults: []string{"smtp-rate:count=1"}, rows: "sent", taken: 1},
	"the mail server greylists":                 {channel: "email-main", faults: []string{"smtp-greylist"}, rows: "planned", taken: 0},
	"the connection is not made":                {channel: "email-main", faults: []string{"smtp-drop-connect:count=1", "smtp-421:count=1"}, rows: "sent", taken: 1},
	"the connection is lost before the dot":     {channel: "email-main", faults: []string{"smtp-drop-before-dot:count=2"}, rows: "sent", taken: 1},
	"the connection is lost after the dot":      {channel: "email-main", faults: []string{"smtp-drop-after-dot"}, rows: "unknown OutcomeLost", taken: 1},
	"no such mailbox, 5.1.1":                    {channel: "email-main", faults: []string{"smtp-511"}, rows: "failed RecipientInvalid", suppressed: "RecipientInvalid"},
	"the mail server does not take the content": {channel: "email-main", faults: []string{"smtp-554-spam"}, rows: "failed ContentRefused"},
	"the mail server's policy, 5.7.1": {
		channel: "email-main", faults: []string{"smtp-571"}, rows: "failed PolicyRefused", notReady: "PolicyRefused",
		event: "PolicyRefused", says: "see that SPF, DKIM and DMARC",
	},
	"the mail server's policy for a recipient, 5.7.1": {
		channel: "email-main", faults: []string{"smtp-571-rcpt"}, rows: "failed PolicyRefused", notReady: "PolicyRefused",
		event: "PolicyRefused", says: "sending is paused until ",
	},
	"the mail server does not take the password": {
		channel: "email-main", faults: []string{"smtp-535"}, rows: "planned", notReady: "CredentialsInvalid",
		conditions: []string{"CredentialsValid"}, event: "CredentialsInvalid", says: "into the Secret", then: mend,
	},
	"the mail server's certificate has expired": {
		channel: "email-main", early: []string{"smtp-tls"}, spec: []string{"tls: Disabled", "tls: STARTTLS"}, rows: "planned", notReady: "TLSFailed",
		event: "TLSFailed", says: "certificate",
	},
}

// idOfTheDouble holds that the message has the id that the 409 repeats.
func idOfTheDouble(f *failing) {
	f.t.Helper()
	var id string
	must(f.t, f.store.QueryRow(f.t.Context(), `SELECT provider_id FROM messages WHERE ns = $1`, f.ns).Scan(&id))
	if want := f.arrived("line")[0].Line.SentMessages[0].ID; id != want {
		f.t.Errorf("the message's id is %s, want %s", id, want)
	}
}

// nobodyElse enters a Scenario whose content is refused: the double, which would take it now, gets no more.
func nobodyElse(f *failing) {
	f.t.Helper()
	must(f.t, f.sandbox.Client().ClearFaults(f.t.Context()))
	f.load("customers", "id,line_user_id,consent_line\nnew,"+f.customer(f.customers).line+",true\n")
	f.load("events", "id,customer_id,name,occurred_at\nnew,new,go,"+time.Now().UTC().Format(time.RFC3339Nano)+"\n")
	f.eventually(within, func() error {
		var n int
		must(f.t, f.store.QueryRow(f.t.Context(), `SELECT COUNT(*) FROM enrolments WHERE ns = $1 AND customer_id = 'new'`, f.ns).Scan(&n))
		if n != 1 {
			return fmt.Errorf("the new customer is not in the Scenario")
		}
		return nil
	})
	f.eventually(within, func() error {
		passed := f.condition(f.scenario("tell").Status.Conditions, crm.ConditionGuardrailsPassed)
		if passed == nil || passed.Status != metav1.ConditionFalse {
			return fmt.Errorf("the Scenario's status is %s", show(passed))
		}
		return nil
	})
	f.holds("failed ContentRefused", 0)
}

// aDayLater lets LINE forget the key: nobody can find out any more, and the message is not sent again.
func aDayLater(f *failing) {
	f.t.Helper()
	_, err := f.store.Exec(f.t.Context(), `UPDATE messages SET begun_at = $2 WHERE ns = $1`, f.ns, store.Millis(time.Now().Add(-24*time.Hour)))
	must(f.t, err)
	f.holds("unknown OutcomeLost", 0)
	must(f.t, f.sandbox.Client().ClearFaults(f.t.Context()))
	f.holds("unknown OutcomeLost", 0)
}

// followedAgain lets the user come back, whom LINE then tells of.
func followedAgain(f *failing) {
	f.t.Helper()
	f.suppressed = ""
	// LINE waits two seconds for an answer, and asks again where none comes in time.
	f.eventually(within, func() error {
		status, err := f.sandbox.Client().Happen(f.t.Context(), sandbox.LINEEvent{Type: "follow", User: f.customer(0).line})
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("the follow was answered %d %w", status, err)
		}
		return nil
	})
	f.holds("sent", 1)
}

// thenArrives lets the time pass after which it is tried again.
func thenArrives(f *failing) {
	f.t.Helper()
	f.taken = 1
	later(f)
}

// offForGood lets all tries pass: the number is then left in peace.
func offForGood(f *failing) {
	f.t.Helper()
	for try := 1; try <= 2; try++ {
		f.failedTimes(try)
		f.letTimePass()
		f.failedTimes(try + 1)
	}
	f.suppressed = "RecipientUnreachable"
	f.holds("sent bounced", 0)
}

// bothTold waits for the callback that comes last and is about what was first, and changes nothing.
func bothTold(f *failing) {
	f.t.Helper()
	f.eventually(within, func() error {
		var n int
		must(f.t, f.store.QueryRow(f.t.Context(), `SELECT COUNT(*) FROM receipts WHERE ns = $1`, f.ns).Scan(&n))
		if n != 2 {
			return fmt.Errorf("%d callbacks came", n)
		}
		return nil
	})
	f.holds("sent delivered", 1)
}
