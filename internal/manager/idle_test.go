// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// writes counts what a client changes at the API server.
type writes struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen []string
}

func (w *writes) around(next http.RoundTripper) http.RoundTripper {
	w.next = next
	return w
}

func (w *writes) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		w.mu.Lock()
		w.seen = append(w.seen, r.Method+" "+r.URL.Path)
		w.mu.Unlock()
	}
	return w.next.RoundTrip(r)
}

func (w *writes) drain() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.seen
	w.seen = nil
	return out
}

// TestIdle applies everything twice as GitOps tools do, and then leaves the manager alone for a
// minute: it must not write to the API server at all.
func TestIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: run without -short")
	}
	s := newShop(t, testenv.SQLite(t), clock.Real())
	counted := &writes{}
	s.kube.WrapTransport = counted.around
	s.importShop()
	s.start()
	s.apply(journey)
	s.ready("segment/once", "scenario/second-purchase", "channelconfig/line-main", "channelconfig/email-main", "channelconfig/sms-main")
	s.applySamples()
	// Their mails are compiled first, which takes its time under the race detector.
	s.cluster.Run(t, "", "wait", "-n", "shop", "--for=condition=Ready", "--timeout=180s", "scenarios", "--all")
	// The API server stores the default of status with the first write that follows.
	s.apply(journey)
	s.applySamples()
	// The statuses settle: the shop's ConfigMap comes last and wakes everybody once more.
	s.eventually(time.Minute, func() error {
		counted.drain()
		time.Sleep(5 * time.Second)
		if seen := counted.drain(); len(seen) > 0 {
			return fmt.Errorf("still writing: %v", seen)
		}
		return nil
	})
	before := s.versions(s.ns) + s.versions("shop")
	s.apply(journey)
	s.applySamples()
	if after := s.versions(s.ns) + s.versions("shop"); after != before {
		t.Errorf("applying the same again changed something:\n%s\n%s", before, after)
	}
	s.cluster.Run(t, "", "diff", "--server-side", "--force-conflicts", "-k", samples)
	time.Sleep(time.Minute)
	if seen := counted.drain(); len(seen) > 0 {
		t.Errorf("an idle manager wrote to the API server: %v", seen)
	}
	if after := s.versions(s.ns) + s.versions("shop"); after != before {
		t.Errorf("an idle minute changed something:\n%s\n%s", before, after)
	}
}

// samples are what the repository offers to begin with.
const samples = "../../config/samples/shop"

// applySamples applies the samples as they are: their channels lack their Secrets, which status says.
func (s *shop) applySamples() {
	s.t.Helper()
	s.cluster.Run(s.t, "", "apply", "--server-side", "--force-conflicts", "-k", samples)
}

// versions lists the resources with their generations and resource versions.
func (s *shop) versions(namespace string) string {
	s.t.Helper()
	return s.cluster.Run(s.t, "", "get", "kaeru,jobs,controllerrevisions", "-n", namespace, "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.resourceVersion}{"\n"}{end}`)
}

// TestSentences breaks what can be broken, reads the one sentence that says so, mends it, and waits
// for the resource to come back by itself.
func TestSentences(t *testing.T) {
	s := newShop(t, testenv.SQLite(t), clock.Real())
	s.importShop()
	s.start()
	s.apply(journey)
	s.ready("segment/once", "scenario/second-purchase")

	step := `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: broken}
spec:
  segmentRef: {name: %s}
  trigger: {schedule: {cron: "0 10 * * *"}}
  steps:
  - name: a
    %s
`
	good := `{email: {channel: email-main, subject: S, text: "Hi {{ customer.id }}"}}`
	segment := "apiVersion: crm.kaeru.dev/v1alpha1\nkind: Segment\nmetadata: {name: %s}\nspec: {match: {all: [%s]}}\n---\n"
	for name, c := range map[string]struct{ broken, resource, reason, sentence, mended string }{
		"missing Secret": {
			broken:   "apiVersion: crm.kaeru.dev/v1alpha1\nkind: ChannelConfig\nmetadata: {name: late}\nspec: {line: {credentialsSecretRef: {name: late}, endpoint: \"$LINE\"}}",
			resource: "channelconfig/late", reason: "SecretNotFound", sentence: `spec.line.credentialsSecretRef: Secret "late" does not exist`,
			mended: "apiVersion: v1\nkind: Secret\nmetadata: {name: late}\nstringData: {channelAccessToken: sandbox-line-token, channelSecret: s}",
		},
		"wrong token": {
			broken:   "apiVersion: v1\nkind: Secret\nmetadata: {name: wrong}\nstringData: {channelAccessToken: nonsense, channelSecret: s}\n---\napiVersion: crm.kaeru.dev/v1alpha1\nkind: ChannelConfig\nmetadata: {name: wrong}\nspec: {line: {credentialsSecretRef: {name: wrong}, endpoint: \"$LINE\"}}",
			resource: "channelconfig/wrong", reason: "CredentialsInvalid", sentence: "token",
			mended: "apiVersion: v1\nkind: Secret\nmetadata: {name: wrong}\nstringData: {channelAccessToken: sandbox-line-token, channelSecret: s}",
		},
		"missing channel": {
			broken:   fmt.Sprintf(step, "once", `email: {channel: later, subject: S, text: T}`),
			resource: "scenario/broken", reason: "ChannelNotFound", sentence: `spec.steps[0].email.channel: ChannelConfig "later" does not exist`,
			mended: "apiVersion: crm.kaeru.dev/v1alpha1\nkind: ChannelConfig\nmetadata: {name: later}\nspec: {email: {from: a@shop.example, smtp: {host: \"$SMTP_HOST\", port: $SMTP_PORT, tls: Disabled}}}",
		},
		"wrong type of channel": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `email: {channel: line-main, subject: S, text: T}`), "broken", "typed"),
			resource: "scenario/typed", reason: "ChannelTypeWrong", sentence: `ChannelConfig "line-main" is of type line`,
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", good[1:len(good)-1]), "broken", "typed"),
		},
		"broken template": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `email: {channel: email-main, subject: "{{ customer.id", text: T}`), "broken", "template"),
			resource: "scenario/template", reason: "ContentInvalid", sentence: "spec.steps[0].email.subject: line 1",
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", good[1:len(good)-1]), "broken", "template"),
		},
		"missing ConfigMap": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `email: {channel: email-main, subject: S, mjmlFrom: {configMapKeyRef: {name: mails, key: a.mjml}}}`), "broken", "mails"),
			resource: "scenario/mails", reason: "ConfigMapNotFound", sentence: `spec.steps[0].email.mjmlFrom: ConfigMap "mails" does not exist`,
			mended: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mails}\ndata: {a.mjml: \"<mjml><mj-body><mj-section><mj-column><mj-text>{{ customer.id }}</mj-text></mj-column></mj-section></mj-body></mjml>\"}",
		},
		"condition on an open of LINE": {
			broken: strings.ReplaceAll(fmt.Sprintf(step, "once", `line: {channel: line-main, messages: [{type: text, text: T}]}`), "broken", "opened") +
				"  - name: b\n    if: 'steps.a.opened'\n    email: {channel: email-main, subject: S, text: T}\n",
			resource: "scenario/opened", reason: "ExpressionInvalid", sentence: "exists for email only",
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", good[1:len(good)-1]), "broken", "opened"),
		},
		"missing segment": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "nobody", good[1:len(good)-1]), "broken", "audience"),
			resource: "scenario/audience", reason: "SegmentNotFound", sentence: `spec.segmentRef: Segment "nobody" does not exist`,
			mended: fmt.Sprintf(segment, "nobody", "{orders: {exactly: 0}}"),
		},
		"segments in a circle": {
			broken:   fmt.Sprintf(segment, "round", "{segment: {name: about}}") + fmt.Sprintf(segment, "about", "{segment: {name: round}}"),
			resource: "segment/round", reason: "SegmentCycle", sentence: "round → about → round",
			mended: fmt.Sprintf(segment, "about", "{orders: {atLeast: 1}}"),
		},
		"a webhook to where the operator has not allowed it": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `webhook: {url: "https://elsewhere.example/in"}`), "broken", "hook"),
			resource: "scenario/hook", reason: "WebhookNotAllowed", sentence: "spec.steps[0].webhook.url: webhooks to elsewhere.example are not allowed: name it in the manager's --webhook-allowed-hosts",
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", `webhook: {url: "https://hooks.shop.example/in"}`), "broken", "hook"),
		},
		"a webhook's missing key": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `webhook: {url: "https://hooks.shop.example/in", signingSecretRef: {name: hook, key: key}}`), "broken", "signed"),
			resource: "scenario/signed", reason: "SecretNotFound", sentence: `spec.steps[0].webhook.signingSecretRef: Secret "hook" does not exist`,
			mended: "apiVersion: v1\nkind: Secret\nmetadata: {name: hook}\nstringData: {key: 0123456789abcdef0123456789abcdef}",
		},
		"a fallback's missing channel": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", `line: {channel: line-main, messages: [{type: text, text: T}], fallback: {sms: {channel: nowhere, text: T}}}`), "broken", "fallback"),
			resource: "scenario/fallback", reason: "ChannelNotFound", sentence: `spec.steps[0].line.fallback.sms.channel: ChannelConfig "nowhere" does not exist`,
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", `line: {channel: line-main, messages: [{type: text, text: T}], fallback: {sms: {channel: sms-main, text: T}}}`), "broken", "fallback"),
		},
		"pods that would need a database of their own": {
			broken:   strings.ReplaceAll(fmt.Sprintf(step, "once", good[1:len(good)-1]), "name: broken}\nspec:", "name: later}\nspec:\n  dispatch: {runner: Job}"),
			resource: "scenario/later", reason: "Unsupported", sentence: "spec.dispatch.runner: Job needs PostgreSQL, and this manager keeps its data in SQLite",
			mended: strings.ReplaceAll(fmt.Sprintf(step, "once", good[1:len(good)-1]), "broken", "later"),
		},
		"an expression that cannot be compiled": {
			broken:   fmt.Sprintf(segment, "cel", `{expression: "customer.orders > 'many'"}`),
			resource: "segment/cel", reason: "InvalidSpec", sentence: "spec.match.all[0].expression: line 1, column",
			mended: fmt.Sprintf(segment, "cel", `{expression: "customer.orders > 3"}`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			s.apply(c.broken)
			s.eventually(time.Minute, func() error {
				got := s.cluster.Run(t, "", "get", c.resource, "-n", s.ns, "-o",
					`jsonpath={.status.conditions[?(@.type=="Stalled")].reason}: {.status.conditions[?(@.type=="Stalled")].message}`)
				if !strings.HasPrefix(got, c.reason+": ") || !strings.Contains(got, c.sentence) {
					return fmt.Errorf("Stalled is %q, want %s with %q", got, c.reason, c.sentence)
				}
				return nil
			})
			s.apply(c.mended)
			s.ready(c.resource)
			if got := s.cluster.Run(t, "", "get", c.resource, "-n", s.ns, "-o", `jsonpath={.status.conditions[?(@.type=="Stalled")]}`); got != "" {
				t.Errorf("Stalled is still there: %s", got)
			}
		})
	}
}
