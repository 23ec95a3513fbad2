// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"bytes"
	"mime"
	"regexp"
	"strings"

	"github.com/emersion/go-message/charset"
)

const (
	maxFields = 400
	maxField  = 8 << 10
)

// field is one line of a header, unfolded.
type field struct{ name, value string }

type header []field

// readHeader reads fields up to an empty line, and gives what follows it. A line that is no field is
// passed over.
func readHeader(raw []byte) (h header, body []byte) {
	raw = bytes.TrimLeft(raw, " \t\n")
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return h, raw
		}
		if line[0] == ' ' || line[0] == '\t' {
			if n := len(h); n > 0 && len(h[n-1].value)+len(line) < maxField {
				h[n-1].value += " " + string(bytes.TrimSpace(line))
			}
			continue
		}
		name, value, ok := strings.Cut(string(line), ":")
		if n := len(h); n > 0 && strings.HasSuffix(h[n-1].value, ";") && strings.Contains(name, "=") && len(h[n-1].value)+len(line) < maxField {
			h[n-1].value += " " + string(line) // folded without the space that says so
			continue
		}
		if !ok || strings.ContainsAny(name, " \t") || name == "" || len(h) >= maxFields {
			continue
		}
		h = append(h, field{name, strings.TrimSpace(value[:min(len(value), maxField)])})
	}
	return h, nil
}

// get is the first field of a name, with its encoded words decoded.
func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return decodeWords(f.value)
		}
	}
	return ""
}

func (h header) all(name string) (values []string) {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (h header) has(name string) bool { return len(h.all(name)) > 0 }

var words = mime.WordDecoder{CharsetReader: charset.Reader}

func decodeWords(s string) string {
	if strings.Contains(s, "=?") {
		if decoded, err := words.DecodeHeader(s); err == nil {
			s = decoded
		}
	}
	return string(guess([]byte(s)))
}

var address = regexp.MustCompile(`[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*`)

var quotedAddress = regexp.MustCompile(`"[^"\n@]{1,64}"@[A-Za-z0-9.-]+`)

// findAddress is the first mail address in a text, or empty.
func findAddress(s string) string {
	if len(s) > maxField {
		s = s[:maxField]
	}
	if quoted := quotedAddress.FindString(s); quoted != "" {
		return quoted
	}
	return strings.Trim(address.FindString(s), "'")
}

// messageID is what stands in angle brackets.
func messageID(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '<'); i >= 0 {
		s = s[i+1:]
	}
	if i := strings.IndexByte(s, '>'); i >= 0 {
		s = s[:i]
	}
	if len(s) > 255 || strings.ContainsAny(s, " \t") {
		return ""
	}
	return s
}
