// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestUnmade has messages that cannot be made say why, without a word of what the customer's values are.
func TestUnmade(t *testing.T) {
	tests := map[string]struct {
		steps string
		want  string
	}{
		"a missing value": {
			`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t\n{{ customer.first_name }}"}}]`,
			"skipped MissingValue: customer.first_name:1;",
		},
		"in an expression": {
			`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "{{ customer.address.city | append: '!' }}"}]}}]`,
			"skipped MissingValue: customer.address.city:1;",
		},
		"a value that does not fit": {
			`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t\n{{ customer.secret | yen }}"}}]`,
			"failed RenderFailed: text: line 2: filter yen: the value is not a number:1;",
		},
		"an empty subject": {
			`[{"name": "a", "email": {"channel": "mail", "subject": "{% if customer.none %}x{% endif %}", "text": "t"}}]`,
			"failed RenderFailed: subject: the subject is empty for this customer:1;",
		},
		"in a message of LINE's": {
			`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "x"}, {"type": "text", "text": "{{ customer.secret | date_ja }}"}]}}]`,
			"failed RenderFailed: messages[1].text: line 1: filter date_ja: the value is not a date:1;",
		},
		"a loop without end": {
			`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{% for i in (1..100000000) %}{{ i }}{% endfor %}"}}]`,
			"failed RenderFailed: text: line 1: the template takes more than 100000 steps: its loops are too long:1;",
		},
		"and a fallback that can": {
			`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{{ customer.secret | yen }}", "fallback": {"line": {"channel": "push", "messages": [{"type": "text", "text": "x"}]}}}}]`,
			"sent:1;",
		},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.customers(1)
				f.exec(`UPDATE customers SET attributes = '{"secret": "4711-hanako"}'`)
				e := f.engine()
				f.fire(e, f.armed(tt.steps))
				f.finish(e)
				f.want(tt.want)
				if strings.Contains(f.states(), "hanako") {
					t.Error("the reason tells of the customer")
				}
				if fell := f.count(`SELECT COUNT(*) FROM messages WHERE fell_back LIKE '%: %'`); fell != 0 {
					t.Error("why it fell back has more than a reason")
				}
			})
		}
	})
	// What is counted has a reason of few, and no more.
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				seen[label.GetValue()] = true
				if strings.Contains(label.GetValue(), ": ") {
					t.Errorf("%s has the label %q", family.GetName(), label.GetValue())
				}
			}
		}
	}
	if !seen[ReasonMissingValue] || !seen[ReasonRenderFailed] {
		t.Error("the reasons are not counted")
	}
}

func TestWhyUnmade(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"missing":        {&content.MissingValueError{Field: "text", Path: "customer.x"}, "MissingValue: customer.x"},
		"wrong":          {&content.Error{Field: "html", Line: 3, Message: "m"}, "RenderFailed: html: line 3: m"},
		"another's word": {errors.New("cannot read 4711-hanako"), "RenderFailed"},
		"long":           {&content.MissingValueError{Path: strings.Repeat("あ", 500)}, "MissingValue: " + strings.Repeat("あ", maxDetail) + "…"},
	}
	for name, tt := range tests {
		why := whyUnmade(tt.err)
		if got := why.why(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestTheEventsOwnProduct has an event bring a product of its own: its address is not the shop's, and is
// not written where the shop's would be.
func TestTheEventsOwnProduct(t *testing.T) {
	tests := map[string]struct{ properties, want, says string }{
		"the shop's":            {`{"product_id": "p1", "product": {"url": "https://evil.example"}}`, "sent:1;", "t https://shop.example/p1"},
		"one that is not there": {`{"product_id": "p9", "product": {"url": "https://evil.example"}}`, "skipped MissingValue: entry.product.url:1;", ""},
		"none":                  {`{"product": {"url": "https://evil.example"}}`, "skipped MissingValue: entry.product.url:1;", ""},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.customers(1)
				f.exec(`INSERT INTO products (ns, id, name, url, updated_at) VALUES ('shop', 'p1', 'Soap', 'https://shop.example/p1', 0)`)
				e := f.engine()
				said := ""
				f.provider.seen = func(m *channel.Message, _ bool) { said = m.Email.Text }
				f.ok(e.Arm(f.Context(), f.anybody(f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t {{ entry.product.url }}"}}]`, on("Seen", nil)))))
				f.happen(store.Event{ID: "e1", CustomerID: "c00000", Name: "Seen", OccurredAt: monday, Properties: []byte(tt.properties)})
				f.finish(e)
				f.want(tt.want)
				if said != tt.says {
					t.Errorf("it says %q, want %q", said, tt.says)
				}
			})
		}
	})
}
