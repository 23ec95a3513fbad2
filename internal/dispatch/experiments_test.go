// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const twoSubjects = `[{"name": "a", "email": {"channel": "mail", "subject": "plain", "text": "body",
	"variants": [{"name": "control", "weight": 50}, {"name": "shout", "weight": 50, "subject": "LOUD"}],
	"winner": {"metric": "Clicked", "minRecipients": 200, "confidence": "95%"}}}]`

// TestExperiment runs one from its shares to its verdict, after which all get the winner: also those whose
// message was planned before.
func TestExperiment(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1000)
		subjects := map[string]int{}
		f.provider.script = func(m *channel.Message, _ int) step {
			subjects[m.Email.Subject]++
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		a := f.armed(twoSubjects)
		f.fire(e, a)
		f.finish(e)
		f.want("sent:1000;")
		if n := subjects["LOUD"]; n < 420 || n > 580 || subjects["plain"] != 1000-n {
			t.Errorf("the subjects are %v", subjects)
		}
		decide := func() string {
			t.Helper()
			for _, a := range e.snapshot() {
				a.decided = time.Time{}
			}
			f.ok(e.tick(t.Context()))
			won, err := e.Verdicts(t.Context(), a)
			f.ok(err)
			return won["a"]
		}
		if won := decide(); won != "" {
			t.Errorf("%s won before anybody clicked", won)
		}
		f.exec(`UPDATE messages SET clicked_at = 1 WHERE variant = 'shout' AND SUBSTR(customer_id, 6, 1) IN ('1', '2', '3')`)
		f.exec(`UPDATE messages SET clicked_at = 1 WHERE variant = 'control' AND SUBSTR(customer_id, 6, 1) = '4'`)
		// The messages of another run are planned, and not sent yet.
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.exec(`UPDATE customers SET id = 'd' || id`)
		f.exec(`UPDATE consents SET customer_id = 'd' || customer_id`)
		f.exec(`UPDATE memberships SET customer_id = 'd' || customer_id`)
		clear(subjects)
		f.fire(e, a)
		for range 5 {
			f.ok(e.tick(t.Context()))
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned' AND variant = 'control'`); n < 420 || n > 580 {
			t.Errorf("%d are planned with the variant that will lose", n)
		}
		if won := decide(); won != "shout" {
			t.Errorf("%q won", won)
		}
		f.finish(e)
		f.want("sent:2000;")
		if subjects["LOUD"] != 1000 {
			t.Errorf("after the verdict the subjects are %v", subjects)
		}
		counts, err := e.Variants(t.Context(), shop, "", "a")
		f.ok(err)
		if counts["shout"].Sent+counts["control"].Sent != 2000 || counts["shout"].Clicked == 0 {
			t.Errorf("the counts are %+v", counts)
		}
		f.taken()
	})
}

func TestVariantsAreChecked(t *testing.T) {
	f := newFixture(t, "sqlite://"+t.TempDir()+"/k.db")
	for steps, want := range map[string]string{
		`[{"name": "a", "email": {"channel": "m", "subject": "s", "text": "t", "variants": [{"name": "x", "weight": 1}, {"name": "x", "weight": 1}]}}]`:                       "spec.steps[0].email.variants[1].name: another",
		`[{"name": "a", "email": {"channel": "m", "subject": "s", "text": "t", "variants": [{"name": "x", "weight": 1}, {"name": "y", "weight": 1, "subject": "{{ open"}]}}]`: "spec.steps[0].email.variants, y",
	} {
		if err := f.refused(steps); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s…", err, want)
		}
	}
}
