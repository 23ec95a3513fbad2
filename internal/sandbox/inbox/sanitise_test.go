// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestSanitise(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"script":       {`<p>a<script>x</script>b</p>`, `<p>ab</p>`},
		"handler":      {`<p onclick="x" style="color:red">a</p>`, `<p style="color:red">a</p>`},
		"link":         {`<a href="https://a.example" target="_top">a</a>`, `<a href="https://a.example" target="_blank" rel="noopener noreferrer">a</a>`},
		"javascript":   {`<a href=" java&#10;script:x">a</a>`, `<a target="_blank" rel="noopener noreferrer">a</a>`},
		"relative":     {`<img src="/api/messages"/>`, `<img/>`},
		"data picture": {`<img src="data:image/png;base64,x"/>`, `<img src="data:image/png;base64,x"/>`},
		"data page":    {`<a href="data:text/html,x">a</a>`, `<a target="_blank" rel="noopener noreferrer">a</a>`},
		"form":         {`<form action="https://evil.example"><input name="p"/>a</form>`, `<form>a</form>`},
		"comment":      {`<!--[if mso]>x<![endif]-->a`, `a`},
		"svg":          {`<svg><script>x</script></svg>a`, `a`},
		"refresh":      {`<meta http-equiv="refresh" content="0;url=https://evil.example">a`, `a`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := sanitise(tt.source)
			_, got, _ = strings.Cut(got, "<body>")
			if got = strings.TrimSuffix(got, "</body></html>"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if got := sanitise(`<style>@media(max-width:480px){.c{width:100%}}</style>`); !strings.Contains(got, "@media") {
		t.Errorf("the mail's style is gone: %s", got)
	}
}

func FuzzSanitise(f *testing.F) {
	f.Add(`<table><tr><td><a href="https://a">x</a><script>1</script>`)
	f.Add(`<svg><style><img src=x onerror=alert(1)></style></svg>`)
	f.Add(`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`)
	f.Fuzz(func(t *testing.T, source string) {
		doc, err := html.Parse(strings.NewReader(sanitise(source)))
		if err != nil {
			t.Skip()
		}
		for n := range doc.Descendants() {
			if n.Type == html.ElementNode && slices.Contains(dropped, n.Data) {
				t.Errorf("<%s> came through %q", n.Data, source)
			}
			for _, a := range n.Attr {
				if n.Type == html.ElementNode && strings.HasPrefix(strings.ToLower(a.Key), "on") {
					t.Errorf("%s came through %q", a.Key, source)
				}
			}
		}
	})
}
