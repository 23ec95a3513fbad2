// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bufio"
	"bytes"
	"net/textproto"
	"testing"
)

// FuzzDotted has another reader of SMTP's form find what was written, whatever it is.
func FuzzDotted(f *testing.F) {
	for _, s := range []string{"", ".", "..", ".\r\n", "a\r\n.\r\nb", "a\r\n..b\r\n", "a\n.b", "\r\n.\r\n.\r\n", "a\r", "a\r\n\r\n", "\n.\n", "a\r.\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, mail []byte) {
		raw := lines(mail)
		var wire, stdlib bytes.Buffer
		w := bufio.NewWriter(&wire)
		if err := writeDotted(w, raw); err != nil {
			t.Fatal(err)
		}
		_, _ = w.WriteString(".\r\n")
		_ = w.Flush()
		d := textproto.NewWriter(bufio.NewWriter(&stdlib))
		dots := d.DotWriter()
		_, _ = dots.Write(raw)
		_ = dots.Close()
		if len(raw) > 0 && !bytes.Equal(wire.Bytes(), stdlib.Bytes()) {
			t.Errorf("%q is written as %q, want %q", mail, wire.Bytes(), stdlib.Bytes())
		}
		if end := bytes.Index(wire.Bytes(), []byte("\r\n.\r\n")); end >= 0 && end != wire.Len()-5 {
			t.Errorf("%q ends early in %q", mail, wire.Bytes())
		}
	})
}
