// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// lineRow is one way in which LINE fails, on an account, with a user and in a Scenario of its own.
type lineRow struct {
	fault sandbox.Fault
	// state is the user's at LINE, text what is sent, and issued that the account's tokens are renewed.
	state, text string
	issued      bool
	// before changes what there is before the message is due.
	before func(s *shop, st *store.Store, row string, user string)

	message    string // state and reason
	arrived    int
	suppressed string
	ready      string // the reason of Ready
	quota      string // the reason of QuotaAvailable
	units      string // the reason of UnitsAvailable
	event      string // in a Warning about the ChannelConfig
}

var lineRows = map[string]lineRow{
	"timeout":        {fault: push(sandbox.FaultEffect{Accept: true, Drop: true}, 1), message: "sent", arrived: 1, ready: "Ready"},
	"server-error":   {fault: push(sandbox.FaultEffect{Status: 500}, 2), message: "sent", arrived: 1, ready: "Ready"},
	"accepted":       {fault: push(sandbox.FaultEffect{Accept: true, Status: 500}, 1), message: "sent", arrived: 1, ready: "Ready"}, // and 409 then
	"rate":           {fault: push(sandbox.FaultEffect{Status: 429}, 1), message: "sent", arrived: 1, ready: "Ready"},
	"monthly":        {fault: push(sandbox.FaultEffect{Status: 429, Message: "You have reached your monthly limit."}, 0), message: "planned QuotaExhausted", ready: "QuotaExhausted", quota: "QuotaExhausted", event: "QuotaExhausted"},
	"details":        {text: `{{ entry.none | default: "" }}`, message: "failed ContentRefused", ready: "Ready"},
	"no-user":        {state: "unknown", message: "failed RecipientInvalid", suppressed: "RecipientInvalid", ready: "Ready"},
	"token-renewed":  {fault: push(sandbox.FaultEffect{Status: 401}, 1), issued: true, message: "sent", arrived: 1, ready: "Ready"},
	"token-refused":  {fault: push(sandbox.FaultEffect{Status: 401}, 0), issued: true, message: "planned CredentialsInvalid", ready: "CredentialsInvalid", event: "CredentialsInvalid"},
	"no-permission":  {fault: push(sandbox.FaultEffect{Status: 403}, 0), message: "planned PermissionDenied", ready: "PermissionDenied", event: "PermissionDenied"},
	"too-large":      {fault: push(sandbox.FaultEffect{Status: 413}, 1), message: "failed ContentTooLarge", ready: "Ready"},
	"unfollowed":     {before: unfollow("unfollow"), message: "skipped Suppressed", suppressed: "Unfollowed", ready: "Ready"},
	"followed-again": {before: unfollow("unfollow", "follow"), message: "sent", arrived: 1, ready: "Ready"},
	"thousand-units": {before: fillUnits, message: "sent", arrived: 1, ready: "Ready", units: "TooManyUnits", event: "TooManyUnits"},
}

func push(e sandbox.FaultEffect, times int) sandbox.Fault {
	return sandbox.Fault{Provider: "line", Operation: "push", Match: sandbox.FaultMatch{Count: times}, Effect: e}
}

func unfollow(what ...string) func(*shop, *store.Store, string, string) {
	return func(s *shop, _ *store.Store, row, user string) {
		for _, kind := range what {
			status, err := s.sandbox.Client().Happen(s.t.Context(), sandbox.LINEEvent{Channel: row, Type: kind, User: user})
			must(s.t, err)
			if status != http.StatusOK {
				s.t.Fatalf("the webhook was answered with %d", status)
			}
		}
	}
}

func fillUnits(s *shop, st *store.Store, row, _ string) {
	month := time.Now().In(time.FixedZone("JST", 9*60*60)).Format("2006-01")
	must(s.t, st.Tx(s.t.Context(), func(tx *store.Tx) error {
		for i := range 1000 {
			if _, err := tx.Exec(s.t.Context(), `INSERT INTO line_units (ns, channel, month, unit, place, scenario, step, variant) VALUES ($1, $2, $3, $4, $5, '', '', '')`,
				s.ns, row, month, fmt.Sprintf("u%d", i), i+1); err != nil {
				return err
			}
		}
		return nil
	}))
}

const lineRowResources = `
apiVersion: v1
kind: Secret
metadata: {name: %[1]s}
stringData: {%[2]s, channelSecret: secret-%[1]s}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: %[1]s}
spec: {line: {credentialsSecretRef: {name: %[1]s}, endpoint: "$LINE"}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: %[1]s}
spec:
  trigger: {event: {name: Row %[1]s}}
  steps:
  - {name: a, line: {channel: %[1]s, messages: [{type: text, text: '%[3]s'}]}}
---
`

// Each way in which LINE fails, through its SDK and a socket: what becomes of the message, of the address and of
// the channel, and that nothing was sent twice.
func TestLINEFailures(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		var config sandbox.Config
		users, manifests, customers := map[string]string{}, "", "id,line_user_id,consent_line\n"
		n := 0
		for row, r := range lineRows {
			n++
			users[row] = fmt.Sprintf("U%032x", n)
			account := sandbox.LINEChannel{
				Name: row, DisplayName: row, Token: "token-" + row, ChannelID: fmt.Sprint(n), Secret: "secret-" + row,
				WebhookURL: "http://" + s.public + "/v1/webhooks/line/" + s.ns + "/" + row,
			}
			config.LINE = append(config.LINE, account)
			credentials, text := "channelAccessToken: "+account.Token, r.text
			if r.issued {
				credentials = `channelID: "` + account.ChannelID + `"`
			}
			if text == "" {
				text = "a"
			}
			manifests += fmt.Sprintf(lineRowResources, row, credentials, text)
			customers += row + "," + users[row] + ",granted\n"
			if r.state != "" {
				config.Recipients = append(config.Recipients, sandbox.Recipient{Channel: "line", ID: users[row], State: r.state})
			}
			if r.fault.Provider != "" {
				r.fault.Match.To = users[row]
				config.Faults = append(config.Faults, r.fault)
			}
		}
		doubles, err := sandbox.Start(t.Context(), config)
		must(t, err)
		t.Cleanup(func() { _ = doubles.Close() })
		s.sandbox = doubles
		s.ingest("customers", customers)
		s.start()
		s.apply(manifests)
		s.cluster.Run(t, "", "wait", "-n", s.ns, "--for=condition=Ready", "--timeout=120s", "channelconfig", "--all")
		s.cluster.Run(t, "", "wait", "-n", s.ns, "--for=condition=Ready", "--timeout=120s", "scenario", "--all")

		st, err := store.Open(t.Context(), dsn)
		must(t, err)
		defer func() { must(t, st.Close()) }()
		events := "id,customer_id,name,occurred_at\n"
		for row, r := range lineRows {
			if r.before != nil {
				r.before(s, st, row, users[row])
			}
			events += row + "," + row + ",Row " + row + "," + time.Now().UTC().Format(time.RFC3339) + "\n"
		}
		s.ingest("events", events)
		for row, want := range lineRows {
			s.eventually(time.Minute, func() error { return s.lineRow(st, row, users[row], want) })
		}
	})
}

// lineRow says what is not as the row wants it.
func (s *shop) lineRow(st *store.Store, row, user string, want lineRow) error {
	var message, suppressed string
	err := st.QueryRow(s.t.Context(), `SELECT state || ' ' || reason FROM messages WHERE ns = $1 AND scenario = $2`, s.ns, row).Scan(&message)
	if message = strings.TrimSpace(message); err != nil || message != want.message {
		return fmt.Errorf("%s: the message is %q, want %q: %w", row, message, want.message, err)
	}
	err = st.QueryRow(s.t.Context(), `SELECT reason FROM suppressions WHERE ns = $1 AND channel = 'line' AND address = $2`, s.ns, user).Scan(&suppressed)
	if err != nil && !store.IsNotFound(err) || suppressed != want.suppressed {
		return fmt.Errorf("%s: suppressed for %q, want %q: %w", row, suppressed, want.suppressed, err)
	}
	got, err := s.sandbox.Client().All(s.t.Context(), sandbox.Query{To: user})
	if err != nil || len(got) != want.arrived {
		return fmt.Errorf("%s: %d messages arrived, want %d: %w", row, len(got), want.arrived, err)
	}
	if want.units != "" && len(got[0].Line.AggregationUnits) != 0 {
		return fmt.Errorf("%s: it names %q", row, got[0].Line.AggregationUnits)
	}
	for condition, reason := range map[string]string{"Ready": want.ready, "QuotaAvailable": want.quota, "UnitsAvailable": want.units} {
		is := s.cluster.Run(s.t, "", "get", "channelconfig/"+row, "-n", s.ns, "-o", `jsonpath={.status.conditions[?(@.type=="`+condition+`")].reason}`)
		if is != reason && (condition != "QuotaAvailable" || reason != "") {
			return fmt.Errorf("%s: %s is %q, want %q", row, condition, is, reason)
		}
	}
	if want.event != "" {
		is := s.cluster.Run(s.t, "", "get", "events.events.k8s.io", "-n", s.ns, "-o", `jsonpath={range .items[?(@.regarding.name=="`+row+`")]}{.type} {.reason};{end}`)
		if !strings.Contains(is, "Warning "+want.event+";") {
			return fmt.Errorf("%s: the events are %q, want a Warning %s", row, is, want.event)
		}
	}
	return nil
}
