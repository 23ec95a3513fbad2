// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

func get200(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d", path, w.Code)
	}
	if path != "/assets/style.css" && !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s has no content policy", path)
	}
	return w.Body.String()
}

func page(t *testing.T, messages ...record.Message) http.Handler {
	t.Helper()
	log, err := record.Open(record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if _, err := log.Add(m); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	Routes(mux, log, time.UTC)
	return mux
}

func lineMessageOf(to, objects string) record.Message {
	return record.Message{Channel: record.LINE, To: to, From: "Shop", Status: record.Delivered, Line: &record.Line{Messages: json.RawMessage(objects)}}
}

func mailOf(to, subject, body string) record.Message {
	raw := fmt.Sprintf("From: Shop <news@shop.example>\r\nTo: %s\r\nSubject: %s\r\nList-Unsubscribe: <mailto:x@y>, <https://shop.example/u>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n%s", to, subject, body)
	return record.Message{Channel: record.Email, To: to, Status: record.Delivered, Raw: []byte(raw)}
}

func smsOf(to, text string) record.Message {
	return record.Message{Channel: record.SMS, To: to, From: "+8150", Status: record.Delivered, Text: text, SMS: &record.Text{Segments: 2, Encoding: "UCS-2"}}
}

func TestListFilters(t *testing.T) {
	h := page(t, lineMessageOf("U1", `[{"type":"text","text":"かえる"}]`), mailOf("a@example.jp", "news", "<p>frog</p>"), smsOf("+81901", "ribbit"))
	tests := map[string]struct{ query, want, without string }{
		"all":       {"", "ribbit news かえる", ""},
		"channel":   {"channel=sms", "ribbit", "news"},
		"recipient": {"to=A@example.jp", "news", "ribbit"},
		"search":    {"q=FROG", "news", "ribbit"},
		"japanese":  {"q=かえ", "かえる", "news"},
		"older":     {"before=2", "かえる", "news"},
		"none":      {"q=nothing", "No message fits", "ribbit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := get200(t, h, "/?"+tt.query)
			for _, want := range strings.Fields(tt.want) {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing", want)
				}
			}
			if tt.without != "" && strings.Contains(got, `">`+tt.without+`</span>`) {
				t.Errorf("%q is there", tt.without)
			}
		})
	}
	if list := get200(t, h, "/?list="); strings.Contains(list, "<html") || !strings.Contains(list, "ribbit") {
		t.Errorf("the list alone: %s", list)
	}
}

func TestPagesOfTheList(t *testing.T) {
	var all []record.Message
	for i := range 2*pageSize + 10 {
		all = append(all, smsOf("+81", fmt.Sprintf("text %03d.", i)))
	}
	h := page(t, all...)
	seen, next := 0, "/"
	for next != "" {
		body := get200(t, h, next)
		seen += strings.Count(body, `class="row sms"`)
		_, rest, more := strings.Cut(body, `<p class="older"><a class="button" href="`)
		if next = ""; more {
			next, _, _ = strings.Cut(rest, `"`)
			next = html.UnescapeString(next)
		}
	}
	if seen != len(all) {
		t.Errorf("%d rows on all pages, want %d", seen, len(all))
	}
}

func TestMessageGone(t *testing.T) {
	w := httptest.NewRecorder()
	page(t).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/?m=7", nil))
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "This message is gone") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestMailView(t *testing.T) {
	h := page(t, mailOf("a@example.jp", "=?utf-8?B?6JuZ?=", `<p>hello</p><script>alert(1)</script>`))
	got := get200(t, h, "/?m=1")
	for _, want := range []string{"<h2>蛙</h2>", `sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox"`, "&lt;p&gt;hello&lt;/p&gt;", `href="https://shop.example/u"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(got, "alert(1)") {
		t.Error("the mail's script reached the page")
	}
	if headers := get200(t, h, "/?m=1&view=headers"); !strings.Contains(headers, "List-Unsubscribe") {
		t.Error("the headers are missing")
	}
}

// Everything hostile that a message may carry stays text.
func TestHostileMessages(t *testing.T) {
	const evil = `"><img src=x onerror=alert(1)>`
	quoted := strings.ReplaceAll(evil, `"`, `\"`)
	h := page(t,
		lineMessageOf(evil, `[{"type":"text","text":"`+quoted+`"},{"type":"flex","altText":"x","contents":{"type":"bubble","body":{"type":"box","layout":"`+quoted+`","backgroundColor":"red;background:url(https://evil.example)","paddingAll":"1px}body{display:none",
			"contents":[{"type":"text","text":"`+quoted+`","color":"expression(1)"},{"type":"image","url":"javascript:alert(1)"},{"type":"button","action":{"type":"uri","label":"`+quoted+`","uri":"javascript:alert(1)"}}]}}}]`),
		smsOf(evil, evil+" https://a.example/"+evil),
		mailOf(evil, evil, evil),
	)
	for _, path := range []string{"/", "/?m=1", "/?m=2", "/?m=3", "/?m=3&view=headers", "/?m=3&view=text", "/?q=" + "%22%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E"} {
		doc, err := html.Parse(strings.NewReader(get200(t, h, path)))
		if err != nil {
			t.Fatal(err)
		}
		for n := range doc.Descendants() {
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") || (a.Key == "style" && strings.Contains(a.Val, "evil")) {
					t.Errorf("%s: <%s %s=%q>", path, n.Data, a.Key, a.Val)
				}
			}
		}
	}
}

func TestAssets(t *testing.T) {
	if css := get200(t, page(t), "/assets/style.css"); strings.Contains(css, "url(") || strings.Contains(css, "@import") {
		t.Error("the style sheet loads something from elsewhere")
	}
}
