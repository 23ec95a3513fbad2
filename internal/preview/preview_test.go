// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const manifests = `apiVersion: v1
kind: ConfigMap
metadata: {name: kaeru-shop}
data: {name: Kaeru Shop, url: "https://shop.example", timeZone: Asia/Tokyo, currency: JPY, language: ja}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: mails, namespace: shop}
data: {hello: '<mjml><mj-body><mj-section><mj-column><mj-text>{{ customer.name }}様 <a href="https://shop.example/a">見る</a></mj-text></mj-column></mj-section></mj-body></mjml>'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: mails, namespace: elsewhere}
data: {hello: wrong}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-main, namespace: shop}
spec:
  mode: AllowList
  allowList: [hanako, taro]
  email: {from: Kaeru Shop <news@shop.example>, smtp: {host: smtp.shop.example, credentialsSecretRef: {name: smtp}}}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: sms-main}
spec:
  sms: {twilio: {credentialsSecretRef: {name: twilio}, from: $FROM}}
  cost: {perMessage: "12.5"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: passed over}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: hello}
spec:
  trigger: {event: {name: Signed Up}}
  coupon: {pool: autumn, validFor: 7d}
  goal: {event: Order Completed, within: 7d}
  exitOn: [Goal]
  steps:
  - name: mail
    email:
      channel: email-main
      subject: '{{ customer.name }}さん、{{ entry.plan | default: "はじめまして" }}'
      preheader: 'こんにちは & ようこそ'
      mjmlFrom: {configMapKeyRef: {name: mails, key: hello}}
      variants: [{name: a, weight: 1}, {name: b, weight: 1, subject: B}]
  - name: coupon
    if: customer.points > 3
    sms: {channel: sms-main, text: '{{ coupon.code }} {{ links.unsubscribe }}'}
  - name: push
    line:
      channel: line-main
      messages: [{type: text, text: '{{ customer.name }}'}, {type: sticker, packageId: "446", stickerId: "1988"}]
      fallback: {sms: {channel: sms-main, text: 'Hi {{ customer.name }} {{ links.unsubscribe }}'}}
  - name: call
    webhook: {url: "https://hooks.shop.example/x", signingSecretRef: {name: hook, key: key}, body: '{"id": "{{ customer.id }}"}'}
`

const hanako = `{"id": "hanako", "email": "Hanako@Example.com", "phone": "+81 90-1234-5678", "consent_email": "yes", "consent_sms": false, "name": "花子", "points": 5}`

func source(t *testing.T, from string) Source {
	t.Helper()
	file := filepath.Join(t.TempDir(), "all.yaml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(manifests, "$FROM", from)), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := ReadFiles([]string{filepath.Dir(file)}, "shop", nil)
	if err != nil {
		t.Fatal(err)
	}
	compiler := content.NewCompiler(content.Options{})
	t.Cleanup(func() { _ = compiler.Close() })
	return Source{
		Objects: files, Namespace: "shop", Compiler: compiler, PublicURL: DefaultPublicURL,
		Clock: clocktesting.NewFakePassiveClock(time.Date(2026, 7, 1, 3, 0, 0, 0, time.UTC)),
	}
}

// reasons are those of the skips, in order.
func (p *Preview) reasons() string {
	var out []string
	for _, s := range p.Skips {
		out = append(out, s.Reason)
	}
	return strings.Join(out, " ")
}

func TestRenderFromFiles(t *testing.T) {
	s := source(t, `"+815012345678"`)
	cases := map[string]struct {
		q        Question
		customer string
		skips    string
		has      []string
		hasNot   []string
	}{
		"a mail": {
			q: Question{Step: "mail", Variant: "a"}, customer: hanako,
			has:    []string{"SENT", "花子さん、はじめまして", "PREHEADER  こんにちは & ようこそ", "花子様", "https://shop.example/a", "h…@example.com", "mode AllowList", "Kaeru Shop <news@shop.example>"},
			hasNot: []string{"hanako@example.com", "links.example", "ConditionFalse"},
		},
		"another variant":          {q: Question{Step: "mail", Variant: "b"}, customer: hanako, has: []string{"SUBJECT    B\n", "variant b"}},
		"an entry":                 {q: Question{Step: "mail", Variant: "a", Entry: map[string]any{"plan": "monthly"}}, customer: hanako, has: []string{"monthly"}},
		"an entry of the file":     {q: Question{Step: "mail", Variant: "a"}, customer: strings.Replace(hanako, `"id"`, `"entry": {"plan": "yearly"}, "id"`, 1), has: []string{"yearly"}},
		"a value that is missing":  {q: Question{Step: "mail", Variant: "a"}, customer: strings.Replace(hanako, `"name": "花子", `, "", 1), skips: "MissingValue", has: []string{"‹customer.name›さん", "customer.name has no value"}},
		"no consent, no condition": {q: Question{Step: "coupon"}, customer: strings.Replace(hanako, `"points": 5`, `"points": 1`, 1), skips: "NoConsent ConditionFalse", has: []string{"SAMPLE-COUPON https://links.example/s/", "COST       12.5 JPY", "the coupon is a sample", "consent to sms is withdrawn"}},
		"not on the list":          {q: Question{Step: "mail", Variant: "a"}, customer: strings.Replace(hanako, `"hanako"`, `"jiro"`, 1), skips: "NotOnAllowList"},
		"suppressed, and nowhere":  {q: Question{Step: "mail", Variant: "a"}, customer: `{"id": "taro", "name": "太郎", "consent_email": true, "suppressed": {"email": "Bounced"}}`, skips: "NoAddress Suppressed"},
		"no channel":               {q: Question{Step: "push"}, customer: hanako, skips: "NoConsent NoAddress", has: []string{`"text": "花子"`, `"stickerId": "1988"`, `ChannelConfig "line-main" is in none of the files`}},
		"the fallback":             {q: Question{Step: "push", Fallback: true}, customer: strings.Replace(hanako, `"consent_sms": false`, `"consent_sms": "granted"`, 1), has: []string{"Hi 花子 https://links.example/s/", "sms through sms-main", "UCS-2"}},
		"a webhook":                {q: Question{Step: "call"}, customer: hanako, has: []string{"https://hooks.shop.example/x", `"id": "hanako"`}},
		"what commands a terminal": {q: Question{Step: "mail", Variant: "a"}, customer: strings.Replace(hanako, "花子", `\u001b[2J`, 1), hasNot: []string{"\x1b"}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			var err error
			if tt.q.Recipient, err = parseCustomer([]byte(tt.customer)); err != nil {
				t.Fatal(err)
			}
			tt.q.Scenario = "hello"
			p, err := Render(t.Context(), s, tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := p.Write(&out, "text"); err != nil {
				t.Fatal(err)
			}
			if got := p.reasons(); got != tt.skips {
				t.Errorf("it is skipped for %q, want %q", got, tt.skips)
			}
			for _, want := range tt.has {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in\n%s", want, out.String())
				}
			}
			for _, not := range tt.hasNot {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q is in\n%s", not, out.String())
				}
			}
			out.Reset()
			if err := p.Write(&out, "json"); err != nil || !json.Valid(out.Bytes()) {
				t.Errorf("%v: %s", err, out.String())
			}
		})
	}
}

func TestRenderForms(t *testing.T) {
	s := source(t, `"+815012345678"`)
	who, err := parseCustomer([]byte(hanako))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Render(t.Context(), s, Question{Scenario: "hello", Step: "mail", Recipient: who})
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if err := p.Write(&raw, "eml"); err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(&raw)
	if err != nil {
		t.Fatal(err)
	}
	if to := m.Header.Get("To"); to != "<hanako@example.com>" || !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") || m.Header.Get("List-Unsubscribe-Post") == "" {
		t.Errorf("the mail's head is %v", m.Header)
	}
	var page bytes.Buffer
	if err := p.Write(&page, "html"); err != nil || !strings.Contains(page.String(), "花子様") || strings.Contains(page.String(), "/o/") {
		t.Errorf("%v: %s", err, page.String())
	}
	if p, err = Render(t.Context(), s, Question{Scenario: "hello", Step: "push", Recipient: who}); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(&page, "eml"); err == nil || !strings.Contains(err.Error(), "sends no mail, but line") {
		t.Error(err)
	}
	page.Reset()
	if err := p.Write(&page, "html"); err != nil || !strings.Contains(page.String(), "<pre") {
		t.Errorf("%v: %s", err, page.String())
	}
}

func TestRenderRefuses(t *testing.T) {
	s, named := source(t, `"+815012345678"`), source(t, "KAERU")
	who, err := parseCustomer([]byte(hanako))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		s    Source
		q    Question
		want string
	}{
		"no scenario":   {s, Question{Scenario: "bye", Step: "mail", Recipient: who}, `Scenario "bye" is in none of the files for namespace shop: add its file with -f`},
		"no step":       {s, Question{Scenario: "hello", Step: "post", Recipient: who}, `has no step "post": it has mail, coupon, push, call`},
		"no variant":    {s, Question{Scenario: "hello", Step: "mail", Variant: "c", Recipient: who}, `no variant "c": it has a, b`},
		"no variants":   {s, Question{Scenario: "hello", Step: "push", Variant: "c", Recipient: who}, `has no variants`},
		"no fallback":   {s, Question{Scenario: "hello", Step: "mail", Fallback: true, Recipient: who}, `has no fallback`},
		"no store":      {s, Question{Scenario: "hello", Step: "mail", Customer: "hanako"}, "with --store"},
		"nothing wrong": {named, Question{Scenario: "hello", Step: "coupon", Recipient: who}, ""},
	} {
		_, err := Render(t.Context(), tt.s, tt.q)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestOneWaySenderNeedsALink(t *testing.T) {
	s := source(t, "KAERU")
	who, err := parseCustomer([]byte(hanako))
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"a step's text": `{{ coupon.code }} {{ links.unsubscribe }}`, "a fallback's": `Hi {{ customer.name }} {{ links.unsubscribe }}`} {
		text := strings.ReplaceAll(strings.ReplaceAll(manifests, "$FROM", "KAERU"), from, strings.ReplaceAll(from, "{{ links.unsubscribe }}", ""))
		file := filepath.Join(t.TempDir(), "all.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := ReadFiles([]string{file}, "shop", nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Objects = files
		_, err = Render(t.Context(), s, Question{Scenario: "hello", Step: "mail", Recipient: who})
		if err == nil || !strings.Contains(err.Error(), `sends as "KAERU", which is a name and cannot be answered with STOP: write {{ links.unsubscribe }} into the text`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRenderFromTheStore reads where the customer is, and writes nothing.
func TestRenderFromTheStore(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := source(t, `"+815012345678"`)
		st, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = st.Close() }()
		s.Store = st
		exec := func(query string, args ...any) {
			t.Helper()
			if _, err := st.Exec(t.Context(), query, args...); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = st.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{
				ID: "hanako", Email: store.Value("hanako@example.com"), Phone: store.Value("+819012345678"),
				Attributes: map[string]json.RawMessage{"name": json.RawMessage(`"花子"`), "points": json.RawMessage(`5`)},
				Consents:   map[string]string{"email": "granted", "sms": "granted"},
			}}, s.Clock.Now())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(step string) *Preview {
			t.Helper()
			p, err := Render(t.Context(), s, Question{Scenario: "hello", Step: step, Variant: map[string]string{"mail": "a"}[step], Customer: "hanako"})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := ask("mail"); p.reasons() != "" || p.Email.Subject != "花子さん、はじめまして" {
			t.Errorf("before: %+v", p)
		}
		exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at, facts, converted_at)
VALUES ('shop', 'hello', '', 'hanako', 'e1', '', 'active', '', 'coupon', 0, 1, '{"plan": "monthly"}', 5)`)
		exec(`INSERT INTO coupons (ns, pool, code, customer_id, scenario, epoch, entry, assigned_at) VALUES ('shop', 'autumn', 'GIVEN1', 'hanako', 'hello', '', 'e1', 1)`)
		exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'email', 'hanako@example.com', 'Bounced', 0)`)
		if p := ask("mail"); p.reasons() != "Suppressed Converted" || p.Email.Subject != "花子さん、monthly" {
			t.Errorf("mail: %s, %+v", p.reasons(), p.Email)
		}
		if p := ask("coupon"); p.reasons() != "Converted" || !strings.HasPrefix(p.SMS.Text, "GIVEN1 ") || len(p.Notes) != 0 {
			t.Errorf("coupon: %s, %+v %v", p.reasons(), p.SMS, p.Notes)
		}
		var rows int
		if err := st.QueryRow(t.Context(), `SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM links) + (SELECT COUNT(*) FROM test_messages) + (SELECT COUNT(*) FROM revisions) + (SELECT COUNT(*) FROM keys)`).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d rows were written: %v", rows, err)
		}
		if _, err := Render(t.Context(), s, Question{Scenario: "hello", Step: "mail", Customer: "nobody"}); err == nil || !strings.Contains(err.Error(), `customer "nobody" is not known`) {
			t.Error(err)
		}
	})
}

func TestReadFiles(t *testing.T) {
	const scenario = "apiVersion: crm.kaeru.dev/v1alpha1\nkind: Scenario\nmetadata: {name: a}\n"
	for name, tt := range map[string]struct{ text, want string }{
		"not YAML":          {"a: [", "it is not YAML"},
		"an unknown field":  {scenario + "spec: {steeps: []}\n", `unknown field "steeps"`},
		"twice":             {scenario + "---\n" + scenario, `Scenario "a" is there twice`},
		"too large":         {strings.Repeat("#", maxFile+1), "larger than 16 MiB"},
		"another namespace": {strings.Replace(scenario, "name: a", "name: a, namespace: x", 1) + "---\n" + scenario, ""},
		"empty documents":   {"---\n---\n# nothing\n", ""},
	} {
		_, err := ReadFiles([]string{"-"}, "shop", strings.NewReader(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := ReadFiles([]string{filepath.Join(t.TempDir(), "none.yaml")}, "shop", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestCustomersInFiles(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no id":      {`{"email": "a@b.example"}`, "id is missing"},
		"an address": {`{"id": "a", "email": "a"}`, "email: "},
		"a number":   {`{"id": "a", "phone": "090"}`, "phone: "},
		"a consent":  {`{"id": "a", "consent_line": "perhaps"}`, "consent_line: is neither true nor false"},
		"a list":     {`[1]`, "cannot unmarshal"},
	} {
		if _, err := parseCustomer([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	r, err := parseCustomer([]byte("id: a\nname: 花\nattributes: {rank: gold}\norders: 4\nspend: 1000\nlast_order_at: 2026-01-02T03:04:05Z\nentry: {at: 2026-01-02T03:04:05Z}\n"))
	if err != nil || r.Facts["name"] != "花" || r.Facts["rank"] != "gold" || r.Facts["average"] != 250.0 || r.Facts["last_order_at"] != time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, isTime := r.Entry["at"].(time.Time); !isTime {
		t.Errorf("entry is %v", r.Entry)
	}
}
