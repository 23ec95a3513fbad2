// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package links

import (
	"slices"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"japanese goes on":  {"こちらhttps://shop.example/a?x=1から。", []string{"https://shop.example/a?x=1"}},
		"sentence ends":     {"See https://shop.example/a. Or http://b.example/!", []string{"https://shop.example/a", "http://b.example/"}},
		"in brackets":       {"(https://shop.example/a) [https://b.example]", []string{"https://shop.example/a", "https://b.example"}},
		"brackets inside":   {"https://en.example/wiki/Frog_(animal)", []string{"https://en.example/wiki/Frog_(animal)"}},
		"twice is once":     {"https://a.example https://a.example", []string{"https://a.example"}},
		"nothing to follow": {"shop.example ftp://a.example", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Text(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHTML(t *testing.T) {
	got := HTML(`<a href=" https://a.example/?x=1&amp;y=2 ">a</a><a href="mailto:x@y">m</a><area href="https://b.example">` +
		`<img src="https://c.example/o.gif"/><img src="data:image/gif;base64,x"><a href="javascript:alert(1)">`)
	if want := []string{"https://a.example/?x=1&y=2", "https://b.example"}; !slices.Equal(got.Links, want) {
		t.Errorf("links %q, want %q", got.Links, want)
	}
	if want := []string{"https://c.example/o.gif"}; !slices.Equal(got.Images, want) {
		t.Errorf("images %q, want %q", got.Images, want)
	}
}

func TestLINE(t *testing.T) {
	got := LINE([]byte(`[{"type":"text","text":"1 https://a.example"},{"type":"flex","altText":"https://not.example","contents":{"type":"bubble",
		"footer":{"contents":[{"action":{"type":"uri","uri":"https://d.example"}},{"action":{"type":"uri","uri":"tel:110"}}]},
		"body":{"contents":[{"type":"text","text":"https://c.example"}]},"hero":{"url":"https://picture.example","action":{"uri":"https://b.example"}}}},
		{"type":"imagemap","actions":[{"linkUri":"https://e.example"}]}]`))
	want := []string{"https://a.example", "https://b.example", "https://c.example", "https://d.example", "https://e.example"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzText(f *testing.F) {
	f.Add("see https://a.example/(x)。")
	f.Fuzz(func(t *testing.T, s string) {
		for _, link := range Text(s) {
			if !strings.Contains(s, link) || !followable(link) {
				t.Errorf("%q was found in %q", link, s)
			}
		}
	})
}
