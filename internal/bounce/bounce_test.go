// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestMails reads mails that were written for this test in the formats of servers.
func TestMails(t *testing.T) {
	const token = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnop"
	cases := map[string]struct {
		kind              Kind
		class             Class
		status, recipient string
		reaction          Reaction
	}{
		"arf-abuse":                  {Complained, "", "", "anna@customer.example", Suppress},
		"arf-auth-failure":           {Complained, "", "", "", Alert},
		"arf-not-spam":               {None, "", "", "", Ignore},
		"arf-optout":                 {Complained, "", "", "anna@customer.example", Suppress},
		"carrier-unknown-eucjp":      {Failed, Hard, "", "anna@customer.example", Suppress},
		"complaint-without-part":     {Complained, "", "", "anna@customer.example", Suppress},
		"docomo-full":                {Failed, Soft, "5.2.2", "anna@customer.example", Count},
		"domino-unlisted":            {Failed, Hard, "", "anna@customer.example", Suppress},
		"empty":                      {None, "", "", "", Ignore},
		"exchange-french":            {Failed, Soft, "", "anna@customer.example", Count},
		"exchange-german":            {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"exim-mail-from":             {Failed, Policy, "5.1.0", "anna@customer.example", Alert},
		"exim-retry":                 {Failed, Soft, "", "anna@customer.example", Count},
		"exim-size":                  {Failed, Content, "5.3.4", "anna@customer.example", Alert},
		"exim-unknown":               {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"exim-warning":               {Delayed, "", "", "anna@customer.example", Record},
		"filter-content":             {Failed, Policy, "5.7.1", "anna@customer.example", Alert},
		"gmx-quota":                  {Failed, Soft, "", "anna@customer.example", Count},
		"google-nosuchuser":          {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"google-rate":                {Failed, Policy, "5.2.1", "anna@customer.example", Alert},
		"google-unauthenticated":     {Failed, Policy, "5.7.26", "anna@customer.example", Alert},
		"html-only":                  {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"kddi-full-jis":              {Failed, Soft, "", "anna@customer.example", Count},
		"mfilter-base64":             {Failed, Hard, "", "anna@customer.example", Suppress},
		"microsoft-dbeb":             {Failed, Hard, "5.4.1", "anna@customer.example", Suppress},
		"microsoft-dmarc":            {Failed, Policy, "5.7.509", "anna@customer.example", Alert},
		"microsoft-expired":          {Failed, Soft, "5.4.316", "anna@customer.example", Count},
		"no-reason":                  {Failed, Other, "", "anna@customer.example", Record},
		"postfix-blocklist":          {Failed, Policy, "5.7.1", "anna@customer.example", Alert},
		"postfix-delay":              {Delayed, "", "4.4.1", "anna@customer.example", Record},
		"postfix-delivered":          {Delivered, "", "2.0.0", "anna@customer.example", Record},
		"postfix-expired":            {Failed, Soft, "4.4.1", "anna@customer.example", Count},
		"postfix-full":               {Failed, Soft, "4.2.2", "anna@customer.example", Count},
		"postfix-mixed":              {Failed, Hard, "5.0.0", "anna@customer.example", Suppress},
		"postfix-nohost":             {Failed, Hard, "5.4.4", "anna@customer.example", Suppress},
		"postfix-sender-domain":      {Failed, Policy, "5.1.8", "anna@customer.example", Alert},
		"postfix-unknown-crlf":       {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"postfix-unknown":            {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"postfix-words-against-code": {Failed, Policy, "5.1.1", "anna@customer.example", Alert},
		"qmail-banned":               {Failed, Policy, "5.7.606", "anna@customer.example", Alert},
		"qmail-nomailbox":            {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"qmail-queue":                {Failed, Soft, "4.4.1", "anna@customer.example", Count},
		"reply":                      {None, "", "", "", Ignore},
		"report-broken-header":       {Failed, Hard, "5.2.1", "anna@customer.example", Suppress},
		"report-without-boundary":    {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"sendmail-relay":             {Failed, Policy, "", "anna@customer.example", Alert},
		"sendmail-transcript":        {Failed, Hard, "5.1.1", "anna@customer.example", Suppress},
		"ses-quoted":                 {Failed, Policy, "5.1.0", "anna@customer.example", Alert},
		"sms-refused-japanese":       {Failed, Policy, "", "anna@customer.example", Alert},
		"vacation-japanese":          {AutoReply, "", "", "", Ignore},
		"vacation":                   {AutoReply, "", "", "", Ignore},
		"virus":                      {Failed, Policy, "5.7.1", "anna@customer.example", Alert},
		"yahoo-deferred":             {Failed, Policy, "4.7.0", "anna@customer.example", Alert},
	}
	files, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil || len(files) != len(cases) {
		t.Fatalf("%d mails, %d cases: %v", len(files), len(cases), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".eml")
		t.Run(name, func(t *testing.T) {
			want, ok := cases[name]
			if !ok {
				t.Fatal("no case")
			}
			r := readFile(t, file)
			if r.Kind != want.kind || r.Class != want.class || r.Reaction() != want.reaction {
				t.Errorf("%s %s %s, want %s %s %s", r.Kind, r.Class, r.Reaction(), want.kind, want.class, want.reaction)
			}
			recipient, status := "", ""
			if len(r.Recipients) > 0 {
				recipient, status = r.Recipients[0].Address, r.Recipients[0].Status
			}
			if len(r.Recipients) > 1 || recipient != want.recipient || status != want.status {
				t.Errorf("%+v, want %s %s", r.Recipients, want.recipient, want.status)
			}
			if name != "reply" && name != "empty" && (len(r.Tokens()) != 1 || r.Tokens()[0] != token) {
				t.Errorf("tokens %q", r.Tokens())
			}
			if strings.Contains(r.mail.original.get("Subject"), "Spring") && r.MessageID != "0c5b9a52-0000-4000-8000-000000000001@shop.example" {
				t.Errorf("message %q", r.MessageID)
			}
		})
	}
}

func readFile(t *testing.T, file string) *Report {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadSaysWhyItCannot(t *testing.T) {
	broken := errors.New("the line is cut")
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestOthersBounces reads mails from elsewhere: set KAERU_BOUNCES to a directory of bounces, one in a
// file. The project has none of its own, since they are other people's mails.
func TestOthersBounces(t *testing.T) {
	directory := os.Getenv("KAERU_BOUNCES")
	if directory == "" {
		return // nothing was given to read
	}
	read, reports, suppressing := 0, 0, 0
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		r := readFile(t, path)
		read++
		if r.Kind == None {
			t.Logf("%s is no report", path)
			return nil
		}
		reports++
		for i := range r.Recipients {
			to := &r.Recipients[i]
			if r.ReactionTo(to.Kind, to.Class) != Suppress {
				continue
			}
			suppressing++
			if to.Kind == Failed && strings.HasPrefix(to.Status, "5.7.") && statusClass(to.Status, true) != Hard && find(clearWords, normal(to.Diagnostic)) != Hard {
				t.Errorf("%s: a refusal for reasons of policy suppresses: %q", path, to.Diagnostic)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d mails read, %d reports, %d recipients to suppress", read, reports, suppressing)
	if read == 0 || reports*100 < read*95 {
		t.Errorf("%d of %d mails are reports, want 95%%", reports, read)
	}
}
