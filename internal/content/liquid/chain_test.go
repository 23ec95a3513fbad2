// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"context"
	"fmt"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/money"
)

// What is evaluated without the library must be what the library makes of it.
func TestChainsAreTheLibrarys(t *testing.T) {
	values := map[string]any{
		"text": "Hanako", "empty": "", "blank": "  x ", "sama": "花子様", "whole": 7, "fraction": 7.5, "yes": true, "no": false,
		"list": []any{"a"}, "none": []any{}, "map": map[string]any{"a": 1}, "nothing": map[string]any{}, "nil": nil,
		"number": "1234.5", "amount": 5 * money.Unit, "products": []map[string]any{}, "int64": int64(9),
	}
	filters := []string{
		"default: 'x'", "default: 7", "default: customer.other", "default: customer.nil", "default: ''", "yen", "sama", "san", "strip",
		"upcase", "downcase", "append: 'x'", "prepend: 'x'", "default: 'お客' | sama", "strip | upcase | append: '!'", "default: 1200 | yen",
	}
	taken := 0
	for name, v := range values {
		for _, f := range filters {
			source := fmt.Sprintf("{{ customer.%s | %s }}", name, f)
			tpl, err := Compile(source, Options{Limits: limits})
			if err != nil {
				t.Fatal(err)
			}
			env := &Env{Vars: map[string]any{"customer": map[string]any{name: v, "other": "o"}}}
			got, gotErr := tpl.Render(context.Background(), env)

			e := tpl.nodes[0].(*output).expression
			if e.chain != nil {
				taken++
			}
			e.chain = nil
			want, wantErr := tpl.Render(context.Background(), env)
			if got.Text != want.Text || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("%s of %#v is %q, %v, and the library's %q, %v", source, v, got.Text, gotErr, want.Text, wantErr)
			}
		}
	}
	if want := len(values) * len(filters); taken != want {
		t.Errorf("%d of %d were chains", taken, want)
	}
}

func TestNotAChain(t *testing.T) {
	for _, source := range []string{
		"{{ customer.x }}", "{{ customer.x | times: 2 }}", "{{ customer.x | append: customer.y }}", "{{ customer[0] | upcase }}",
		"{{ 'x' | upcase }}", "{{ customer.x | default: 1.5 }}", "{{ customer.x | default: true }}", "{{ customer.x | default: customer.y[0] }}",
	} {
		tpl, err := Compile(source, Options{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		if c := tpl.nodes[0].(*output).chain; c != nil {
			t.Errorf("%s is the chain %+v", source, c)
		}
	}
}
