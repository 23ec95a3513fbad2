// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// deliver sends a mail through a socket and reads what arrived.
func deliver(t *testing.T, change func(*channel.Message, *Config)) (*channel.Message, *mail.Message, string) {
	t.Helper()
	srv := &script{}
	c, m := config(srv.serve(t)), message()
	if change != nil {
		change(m, &c)
	}
	if o := sender(t, c).Send(t.Context(), m, nil); o.End != channel.Sent {
		t.Fatalf("%+v", o)
	}
	raw := srv.last(t)
	got, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m, got, raw
}

func TestHeaders(t *testing.T) {
	m, got, raw := deliver(t, func(m *channel.Message, _ *Config) {
		m.Email.Subject = subject + "\r\nBcc: x@example.com"
		m.Email.Headers = map[string]string{"X-Kaeru-Step": "最初"}
	})
	decode := func(name string) string {
		v, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return v
	}
	want := map[string]string{
		"Message-Id":            "<" + m.Key.String() + "@shop.example>",
		"From":                  "カエル商店 <news@shop.example>",
		"To":                    "<" + recipient + ">",
		"Reply-To":              "<help@shop.example>",
		"Subject":               subject + " Bcc: x@example.com",
		"List-Unsubscribe":      "<" + link + ">",
		"List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"Precedence":            "bulk",
		"Auto-Submitted":        "auto-generated",
		"Mime-Version":          "1.0",
		"X-Kaeru-Step":          "最初",
		"Bcc":                   "",
		"User-Agent":            "",
	}
	for name, value := range want {
		if got := strings.ReplaceAll(decode(name), `"`, ""); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if _, err := got.Header.Date(); err != nil {
		t.Error(err)
	}
	for _, line := range strings.Split(raw, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

func TestWithoutUnsubscribe(t *testing.T) {
	_, got, _ := deliver(t, func(m *channel.Message, _ *Config) { m.Email.UnsubscribeURL = "" })
	for _, name := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "Precedence"} {
		if v := got.Header.Get(name); v != "" {
			t.Errorf("%s: %q", name, v)
		}
	}
}

func TestBodies(t *testing.T) {
	long := strings.Repeat("あいうえお", 500)
	tests := map[string]struct{ text, html string }{
		"both":        {text, "<p>" + text + "</p>"},
		"text only":   {text, ""},
		"html only":   {"", "<p>" + text + "</p>"},
		"ASCII":       {"Hello =\r\n.\r\nQUIT\r\n..", "<p>Hello</p>"},
		"long lines":  {long, "<p>" + long + "</p>"},
		"dots as one": {".\r\n.", "."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, got, _ := deliver(t, func(m *channel.Message, _ *Config) { m.Email.Text, m.Email.HTML = tt.text, tt.html })
			want := map[string]string{"text/plain": tt.text, "text/html": tt.html}
			seen := parts(t, got)
			for kind, body := range want {
				if seen[kind] != body {
					t.Errorf("%s: %q, want %q", kind, seen[kind], body)
				}
			}
		})
	}
}

func parts(t *testing.T, m *mail.Message) map[string]string {
	t.Helper()
	out := map[string]string{}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		out[kind] = decoded(t, m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return out
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(params["charset"], "UTF-8") {
			t.Errorf("%v %v", params, err)
		}
		out[kind] = decoded(t, p.Header.Get("Content-Transfer-Encoding"), p)
	}
}

func decoded(t *testing.T, encoding string, r io.Reader) string {
	t.Helper()
	switch encoding {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	default:
		t.Errorf("encoding %q", encoding)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	// The line break before a boundary is the boundary's; a whole mail ends with one of its own.
	return strings.TrimSuffix(string(b), "\r\n")
}

func TestRecipients(t *testing.T) {
	tests := map[string]struct {
		to, path string
		ok       bool
	}{
		"usual":              {"hanako@example.jp", "<hanako@example.jp>", true},
		"plus":               {"hanako+news@example.jp", "<hanako+news@example.jp>", true},
		"docomo's dots":      {"hana..ko.@docomo.ne.jp", `<"hana..ko."@docomo.ne.jp>`, true},
		"quoted already":     {`"hana..ko."@docomo.ne.jp`, `<"hana..ko."@docomo.ne.jp>`, true},
		"Japanese domain":    {"info@日本語.jp", "<info@xn--wgv71a119e.jp>", true},
		"Japanese address":   {"花子@example.jp", "<花子@example.jp>", true},
		"no at":              {"hanako", "", false},
		"no local part":      {"@example.jp", "", false},
		"no domain":          {"hanako@", "", false},
		"space":              {"hana ko@example.jp", "", false},
		"named":              {"Hanako <hanako@example.jp>", "", false},
		"two":                {"a@example.jp,b@example.jp", "", false},
		"line break":         {"a@example.jp\r\nDATA", "", false},
		"literal":            {"a@[127.0.0.1]", "", false},
		"domain with spaces": {"a@exa mple.jp", "", false},
		"too long":           {strings.Repeat("a", 250) + "@example.jp", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseRecipient(tt.to)
			if (err == nil) != tt.ok || tt.ok && path(got) != tt.path {
				t.Errorf("%q %v", path(got), err)
			}
		})
	}
}

func FuzzRecipient(f *testing.F) {
	for _, s := range []string{"a@example.jp", "hana..ko.@docomo.ne.jp", `"a b"@example.jp`, "花子@日本語.jp", "a@b\r\nDATA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseRecipient(s)
		if err != nil {
			return
		}
		if p := path(got); strings.ContainsAny(p, "\r\n\x00") || !strings.HasPrefix(p, "<") || !strings.HasSuffix(p, ">") || strings.Count(p, "<") != 1 {
			t.Errorf("%q becomes %q", s, p)
		}
	})
}

func TestEnvelope(t *testing.T) {
	m := message()
	sign := func(key uuid.UUID, to string) string { return key.String()[:8] + strings.ReplaceAll(to, "@", "-at-") }
	tests := map[string]struct {
		returnPath string
		sign       func(uuid.UUID, string) string
		want       string
	}{
		"VERP":           {"bounces@shop.example", sign, "<bounces+" + sign(m.Key, m.To) + "@shop.example>"},
		"unsigned":       {"bounces@shop.example", nil, "<bounces@shop.example>"},
		"no return path": {"", sign, "<news@shop.example>"},
	}
	for name, tt := range tests {
		c := config(25)
		c.ReturnPath, c.BounceToken = tt.returnPath, tt.sign
		if got := sender(t, c).envelopeFrom(m.Key, m.To); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestNew(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		ok     bool
	}{
		"usual":               {func(*Config) {}, true},
		"only what must be":   {func(c *Config) { *c = Config{From: "news@shop.example", Host: "smtp.shop.example"} }, true},
		"no from":             {func(c *Config) { c.From = "" }, false},
		"bad reply-to":        {func(c *Config) { c.ReplyTo = "help" }, false},
		"bad return path":     {func(c *Config) { c.ReturnPath = "bounces+x@shop.example" }, false},
		"long return path":    {func(c *Config) { c.ReturnPath = "bounces-of-our-news@shop.example" }, false},
		"no host":             {func(c *Config) { c.Host = "" }, false},
		"port in the host":    {func(c *Config) { c.Host = "smtp.shop.example:587" }, false},
		"bad port":            {func(c *Config) { c.Port = 70000 }, false},
		"bad TLS":             {func(c *Config) { c.TLS = "Maybe" }, false},
		"no password":         {func(c *Config) { c.Username = "u" }, false},
		"password, but whose": {func(c *Config) { c.Password = password }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := config(25)
			tt.change(&c)
			_, err := New(c)
			if (err == nil) != tt.ok {
				t.Error(err)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Error(err)
			}
		})
	}
}
