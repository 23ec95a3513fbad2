// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/preview"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// staffed is a scenario that events let in, with a step for each kind of channel.
const staffed = channels + `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: hello}
spec:
  trigger: {event: {name: Signed Up}}
  steps:
  - name: mail
    if: customer.vip == "true"
    email:
      channel: email-main
      subject: 'Hello {{ customer.first_name }}'
      html: '<p><a href="https://shop.example/new">new</a> <a href="{{ links.unsubscribe }}">stop</a></p>'
  - name: push
    line: {channel: line-main, messages: [{type: text, text: 'Hello {{ customer.first_name }}'}]}
  - name: text
    wait: {for: 30d}
    sms: {channel: sms-main, text: 'New: https://shop.example/new'}
`

const staff = "id,email,phone,line_user_id,first_name,vip,consent_email,consent_sms,consent_line\n" +
	"staff-001,one@shop.example,+819000000001,U00000000000000000000000000000001,Ann,true,granted,granted,granted\n" +
	"staff-002,two@shop.example,+819000000002,U00000000000000000000000000000002,Bob,,granted,granted,granted\n" +
	"staff-003,three@shop.example,+819000000003,,,,withdrawn,,\n" +
	"staff-004,four@shop.example,,,Dan,,granted,,\n"

// tests sends tests as the command does.
func (s *shop) tests(step string, customers ...string) ([]preview.Result, error) {
	s.t.Helper()
	st, err := store.Open(s.t.Context(), s.dsn)
	must(s.t, err)
	defer func() { must(s.t, st.Close()) }()
	compiler := content.NewCompiler(content.Options{})
	defer func() { must(s.t, compiler.Close()) }()
	return preview.Test(s.t.Context(), preview.Source{
		Objects: s.client, Namespace: s.ns, Store: st, Clock: s.clock, PublicURL: "http://" + s.public, Compiler: compiler,
	}, preview.Question{Scenario: "hello", Step: step}, customers)
}

// told are the ends of tests in words.
func told(results []preview.Result) string {
	var out []string
	for _, r := range results {
		out = append(out, strings.TrimSpace(r.Customer+" "+r.State+" "+r.Reason))
	}
	return strings.Join(out, "; ")
}

func (s *shop) counts(query string, args ...any) (n int) {
	s.t.Helper()
	st, err := store.Open(s.t.Context(), s.dsn)
	must(s.t, err)
	defer func() { must(s.t, st.Close()) }()
	must(s.t, st.QueryRow(s.t.Context(), query, args...).Scan(&n))
	return n
}

// TestSendTest sends each step of a scenario to staff through the real channels, and holds that nothing that
// counts knows of it, that its links neither count nor unsubscribe, and that the real message still comes.
func TestSendTest(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		s.ingest("customers", staff)
		s.start()
		s.apply(staffed)
		s.ready("scenario/hello", "channelconfig/line-main", "channelconfig/email-main", "channelconfig/sms-main")
		st, err := store.Open(t.Context(), dsn)
		must(t, err)
		must(t, st.Suppress(t.Context(), s.ns, store.ChannelEmail, "four@shop.example", "Bounced", time.Now()))
		must(t, st.Close())

		for step, want := range map[string]string{
			"mail": "staff-001 sent; staff-002 sent; staff-003 skipped NoConsent; staff-004 skipped Suppressed",
			"push": "staff-001 sent; staff-002 sent; staff-003 skipped NoConsent; staff-004 skipped NoConsent",
			"text": "staff-001 sent; staff-002 sent; staff-003 skipped NoConsent; staff-004 skipped NoConsent",
		} {
			results, err := s.tests(step, "staff-001", "staff-002", "staff-003", "staff-004")
			must(t, err)
			if got := told(results); got != want {
				t.Errorf("%s: %s, want %s", step, got, want)
			}
		}
		if _, err := s.tests("mail", "staff-001", "nobody"); err == nil || !strings.Contains(err.Error(), `customer "nobody" is not known`) {
			t.Errorf("an unknown customer: %v", err)
		}
		mails := s.arrived("email")
		if len(mails) != 2 || mails[0].Subject != "[TEST] Hello Ann" || len(s.arrived("line")) != 2 || len(s.arrived("sms")) != 2 {
			t.Fatalf("arrived: %s", show(mails))
		}
		s.tryLinks(mails[0].HTML, s.arrived("sms")[0].Text)
		if n := s.counts(`SELECT COUNT(*) FROM test_messages WHERE ns = $1 AND state = 'sent' AND ended_at IS NOT NULL`, s.ns); n != 6 {
			t.Errorf("%d tests are recorded", n)
		}

		// Now the real ones.
		s.ingest("events", "id,customer_id,name,occurred_at\ne1,staff-001,Signed Up,"+time.Now().UTC().Format(time.RFC3339)+"\n")
		s.eventually(30*time.Second, func() error {
			status := s.scenario("hello").Status
			if len(status.Steps) < 2 || status.Steps[0].Sent != 1 || status.Steps[1].Sent != 1 || status.Steps[0].Clicked != 0 {
				return fmt.Errorf("the status is %s", show(status.Steps))
			}
			return nil
		})
		if mails = s.arrived("email"); len(mails) != 3 || mails[2].Subject != "Hello Ann" || mails[2].Earlier != 0 {
			t.Errorf("mails are %s", show(mails))
		}
		if n := s.counts(`SELECT COUNT(*) FROM messages WHERE ns = $1`, s.ns); n != 2 {
			t.Errorf("%d messages are counted", n)
		}
		for _, m := range s.arrived("line") {
			if m.Earlier != 0 {
				t.Errorf("a test had the key of the real message: %s", show(m))
			}
		}
	})
}

var hrefs = regexp.MustCompile(`(?:href|src)="(http://[^"]+)"`)

// tryLinks follows all that a test holds: links lead on, and nothing comes of it.
func (s *shop) tryLinks(html, text string) {
	s.t.Helper()
	links := hrefs.FindAllStringSubmatch(html, -1)
	if len(links) != 3 {
		s.t.Fatalf("the test's links are %v", links)
	}
	short := regexp.MustCompile(`http://\S+/s/\S+`).FindString(text)
	for _, link := range append(links, []string{"", short}) {
		method, want := http.MethodGet, http.StatusFound
		switch {
		case strings.Contains(link[1], "/o/"):
			want = http.StatusOK
		case strings.Contains(link[1], "/u/"):
			method, want = http.MethodPost, http.StatusNotFound // there is nothing to unsubscribe from
		}
		if status := s.call(method, link[1]); status != want {
			s.t.Errorf("%s %s: status %d, want %d", method, link[1], status, want)
		}
	}
	if n := s.counts(`SELECT (SELECT COUNT(*) FROM receipts WHERE ns = $1) + (SELECT COUNT(*) FROM messages WHERE ns = $1)
  + (SELECT COUNT(*) FROM consents WHERE ns = $1 AND source <> 'import')`, s.ns); n != 0 {
		s.t.Errorf("%d rows tell of the tests", n)
	}
}

func (s *shop) call(method, address string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	must(s.t, err)
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15")
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	must(s.t, err)
	must(s.t, res.Body.Close())
	return res.StatusCode
}

// TestModes holds modes AllowList and Sandbox, for the scenario and for tests: who is not listed gets nothing, is
// counted as skipped with the reason, and nothing of it reaches the provider.
func TestModes(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		s.ingest("customers", staff)
		s.start()
		s.apply(strings.ReplaceAll(strings.ReplaceAll(staffed,
			`metadata: {name: email-main}
spec:`, `metadata: {name: email-main}
spec:
  mode: AllowList
  allowList: [staff-001]`), `metadata: {name: line-main}
spec:`, `metadata: {name: line-main}
spec:
  mode: Sandbox`))
		s.ready("scenario/hello", "channelconfig/line-main", "channelconfig/email-main", "channelconfig/sms-main")
		for step, want := range map[string]string{
			"mail": "staff-001 sent; staff-002 skipped NotOnAllowList",
			"push": "staff-001 sent Sandbox; staff-002 sent Sandbox",
		} {
			results, err := s.tests(step, "staff-001", "staff-002")
			must(t, err)
			if got := told(results); got != want {
				t.Errorf("%s: %s, want %s", step, got, want)
			}
		}
		must(t, s.sandbox.Client().Clear(t.Context()))
		at := time.Now().UTC().Format(time.RFC3339)
		s.ingest("customers", "id,vip\nstaff-002,true\n")
		s.ingest("events", "id,customer_id,name,occurred_at\ne1,staff-001,Signed Up,"+at+"\ne2,staff-002,Signed Up,"+at+"\n")
		s.eventually(30*time.Second, func() error {
			steps := s.scenario("hello").Status.Steps
			if len(steps) < 2 || steps[0].Sent != 1 || steps[0].Skipped != 1 || steps[1].Sent != 2 {
				return fmt.Errorf("the status is %s", show(steps))
			}
			return nil
		})
		if n := s.counts(`SELECT COUNT(*) FROM messages WHERE ns = $1 AND customer_id = 'staff-002' AND step = 'mail' AND state = 'skipped' AND reason = 'NotOnAllowList'`, s.ns); n != 1 {
			t.Error("the one who is not listed is not recorded as skipped for that")
		}
		all, err := s.sandbox.Client().All(t.Context(), sandbox.Query{})
		must(t, err)
		if len(all) != 1 || all[0].To != "one@shop.example" {
			t.Errorf("arrived: %s", show(all))
		}
	})
}
