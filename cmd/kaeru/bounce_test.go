// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const mailsOfServers = "../../internal/bounce/testdata/mails"

func runBounce(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := root()
	var out bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetArgs(append([]string{"bounce"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestBounce(t *testing.T) {
	mail, err := os.ReadFile(mailsOfServers + "/postfix-unknown.eml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := runBounce(t, string(mail), "-o", "json", "-", mailsOfServers+"/virus.eml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []bounceLine
	if err := json.Unmarshal([]byte(out), &lines); err != nil {
		t.Fatal(err)
	}
	want := bounceLine{
		File: "-", Kind: "bounce", Class: "hard", Recipient: "anna@customer.example", Status: "5.1.1", MTA: "mail.shop.example",
		Diagnostic: "550 5.1.1 <anna@customer.example>: Recipient address rejected: User unknown in virtual mailbox table",
		MessageID:  "0c5b9a52-0000-4000-8000-000000000001@shop.example", Token: "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnop", Reaction: "suppress",
	}
	if len(lines) != 2 || lines[0] != want || lines[1].Reaction != "alert" {
		t.Errorf("got %+v", lines)
	}
	out, err = runBounce(t, "", mailsOfServers)
	if err != nil || !strings.HasPrefix(out, "FILE ") || strings.Count(out, "\n") < 50 {
		t.Errorf("a directory: %v\n%s", err, out)
	}
	for name, args := range map[string][]string{"no file": {}, "none": {"nowhere.eml"}, "another output": {"-o", "xml", "-"}} {
		if _, err := runBounce(t, "", args...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBounceDoesNotCommandTheTerminal(t *testing.T) {
	out, err := runBounce(t, "From: mailer-daemon@x.example\nSubject: failure notice\n\nCould not deliver to:\n<a@b.example>: 550 \x1b[31muser unknown\n", "-")
	if err != nil || strings.Contains(out, "\x1b") {
		t.Errorf("%v %q", err, out)
	}
}
