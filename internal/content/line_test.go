// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// shown replaces tracked addresses by <kind index target> and short ones by <short target>.
func shown(t *testing.T, text string, links Links, rows []ShortLink) string {
	t.Helper()
	for _, row := range rows {
		text = strings.ReplaceAll(text, "https://k.example/s/"+row.Code, "<short "+row.URL+">")
	}
	for _, kind := range []Kind{Click, Open, Unsubscribe, Preferences} {
		prefix := "https://k.example/" + string(kind) + "/"
		for {
			before, rest, ok := strings.Cut(text, prefix)
			if !ok {
				break
			}
			end := strings.IndexFunc(rest, func(r rune) bool {
				return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
			})
			if end < 0 {
				end = len(rest)
			}
			c, err := links.Signer.Verify(kind, rest[:end])
			if err != nil || c.Namespace != "shop" || c.Message != testMessage {
				t.Fatalf("the link %s%s says %+v: %v", prefix, rest[:end], c, err)
			}
			mark := "<" + string(kind)
			if kind == Click {
				mark += " " + c.URL
			}
			text = before + mark + ">" + rest[end:]
		}
	}
	return text
}

func TestRenderLine(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"a text": {
			`{"type":"text","text":"{{ customer.first_name }}さん <3 & 5"}`,
			`{"type":"text","text":"花子さん <3 & 5"}`,
		},
		"a value cannot break out": {
			`{"type":"text","text":"{{ customer.quoted }}"}`,
			`{"type":"text","text":"\"}],\"x\":{"}`,
		},
		"a text's link is short": {
			`{"type":"text","text":"見る https://shop.example/a {{ customer.site }}"}`,
			`{"type":"text","text":"見る <short https://shop.example/a> https://evil.example/me"}`,
		},
		"a uri action": {
			`{"type":"flex","altText":"{{ shop.name }}","contents":{"type":"bubble","footer":{"type":"box","contents":[` +
				`{"type":"button","action":{"type":"uri","label":"Go","uri":"https://shop.example/{{ customer.first_name }}?a=1&b=2"}}]}}}`,
			`{"type":"flex","altText":"Kaeru Shop","contents":{"type":"bubble","footer":{"type":"box","contents":[` +
				`{"type":"button","action":{"type":"uri","label":"Go","uri":"<l https://shop.example/%E8%8A%B1%E5%AD%90?a=1&b=2>"}}]}}}`,
		},
		"an address that is the same for all, and one for the desktop": {
			`{"action":{"uri":"https://a.example","altUri":{"desktop":"https://b.example"},"type":"uri"},"type":"x"}`,
			`{"action":{"uri":"<l https://a.example>","altUri":{"desktop":"<l https://b.example>"},"type":"uri"},"type":"x"}`,
		},
		"an imagemap's": {
			`{"type":"imagemap","baseUrl":"https://img.example/x","actions":[{"type":"uri","linkUri":"{{ recommendations[0].url }}"}]}`,
			`{"type":"imagemap","baseUrl":"https://img.example/x","actions":[{"type":"uri","linkUri":"<l https://shop.example/p1?a=1&b=2>"}]}`,
		},
		"a telephone": {
			`{"type":"x","action":{"type":"uri","uri":"tel:+8150"}}`, `{"type":"x","action":{"type":"uri","uri":"tel:+8150"}}`,
		},
		"pictures stay": {
			`{"type":"image","originalContentUrl":"https://img.example/{{ coupon.code }}.png"}`,
			`{"type":"image","originalContentUrl":"https://img.example/KAERU15.png"}`,
		},
		"the other values stay as they are written": {
			`{"type":"sticker","n":1.50,"big":123456789012345678,"b":[true,null,"a"],"z":{},"e":[]}`,
			`{"type":"sticker","n":1.50,"big":123456789012345678,"b":[true,null,"a"],"z":{},"e":[]}`,
		},
		"a template in a list": {`{"type":"x","l":["{{ coupon.code }}","b"]}`, `{"type":"x","l":["KAERU15","b"]}`},
		"a text inside is not the message's": {
			`{"type":"flex","contents":{"type":"text","text":"https://a.example {{ coupon.code }}"}}`,
			`{"type":"flex","contents":{"type":"text","text":"https://a.example KAERU15"}}`,
		},
		"own links, long and short": {
			`{"type":"text","text":"{{ links.unsubscribe }}","a":{"type":"uri","uri":"{{ links.preferences }}"}}`,
			`{"type":"text","text":"<short <u>>","a":{"type":"uri","uri":"<p>"}}`,
		},
	}
	links := testLinks(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			line, err := testCompile.CompileLine([]json.RawMessage{json.RawMessage(tc.source)})
			if err != nil {
				t.Fatal(err)
			}
			got, err := line.Render(context.Background(), testData(t), links)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Messages) != 1 || !json.Valid(got.Messages[0]) {
				t.Fatalf("got %q", got.Messages)
			}
			if s := shown(t, string(got.Messages[0]), links, got.Short); s != tc.want {
				t.Errorf("got\n%s\nwant\n%s", s, tc.want)
			}
		})
	}
}

func TestALongAddressStaysUntracked(t *testing.T) {
	address := "https://shop.example/" + strings.Repeat("a", 900)
	line, err := testCompile.CompileLine([]json.RawMessage{json.RawMessage(`{"type":"x","a":{"type":"uri","uri":"` + address + `"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := line.Render(context.Background(), testData(t), testLinks(t))
	if err != nil || !strings.Contains(string(got.Messages[0]), address) {
		t.Errorf("got %s, %v", got.Messages, err)
	}
}

func TestCompileLineRefuses(t *testing.T) {
	tests := map[string]struct {
		messages []string
		field    string
		line     int
		want     string
	}{
		"none":           {nil, "messages", 0, "1 to 5"},
		"six":            {[]string{"{}", "{}", "{}", "{}", "{}", "{}"}, "messages", 0, "1 to 5"},
		"no JSON":        {[]string{`{"type":`}, "messages[0]", 0, "not JSON"},
		"more than one":  {[]string{`{} {}`}, "messages[0]", 0, "not JSON"},
		"no object":      {[]string{`{}`, `"text"`}, "messages[1]", 0, "a JSON object"},
		"nested too far": {[]string{strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)}, "messages[0]", 0, "too deep"},
		"a wrong template": {
			[]string{`{"type":"flex","contents":{"body":{"contents":[1,{"text":"a\n{{ custmer.x }}"}]}}}`},
			"messages[0].contents.body.contents[1].text", 2, "unknown variable custmer",
		},
		"a wrong address": {
			[]string{`{"a":{"type":"uri","uri":"{% if true %}"}}`}, "messages[0].a.uri", 1, "if is not closed",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var messages []json.RawMessage
			for _, m := range tc.messages {
				messages = append(messages, json.RawMessage(m))
			}
			_, err := testCompile.CompileLine(messages)
			wantError(t, err, tc.field, tc.line, tc.want)
		})
	}
}

func FuzzCompileLine(f *testing.F) {
	f.Add(`{"type":"text","text":"{{ customer.first_name }}"}`, "x")
	f.Add(`{"type":"flex","a":[{"type":"uri","uri":"https://a.example/{{ customer.v }}"}]}`, `"}`)
	f.Fuzz(func(t *testing.T, source, value string) {
		line, err := testCompile.CompileLine([]json.RawMessage{json.RawMessage(source)})
		if err != nil {
			return
		}
		data := &Data{Customer: map[string]any{"first_name": value, "v": value}}
		got, err := line.Render(context.Background(), data, testLinks(t))
		if err == nil && !json.Valid(got.Messages[0]) {
			t.Errorf("%q with %q became %q", source, value, got.Messages[0])
		}
	})
}
