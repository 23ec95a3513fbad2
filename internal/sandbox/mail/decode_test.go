// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func TestDecode(t *testing.T) {
	tests := map[string]struct {
		raw                 string
		subject, text, html string
	}{
		"plain": {"Subject: Hello\n\nworld\n", "Hello", "world\r\n", ""},
		"both parts": {"Subject: =?utf-8?B?6JuZ?=\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nt\n" +
			"--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>=E8=9B=99</p>\n--b--\n", "蛙", "t", "<p>蛙</p>"},
		"iso-2022-jp": {"Subject: =?ISO-2022-JP?B?GyRCMz8bKEI=?=\nContent-Type: text/plain; charset=iso-2022-jp\n\n\x1b$B3?\x1b(B\n", "蛙", "蛙\r\n", ""},
		"attachment":  {"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=x\n\nno\n--b--\n", "s", "", ""},
		"cut short":   {"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nhalf", "s", "half", ""},
		"no headers":  {"", "", "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := Decode(record.Message{Raw: crlf(tt.raw)})
			if m.Subject != tt.subject || m.Text != tt.text || m.HTML != tt.html {
				t.Errorf("subject %q text %q html %q, want %q %q %q", m.Subject, m.Text, m.HTML, tt.subject, tt.text, tt.html)
			}
			if subject, _ := Heading(crlf(tt.raw)); subject != tt.subject {
				t.Errorf("heading %q, want %q", subject, tt.subject)
			}
		})
	}
}

func TestMessageID(t *testing.T) {
	tests := map[string]struct{ raw, want string }{
		"as usual": {"From: a\nMessage-ID: <k@shop.example>\n\nx", "k@shop.example"},
		"folded":   {"message-id:\n <k@shop.example>\nTo: b\n\nx", "k@shop.example"},
		"none":     {"From: a\n\nMessage-ID: <in the text>\n", ""},
		"no body":  {"Message-ID: <k>", "k"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := messageID(crlf(tt.raw)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(crlf("Subject: =?utf-8?B?6JuZ?=\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b--\n"))
	f.Add(crlf("Message-ID:\n <k>\nFrom: =?x?Q?=\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		Decode(record.Message{Raw: raw})
		Heading(raw)
		messageID(raw)
		if string(raw) != before {
			t.Error("reading a mail changed it")
		}
	})
}
