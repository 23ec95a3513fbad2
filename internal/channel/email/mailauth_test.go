// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// finding is what mailauth says of a signature.
type finding struct{ Result, Comment, Aligned, Algorithm, Signed string }

// mailauth has another implementation of DKIM look at mails.
func mailauth(t *testing.T, mails []delivered) [][]finding {
	t.Helper()
	type mail struct {
		Mail    []byte            `json:"mail"` // base64 in JSON
		Records map[string]string `json:"records"`
	}
	var in []mail
	for _, d := range mails {
		in = append(in, mail{[]byte(d.raw), d.records})
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	packages := testenv.NPM(t, "testdata/mailauth")
	cmd := exec.CommandContext(t.Context(), "node", "testdata/mailauth/verify.cjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(packages, "node_modules"))
	cmd.Stdin = bytes.NewReader(text)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, problems.String())
	}
	var findings [][]finding
	if err := json.Unmarshal(out, &findings); err != nil || len(findings) != len(mails) {
		t.Fatalf("%d findings of %d mails, %v", len(findings), len(mails), err)
	}
	return findings
}

// TestAnotherVerifier has every odd mail verified by a second implementation, and finds that it would
// have seen what was changed on the way.
func TestAnotherVerifier(t *testing.T) {
	all := signedMails(t)
	names := slices.Sorted(maps.Keys(all))
	var mails []delivered
	for _, name := range names {
		changed := all[name]
		changed.raw = strings.Replace(changed.raw, "\r\nList-Unsubscribe-Post:", "\r\nList-Unsubscribe: <https://evil.example>\r\nList-Unsubscribe-Post:", 1)
		if changed.raw == all[name].raw {
			changed.raw = "List-Unsubscribe: <https://evil.example>\r\n" + changed.raw
		}
		mails = append(mails, all[name], changed)
	}
	found := mailauth(t, mails)
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			if f := found[2*i]; len(f) != 1 || f[0].Result != "pass" || f[0].Aligned != "shop.example" {
				t.Fatalf("%+v", f)
			}
			algorithm := "rsa-sha256"
			if strings.HasPrefix(name, "Ed25519") {
				algorithm = "ed25519-sha256"
			}
			if got := found[2*i][0].Algorithm; got != algorithm {
				t.Errorf("it is signed with %s, want %s", got, algorithm)
			}
			signed := strings.Split(strings.ToLower(found[2*i][0].Signed), ":")
			if all[name].message.Email.UnsubscribeURL != "" {
				for i := range signed {
					signed[i] = strings.TrimSpace(signed[i])
				}
				for _, header := range []string{"list-unsubscribe", "list-unsubscribe-post", "from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type"} {
					if !slices.Contains(signed, header) {
						t.Errorf("%s is not signed: %v", header, signed)
					}
				}
			}
			if f := found[2*i+1]; len(f) != 1 || f[0].Result == "pass" {
				t.Errorf("another way to unsubscribe is not seen: %+v", f)
			}
		})
	}
}
