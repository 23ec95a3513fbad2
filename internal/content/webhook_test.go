// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWebhookBody(t *testing.T) {
	data := &Data{
		Customer: map[string]any{"id": "c1", "name": "a \"b\"\\ <c>\n", "points": json.Number("7"), "tags": []any{"x", "y\""}},
		Entry:    map[string]any{"note": `","admin":true,"x":"`},
	}
	tests := map[string]struct{ body, want, err string }{
		"a string":           {`{"name": "{{ customer.name }}"}`, `{"name":"a \"b\"\\ \u003cc\u003e\n"}`, ""},
		"a number":           {`{"points": {{ customer.points }}}`, `{"points":7}`, ""},
		"a string that ends": {`{"note": "{{ entry.note }}"}`, `{"note":"\",\"admin\":true,\"x\":\""}`, ""},
		"a whole value":      {`{"tags": {{ customer.tags | json }}}`, `{"tags":["x","y\""]}`, ""},
		"a loop":             {`[{% for t in customer.tags %}{% unless forloop.first %},{% endunless %}"{{ t }}"{% endfor %}]`, `["x","y\""]`, ""},
		"captured":           {`{% capture x %}{{ customer.name }}!{% endcapture %}{"x": "{{ x }}"}`, `{"x":"a \"b\"\\ \u003cc\u003e\n!"}`, ""},
		"raw":                {`{"points": {{ customer.points | raw }}}`, `{"points":7}`, ""},
		"no document":        {`{"name": {{ customer.name }}}`, "", "no JSON document for this customer"},
		"two":                {`{} {{ customer.points }}`, "", "no JSON document for this customer"},
		"an absent value":    {`{"x": "{{ customer.none }}"}`, "", "customer.none has no value"},
	}
	c := NewCompiler(Options{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w, err := c.CompileWebhook(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.Render(t.Context(), data)
			if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// FuzzWebhookBody holds that no value of a customer's changes what a body is made of.
func FuzzWebhookBody(f *testing.F) {
	for _, s := range []string{"", `"`, `\`, "\n\x00", `","x":"`, "\u2028", "\xff", "{{ customer.id }}"} {
		f.Add(s)
	}
	w, err := NewCompiler(Options{}).CompileWebhook(`{"a": "{{ customer.name }}", "b": {{ customer.name | json }}, "c": "{{ customer.name | upcase }}"}`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		body, err := w.Render(t.Context(), &Data{Customer: map[string]any{"name": name}})
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]string
		if err := json.Unmarshal(body, &out); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(name, "\ufffd"); len(out) != 3 || strings.ToValidUTF8(out["a"], "\ufffd") != out["b"] && want != out["a"] {
			t.Errorf("%q became %q", name, out)
		}
	})
}
