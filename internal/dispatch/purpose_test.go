// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func forNews(s *crm.ScenarioSpec) { s.Purpose = "news" }

// says records what a customer says about a purpose, or a channel.
func (f *fixture) says(customer, channel, purpose, state string) {
	f.Helper()
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.SetConsents(f.Context(), "shop", customer, []store.Said{{Channel: channel, Purpose: purpose, State: state}}, store.SourcePreferences, f.clock.Now())
		return err
	}))
}

func TestWhoWithdrewThePurposeGetsNothing(t *testing.T) {
	const withFallback = `[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "x"}],
		"fallback": {"email": {"channel": "mail", "subject": "s", "text": "t"}}}}]`
	tests := map[string]struct {
		channel, purpose, state string
		steps                   string
		change                  []func(*crm.ScenarioSpec)
		want                    string
	}{
		"this purpose":              {channel: "email", purpose: "news", state: "withdrawn", change: []func(*crm.ScenarioSpec){forNews}, want: "sent:1;skipped PurposeWithdrawn:1;"},
		"said yes to it":            {channel: "email", purpose: "news", state: "granted", change: []func(*crm.ScenarioSpec){forNews}, want: "sent:2;"},
		"another purpose":           {channel: "email", purpose: "tips", state: "withdrawn", change: []func(*crm.ScenarioSpec){forNews}, want: "sent:2;"},
		"on another channel":        {channel: "line", purpose: "news", state: "withdrawn", change: []func(*crm.ScenarioSpec){forNews}, want: "sent:2;"},
		"a scenario without one":    {channel: "email", purpose: "news", state: "withdrawn", want: "sent:2;"},
		"the channel as a whole":    {channel: "email", state: "withdrawn", change: []func(*crm.ScenarioSpec){forNews}, want: "sent:1;skipped NoConsent:1;"},
		"another channel may do it": {channel: "line", purpose: "news", state: "withdrawn", steps: withFallback, change: []func(*crm.ScenarioSpec){forNews}, want: "sent:2;"},
		"that of the other alone":   {channel: "email", purpose: "news", state: "withdrawn", steps: withFallback, change: []func(*crm.ScenarioSpec){forNews}, want: "sent:2;"},
	}
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				f := f.in(t)
				f.exec(`DELETE FROM purpose_consents`)
				f.customers(2)
				e := f.engine()
				steps := oneMail
				if tt.steps != "" {
					steps = tt.steps
				}
				f.fire(e, f.armed(steps, tt.change...))
				f.plan(e) // and only then it is said
				f.says("c00000", tt.channel, tt.purpose, tt.state)
				f.finish(e)
				f.want(tt.want)
				fell := f.count(`SELECT COUNT(*) FROM messages WHERE fell_back = 'PurposeWithdrawn'`)
				if want := name == "another channel may do it"; want != (fell == 1) {
					t.Errorf("%d fell back", fell)
				}
			})
		}
	})
}

// TestPurposeIsAskedLast withdraws it after the message was read and before its sending begins.
func TestPurposeIsAskedLast(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2)
		f.provider.script = func(m *channel.Message, n int) step {
			if m.Customer == "c00000" && n == 1 {
				f.says("c00000", "email", "news", store.ConsentWithdrawn)
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		f.fire(e, f.armed(oneMail, forNews))
		f.finish(e)
		f.want("sent:1;skipped PurposeWithdrawn:1;")
		if n := f.taken(); n != 1 {
			t.Errorf("%d messages were taken", n)
		}
	})
}

func TestPurposeEndsTheWay(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(3)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"for": "7d"}, `+thenMail+`]`, forNews))
		f.finish(e)
		f.clock.SetTime(monday.Add(time.Hour))
		f.says("c00000", "email", "news", store.ConsentWithdrawn)
		f.says("c00001", "email", "tips", store.ConsentWithdrawn)
		e.look(shop)
		f.finish(e)
		for customer, want := range map[string]string{"c00000": "exited Unsubscribed ", "c00001": "active  b", "c00002": "active  b"} {
			if got := f.way(customer); got != want {
				t.Errorf("%s is %q, want %q", customer, got, want)
			}
		}
	})
}

func TestNoCouponForWhoWithdrewThePurpose(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(2)
		f.coupons("autumn", 2, time.Time{})
		f.says("c00000", "email", "news", store.ConsentWithdrawn)
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}}]`, withCoupon("autumn", "14d"), forNews))
		f.finish(e)
		f.want("sent:1;skipped PurposeWithdrawn:1;")
		if n := f.count(`SELECT COUNT(*) FROM coupons WHERE customer_id IS NOT NULL`); n != 1 {
			t.Errorf("%d coupons were given", n)
		}
	})
}
