// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRedact(t *testing.T) {
	const content = "花子さん、クーポンは明日までです AUTUMN15"
	tests := map[string]struct {
		words   string
		private []string
		want    string
	}{
		"nothing private":  {"550 5.2.2 Mailbox full", nil, "550 5.2.2 Mailbox full"},
		"address":          {"<hanako@example.jp>: unknown", nil, "<…>: unknown"},
		"mailto":           {"mailto:hanako@example.jp is unknown", nil, "mailto:… is unknown"},
		"number":           {"Invalid 'To' Phone Number: +81901234567", nil, "Invalid 'To' Phone Number: …"},
		"number in parts":  {"Number 090-1234-5678 is invalid", nil, "Number … is invalid"},
		"LINE id":          {"no user U0123456789abcdef0123456789abcdef here", nil, "no user … here"},
		"link":             {"see https://shop.example/u/token", nil, "see …"},
		"token":            {"Authorization: Bearer abc/def+= refused", nil, "Authorization: … refused"},
		"given values":     {"user KAERU-user with s3cr3t", []string{"kaeru-user", "s3cr3t", ""}, "user … with …"},
		"quotation":        {"bad text: クーポンは明日までです AUTUMN15!", nil, "bad text: …!"},
		"short overlap":    {"クーポン", nil, "クーポン"},
		"control":          {"a\r\nb\x00c\x1b[31m", nil, "a b c [31m"},
		"broken UTF-8":     {"a\xffb", nil, "a?b"},
		"pattern in value": {"a.c abc", []string{"a.c"}, "… abc"},
		"long":             {strings.Repeat("あ", 400), nil, strings.Repeat("あ", 300) + "…"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Redact(tt.words, content, tt.private...); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("550 <a@example.jp> said hello world", "hello world, this is me", "secret")
	f.Add("\xff\xfe", "", "")
	f.Fuzz(func(t *testing.T, words, content, private string) {
		got := Redact(words, content, private)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") || utf8.RuneCountInString(got) > maxDetail+1 {
			t.Errorf("%q", got)
		}
		if len(private) >= 8 && utf8.ValidString(private) && !strings.ContainsAny(private, "…") && strings.Contains(got, private) &&
			strings.Join(strings.Fields(private), " ") == private {
			t.Errorf("%q holds %q", got, private)
		}
	})
}
