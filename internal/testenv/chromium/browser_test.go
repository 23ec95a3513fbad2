// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package chromium

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// noted takes what a page finds fault with, instead of failing.
type noted struct {
	testing.TB
	found []string
}

func (n *noted) Errorf(format string, args ...any) {
	n.found = append(n.found, fmt.Sprintf(format, args...))
}

func TestFaultsAreFound(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<!doctype html><html lang="en"><head><title>t</title><meta name="viewport" content="width=device-width"></head><body>
<main><h1>%s</h1><p id="said">without scripts</p><img src="x.png"><p style="color:#aaa;background:#fff">pale</p><div style="width:900px;height:1px"></div></main>
<script>document.getElementById("said").textContent = "with scripts"</script></body></html>`, r.Header.Get("Accept-Language"))
	}))
	t.Cleanup(server.Close)
	looking := Start(t)
	for scripts, want := range map[bool]string{false: "without scripts", true: "with scripts"} {
		n := &noted{TB: t}
		p := looking.Page(n, Phone, "ja", scripts)
		p.Open(server.URL)
		if got := p.Text("#said"); got != want {
			t.Errorf("scripts %t: the page was made %s", scripts, got)
		}
		if got := p.Text("h1"); !strings.HasPrefix(got, "ja") {
			t.Errorf("it asked for %q", got)
		}
		p.Accessible("a bad page")
		all := strings.Join(n.found, "\n")
		for _, fault := range []string{"image-alt (critical)", "color-contrast (serious)", "wide on a screen of 375"} {
			if !strings.Contains(all, fault) {
				t.Errorf("no %s in %s", fault, all)
			}
		}
	}
}
