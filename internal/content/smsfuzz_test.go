// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/sandbox/twilio"
)

// FuzzCountSMS holds the parts of a text against those that the double of Twilio counts, which was written
// apart, and against what must hold of any: each part has room for what is in it.
func FuzzCountSMS(f *testing.F) {
	for _, text := range []string{"", "a", strings.Repeat("a", 160), strings.Repeat("€", 81), strings.Repeat("🐸", 70), "あ\xff", "’", strings.Repeat("a", 152) + "€", "👨‍👩‍👧‍👦", "\u0301é"} {
		f.Add(text, 1)
		f.Add(text, 9)
	}
	f.Fuzz(func(t *testing.T, text string, times int) {
		if times < 1 || times > 50 || len(text)*times > 20_000 {
			t.Skip()
		}
		text = strings.Repeat(text, times)
		got := CountSMS(text)
		if text == "" {
			if got.Parts != 0 {
				t.Errorf("nothing takes %+v", got)
			}
			return
		}
		single, each := 160, 153
		if got.Encoding == UCS2 {
			single, each = 70, 67
		}
		if got.Parts < 1 || got.Parts == 1 && got.Units > single || got.Parts > 1 && (got.Units <= single || got.Units > got.Parts*each || got.Units <= (got.Parts-1)*(each-1)) {
			t.Errorf("%q is %+v", text, got)
		}
		if !utf8.ValidString(text) {
			return // no such text is sent: what is rendered is UTF-8
		}
		if got.Encoding == UCS2 && got.Units != len(utf16.Encode([]rune(text))) {
			t.Errorf("%q is %+v, and has %d UTF-16 units", text, got, len(utf16.Encode([]rune(text))))
		}
		if parts, encoding := twilio.Segments(text); parts != got.Parts || encoding != string(got.Encoding) {
			t.Errorf("%q is %+v, and Twilio says %d of %s", text, got, parts, encoding)
		}
	})
}
