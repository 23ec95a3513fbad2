// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestSampleLine(t *testing.T) {
	tests := map[string]struct {
		source, want string
		made         string
	}{
		"what is the same for all":   {`{"type":"text","text":"a"}`, `{"type":"text","text":"a"}`, ""},
		"a name":                     {`{"type":"text","text":"{{ customer.last_name }}様"}`, `{"type":"text","text":"見本様"}`, "messages[0].text"},
		"a number":                   {`{"type":"text","text":"{{ entry.points | divided_by: 3 }}pt"}`, `{"type":"text","text":"0pt"}`, "messages[0].text"},
		"an address":                 {`{"type":"image","originalContentUrl":"{{ entry.product.image_url }}"}`, `{"type":"image","originalContentUrl":"https://shop.example/sample"}`, "messages[0].originalContentUrl"},
		"several":                    {`{"type":"text","text":"{{ customer.a }}{{ entry.b.c }}{{ coupon.code }}"}`, `{"type":"text","text":"見本見本見本"}`, "messages[0].text"},
		"the shop's own":             {`{"type":"text","text":"{{ shop.name }}"}`, `{"type":"text","text":"Kaeru Shop"}`, ""},
		"a recommendation":           {`{"type":"text","text":"{{ recommendations[0].name }}"}`, `{"type":"text","text":"お茶"}`, "messages[0].text"},
		"what no value can be given": {`{"type":"text","text":"{{ entry.list[0].name }}"}`, `{"type":"text","text":"見本"}`, "messages[0].text"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			line, err := testCompile.CompileLine([]json.RawMessage{json.RawMessage(tt.source)})
			if err != nil {
				t.Fatal(err)
			}
			data := &Data{Shop: map[string]any{"name": "Kaeru Shop"}, Recommendations: []map[string]any{{"name": "お茶"}}}
			got, err := line.Sample(t.Context(), data, testLinks(t))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Messages) != 1 || string(got.Messages[0]) != tt.want {
				t.Errorf("got %s, want %s", got.Messages, tt.want)
			}
			if made := strings.Join(slices.Sorted(maps.Keys(got.Made)), " "); made != tt.made {
				t.Errorf("made %q, want %q", made, tt.made)
			}
			if data.Customer != nil || len(data.Shop) != 1 {
				t.Errorf("the data became %+v", data)
			}
		})
	}
}
