// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"bytes"
	"io"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // the character sets that servers write in
	"golang.org/x/net/html"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

const (
	maxDepth = 8
	maxParts = 64
	// maxText is how much of what is not the original is looked at: reports are short.
	maxText = 32 << 10
)

// mail is a mail taken apart, as far as it could be.
type mail struct {
	header header
	// text is what people are to read, before the mail it is about; page the same from HTML.
	text, page string
	// status and feedback are the texts of message/delivery-status and message/feedback-report.
	status, feedback []string
	// original is the header of the mail that the report is about.
	original header
	returned bool // some of that mail is there
	parts    int
}

// parseMail takes a mail apart. It is lenient where libraries are strict: servers send lines without
// a colon in headers, boundaries that are not announced, and parts of a type nobody knows.
func parseMail(raw []byte) *mail {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	raw = bytes.ReplaceAll(raw, []byte("\r"), []byte("\n"))
	m := &mail{}
	var body []byte
	m.header, body = readHeader(raw)
	m.part(m.header, body, 0)
	m.text, m.page = limited(m.text), limited(m.page)
	for i := range m.status {
		m.status[i] = limited(m.status[i])
	}
	for i := range m.feedback {
		m.feedback[i] = limited(m.feedback[i])
	}
	if text, rest, cut := cutOriginal(m.text); cut {
		m.text = text
		m.returned = true
		if len(m.original) == 0 {
			m.original = originalHeader(rest)
		}
	}
	return m
}

func limited(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}

var boundaryLine = regexp.MustCompile(`(?m)^--([^\s-][^\n]*?|-{2,}[^\n]*?)[ \t]*\n(?i:Content-)`)

func (m *mail) part(h header, body []byte, depth int) {
	if m.parts++; m.parts > maxParts || depth > maxDepth {
		return
	}
	kind, params := contentType(h.get("Content-Type"))
	if strings.HasPrefix(kind, "multipart/") {
		boundary := params["boundary"]
		if boundary == "" || !bytes.Contains(body, []byte("--"+boundary)) {
			if found := boundaryLine.FindSubmatch(body); found != nil {
				boundary = string(found[1])
			}
		}
		if parts := split(body, boundary); len(parts) > 0 {
			for _, p := range parts {
				sub, rest := readHeader(p)
				m.part(sub, rest, depth+1)
			}
			return
		}
		kind = "text/plain"
	}
	switch {
	case kind == "message/rfc822", kind == "message/global", kind == "text/rfc822-headers", kind == "text/rfc822-header",
		kind == "message/global-headers", kind == "message/rfc822-headers":
		m.returned = true
		if len(m.original) == 0 {
			m.original, _ = readHeader(decode(h, body, kind, params))
		}
	case kind == "message/delivery-status", kind == "message/global-delivery-status", kind == "message/xdelivery-status":
		m.status = append(m.status, string(decode(h, body, kind, params)))
	case kind == "message/feedback-report":
		m.feedback = append(m.feedback, string(decode(h, body, kind, params)))
	case kind == "text/html":
		m.page += plain(decode(h, body, kind, params)) + "\n"
	case strings.HasPrefix(kind, "text/"), kind == "", kind == "message/delivery-report":
		m.addText(string(decode(h, body, kind, params)))
	}
}

// addText keeps a part that people read. Some servers return the original's header as such a part.
func (m *mail) addText(text string) {
	if h, _ := readHeader([]byte(text)); m.text != "" && h.get("Message-ID") != "" && h.get("From") != "" {
		m.returned = true
		if len(m.original) == 0 {
			m.original = h
		}
		return
	}
	m.text += text + "\n"
}

func contentType(value string) (kind string, params map[string]string) {
	kind, params, err := mime.ParseMediaType(value)
	if err == nil {
		return kind, params
	}
	kind, rest, _ := strings.Cut(value, ";")
	params = map[string]string{}
	for _, p := range strings.Split(rest, ";") {
		name, v, ok := strings.Cut(p, "=")
		if ok {
			params[strings.ToLower(strings.TrimSpace(name))] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// split gives the parts between lines that are a boundary.
func split(body []byte, boundary string) (parts [][]byte) {
	if boundary == "" {
		return nil
	}
	mark, end := "--"+boundary, "--"+boundary+"--"
	from := -1
	for at := 0; at < len(body) && len(parts) < maxParts; {
		next := len(body)
		if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		line := strings.TrimRight(string(body[at:next]), " \t\n")
		if line == mark || line == end {
			if from >= 0 {
				parts = append(parts, body[from:at])
			}
			if from = next; line == end {
				return parts
			}
		}
		at = next
	}
	if from >= 0 {
		parts = append(parts, body[from:])
	}
	return parts
}

// decode undoes the transfer encoding, and for text the character set, as far as that is possible.
func decode(h header, body []byte, kind string, params map[string]string) []byte {
	out := decodeAs(h, body, kind, params)
	if params["charset"] != "" && bytes.ContainsRune(out, utf8.RuneError) {
		// The set is not the one that was told: Japanese carriers do so.
		if other := decodeAs(h, body, kind, nil); !bytes.ContainsRune(other, utf8.RuneError) {
			return other
		}
	}
	return out
}

func decodeAs(h header, body []byte, kind string, params map[string]string) []byte {
	var mh message.Header
	mh.Set("Content-Transfer-Encoding", strings.ToLower(strings.TrimSpace(h.get("Content-Transfer-Encoding"))))
	textual := strings.HasPrefix(kind, "text/") || kind == ""
	if set := params["charset"]; textual && set != "" {
		mh.SetContentType("text/plain", map[string]string{"charset": set})
	} else {
		mh.SetContentType("application/octet-stream", nil)
	}
	e, _ := message.New(mh, bytes.NewReader(body)) // an unknown encoding or set leaves the body as it is
	out := body
	if e != nil {
		// What was decoded before an error is kept: a cut base64 text says much in its beginning.
		if read, err := io.ReadAll(io.LimitReader(e.Body, MaxSize)); err == nil || len(read) > 0 {
			out = read
		}
	}
	return guess(out)
}

// guess makes UTF-8 of text whose character set was not told, or told wrongly.
func guess(text []byte) []byte {
	if bytes.Contains(text, []byte("\x1b$")) {
		if out, err := japanese.ISO2022JP.NewDecoder().Bytes(text); err == nil {
			return out
		}
	}
	if utf8.Valid(text) {
		return text
	}
	for _, e := range []encoding.Encoding{japanese.EUCJP, japanese.ShiftJIS} {
		if out, err := e.NewDecoder().Bytes(text); err == nil && !bytes.ContainsRune(out, utf8.RuneError) {
			return out
		}
	}
	if out, err := charmap.Windows1252.NewDecoder().Bytes(text); err == nil {
		return out
	}
	return bytes.ToValidUTF8(text, nil)
}

// plain is the text of a page.
func plain(page []byte) string {
	var b strings.Builder
	z := html.NewTokenizer(bytes.NewReader(page))
	hidden := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if hidden == 0 {
				b.Write(z.Text())
			}
		case html.StartTagToken:
			switch name, _ := z.TagName(); string(name) {
			case "style", "script":
				hidden++
			case "p", "br", "div", "tr", "li", "td", "h1", "h2", "h3":
				b.WriteByte('\n')
			}
		case html.SelfClosingTagToken:
			b.WriteByte('\n')
		case html.EndTagToken:
			if name, _ := z.TagName(); (string(name) == "style" || string(name) == "script") && hidden > 0 {
				hidden--
			}
		}
	}
}
