// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// kaeru runs a command, and gives what it printed.
func kaeru(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetIn(strings.NewReader(""))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCustomersAndSuppressions(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		run := func(want, wantErr string, args ...string) string {
			t.Helper()
			got, err := kaeru(t, append(args, "-n", "shop", "--store", dsn)...)
			if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
				t.Errorf("%v: %v, want %q", args, err, wantErr)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%v: %s, want %s", args, got, want)
			}
			return got
		}
		run("2 new", "", "import", "customers", file("c.csv", "id,email,consent_email\nanna,anna@example.com,no\nbert,bert@example.com,yes\n"))

		list := file("s.csv", "channel,address,reason\nemail,Carl@Example.com,Complained\nsms,+819012345678,\nfax,1,x\nemail,nobody,x\n")
		got := run("2 new, 0 changed, 0 unchanged, 2 refused", "2 of 4 rows were refused", "suppressions", "import", list)
		for _, refusal := range []string{"line 4", `"fax" is no kind of channel`, "line 5", `"nobody" is not an email address`} {
			if !strings.Contains(got, refusal) {
				t.Errorf("no %q in %s", refusal, got)
			}
		}
		run("0 new, 0 changed, 2 unchanged", "", "suppressions", "import", file("t.jsonl", `{"channel":"email","address":"carl@example.com","reason":"Other"}`+"\n"+`{"channel":"sms","address":"+819012345678"}`+"\n"))
		got = run("carl@example.com   Complained", "", "suppressions", "--channel", "email")
		if strings.Contains(got, "+81") {
			t.Error(got)
		}
		exported := run("channel,address,reason,at\nemail,carl@example.com,Complained,", "", "suppressions", "export")
		run("0 new, 0 changed, 2 unchanged", "", "suppressions", "import", file("again.csv", exported))
		run(`"reason":"Complained"`, "", "suppressions", "-o", "json")
		run("", "--reason is not set", "suppressions", "remove", "email", "carl@example.com")
		run("may be used again: asked us to", "", "suppressions", "remove", "email", "CARL@example.com", "--reason", "asked us to")
		run("", "is not on the list", "suppressions", "remove", "email", "carl@example.com", "--reason", "again")
		run("", `--channel "fax"`, "suppressions", "--channel", "fax")

		run(`"email": "anna@example.com"`, "", "export", "anna")
		run("customers         1      removed", "", "erase", "anna", "--yes")
		run("Nothing is held about this customer.", "", "erase", "anna")
		run("[]", "", "erase", "anna", "-o", "json")
		run("", `nothing is held about customer "anna"`, "export", "anna")
		run("anna@example.com", "", "suppressions") // who had said no
		run(`"id": "bert"`, "", "export", "bert")
	})
}
