// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

func TestPipelining(t *testing.T) {
	for name, offers := range map[string]bool{"offered": true, "not offered": false} {
		t.Run(name, func(t *testing.T) {
			srv := &script{pipelining: offers}
			s := sender(t, config(srv.serve(t)))
			for range 3 {
				if o := s.Send(t.Context(), message(), nil); o.End != channel.Sent {
					t.Fatalf("%+v", o)
				}
			}
			want := 0
			if offers {
				want = 3
			}
			n, verbs := srv.seen()
			if srv.together != want || n != 1 || verbs != "[EHLO MAIL RCPT DATA . MAIL RCPT DATA . MAIL RCPT DATA .]" {
				t.Errorf("%d of 3 came in one piece, %d connections, %s", srv.together, n, verbs)
			}
		})
	}
}

// TestPipelinedRefusals refuses each stage in turn. Nothing may be delivered by mistake, and the next
// mail goes out, on the same connection where the server can be trusted with it.
func TestPipelinedRefusals(t *testing.T) {
	tests := map[string]struct {
		verb, reply string
		strict      bool
		end         channel.End
		connections int
		verbs       string
	}{
		"MAIL":                        {"MAIL", "451 4.3.0 Later", true, channel.Retry, 1, "MAIL RCPT DATA RSET MAIL RCPT DATA ."},
		"MAIL, and it goes on":        {"MAIL", "451 4.3.0 Later", false, channel.Retry, 2, "MAIL RCPT DATA EHLO MAIL RCPT DATA ."},
		"RCPT":                        {"RCPT", "550 5.1.1 Unknown", true, channel.Failed, 1, "MAIL RCPT DATA RSET MAIL RCPT DATA ."},
		"RCPT, and it wants the mail": {"RCPT", "550 5.1.1 Unknown", false, channel.Failed, 2, "MAIL RCPT DATA EHLO MAIL RCPT DATA ."},
		"DATA":                        {"DATA", "451 4.3.0 Later", true, channel.Retry, 1, "MAIL RCPT DATA RSET MAIL RCPT DATA ."},
		"DATA, for nobody":            {"DATA", "554 5.5.1 No valid recipients", false, channel.Failed, 1, "MAIL RCPT DATA RSET MAIL RCPT DATA ."},
		"the mail":                    {".", "451 4.3.0 Later", true, channel.Retry, 1, "MAIL RCPT DATA . MAIL RCPT DATA ."},
		"MAIL, and it leaves":         {"MAIL", "421 4.3.2 Bye drop", true, channel.Retry, 2, "MAIL EHLO MAIL RCPT DATA ."},
		"RCPT, and it leaves":         {"RCPT", "550 5.1.1 Unknown drop", true, channel.Failed, 2, "MAIL RCPT EHLO MAIL RCPT DATA ."},
		"RSET":                        {"RSET", "500 5.5.1 What? drop", true, channel.Retry, 2, "MAIL RCPT DATA RSET EHLO MAIL RCPT DATA ."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv := &script{pipelining: true, strict: tt.strict, replies: map[string]string{}}
			s := sender(t, config(srv.serve(t)))
			send := func(want channel.End) {
				t.Helper()
				if o := s.Send(t.Context(), message(), nil); o.End != want {
					t.Fatalf("%+v, want %s", o, want)
				}
			}
			begun := func(context.Context) error { t.Error("it was begun"); return nil }
			if tt.verb == "." {
				begun = nil
			}
			if tt.verb == "RSET" {
				srv.first("RCPT", "450 4.2.1 Busy")
				send(channel.Retry)
				srv.set("RSET", tt.reply)
			} else {
				srv.first(tt.verb, tt.reply)
			}
			if o := s.Send(t.Context(), message(), begun); o.End != tt.end {
				t.Fatalf("%+v, want %s", o, tt.end)
			}
			send(channel.Sent)
			n, verbs := srv.seen()
			if n != tt.connections || strings.Trim(strings.TrimPrefix(verbs, "[EHLO "), "]") != tt.verbs {
				t.Errorf("%d connections, want %d\ngot  %s\nwant %s", n, tt.connections, verbs, tt.verbs)
			}
			mails := 1
			if tt.verb == "." {
				mails = 2
			}
			if srv.arrived() != mails {
				t.Errorf("%d mails arrived whole, want %d", srv.arrived(), mails)
			}
		})
	}
}

// TestPipelinedSilence has a server that answers the first command and then nothing more: each answer
// has its own time.
func TestPipelinedSilence(t *testing.T) {
	srv := &script{pipelining: true, replies: map[string]string{"RCPT": "silence", "DATA": "silence"}}
	c := config(srv.serve(t))
	c.Timeout = hurry
	start := time.Now()
	checkOutcome(t, sender(t, c).Send(t.Context(), message(), nil), want{end: channel.Retry, reason: channel.ReasonProviderUnreachable})
	if d := time.Since(start); d < hurry || d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
	if srv.arrived() != 0 {
		t.Error("a mail was sent")
	}
}
