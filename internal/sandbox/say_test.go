// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// TestTelephonesSpeak: what a telephone says arrives signed as Twilio signs it, and who said STOP gets nothing
// more until START.
func TestTelephonesSpeak(t *testing.T) {
	s, err := sandbox.Start(t.Context(), sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r := newReceiver(t)
	defer r.Close()
	api := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken)
	say := func(text, optOut string) {
		t.Helper()
		heard, err := s.Client().Say(t.Context(), sandbox.SMSSaid{From: "+819012345678", To: "+815012345678", Text: text, OptOutType: optOut, URL: r.URL + "/in?a=b"})
		if err != nil || heard.Status != http.StatusNoContent {
			t.Fatalf("%+v, %v", heard, err)
		}
	}
	for _, step := range []struct {
		text, optOut string
		takes        bool
	}{{"いつ届きますか", "", true}, {"Stop", "", false}, {"hello", "", false}, {"START", "", true}, {"もういい", "STOP", false}, {"start", "START", true}} {
		say(step.text, step.optOut)
		_, err := api.CreateMessage(sms("+819012345678", "x"))
		if step.takes != (err == nil) || err != nil && !strings.Contains(err.Error(), "21610") {
			t.Errorf("after %q: %v", step.text, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bad > 0 || len(r.forms) != 6 {
		t.Fatalf("%d texts came in, %d of them with a bad signature", len(r.forms), r.bad)
	}
	first := r.forms[0]
	if first.Get("Body") != "いつ届きますか" || first.Get("SmsStatus") != "received" || first.Get("From") != "+819012345678" || first.Has("MessageStatus") || first.Has("OptOutType") || !strings.HasPrefix(first.Get("MessageSid"), "SM") {
		t.Errorf("the form is %v", first)
	}
	if got := r.forms[4].Get("OptOutType"); got != "STOP" {
		t.Errorf("OptOutType is %q", got)
	}
	for name, bad := range map[string]sandbox.SMSSaid{
		"no number":  {From: "shop", To: "+815012345678", URL: r.URL},
		"no account": {SID: "AC1", From: "+819012345678", To: "+815012345678", URL: r.URL},
		"no webhook": {From: "+819012345678", To: "+815012345678", URL: "http://127.0.0.1:1/"},
	} {
		if _, err := s.Client().Say(t.Context(), bad); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
