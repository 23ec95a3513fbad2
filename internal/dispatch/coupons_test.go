// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func (f *fixture) coupons(pool string, n int, expires time.Time) {
	f.Helper()
	var coupons []store.Coupon
	for i := range n {
		c := store.Coupon{Pool: pool, Code: fmt.Sprintf("%s-%04d", pool, i)}
		if !expires.IsZero() {
			c.ExpiresAt = store.Value(expires)
		}
		coupons = append(coupons, c)
	}
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCoupons(f.Context(), "shop", coupons)
		return err
	}))
}

func withCoupon(pool string, validFor crm.Duration) func(*crm.ScenarioSpec) {
	return func(s *crm.ScenarioSpec) { s.Coupon = &crm.ScenarioCoupon{Pool: pool, ValidFor: validFor} }
}

const couponMails = `[{"name": "hello", "email": {"channel": "mail", "subject": "s", "text": "no code"}},
	{"name": "code", "wait": {"for": "1d"}, "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}},
	{"name": "last", "wait": {"until": {"of": "CouponExpiry", "offset": "-1d"}, "at": "18:00"}, "if": "coupon.code != '' && coupon.pool == 'autumn'",
	 "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }} {{ coupon.expires_at | date: '%Y-%m-%d' }}"}}]`

// TestCoupons follows codes from the pool into mails, and the reminder before they end to hold.
func TestCoupons(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(30)
		f.coupons("autumn", 20, time.Time{})
		f.coupons("other", 20, time.Time{})
		var mu sync.Mutex
		codes := map[string][]string{}
		f.provider.script = func(m *channel.Message, _ int) step {
			mu.Lock()
			defer mu.Unlock()
			codes[m.Customer] = append(codes[m.Customer], m.Email.Text)
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		f.fire(e, f.armed(couponMails, withCoupon("autumn", "14d")))
		f.finish(e)
		f.want("sent:30;")
		if n := f.count(`SELECT COUNT(*) FROM coupons WHERE customer_id IS NOT NULL`); n != 0 {
			t.Errorf("%d codes were given before anybody needed one", n)
		}
		f.clock.SetTime(monday.Add(24 * time.Hour))
		f.finish(e)
		f.want("sent:50;skipped CouponsExhausted:10;skipped NoDate:10;")
		stock, err := e.Coupons(t.Context(), shop, "", "autumn", "")
		f.ok(err)
		if stock != (Stock{0, 20}) {
			t.Errorf("the stock is %+v", stock)
		}
		// They hold for 14 days, so that the evening before is on the 16th; who has none has no such day.
		f.clock.SetTime(time.Date(2026, 11, 16, 8, 59, 59, 0, time.UTC))
		f.finish(e)
		f.want("sent:50;skipped CouponsExhausted:10;skipped NoDate:10;")
		f.clock.SetTime(time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC))
		f.finish(e)
		f.want("sent:70;skipped CouponsExhausted:10;skipped NoDate:10;")
		seen := map[string]bool{}
		for customer, texts := range codes {
			if len(texts) != 3 {
				continue
			}
			code := strings.TrimSpace(texts[1])
			if !strings.HasPrefix(code, "autumn-") || seen[code] || !strings.HasPrefix(texts[2], code+" 2026-11-17") {
				t.Errorf("%s got %q", customer, texts)
			}
			seen[code] = true
		}
		if len(seen) != 20 {
			t.Errorf("%d got a code", len(seen))
		}
		f.taken()
	})
}

// TestCouponsAreNeverGivenTwice has several processes plan several scenarios over one pool at once.
func TestCouponsAreNeverGivenTwice(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(200)
		f.coupons("autumn", 500, time.Time{})
		const steps = `[{"name": "code", "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}}]`
		var group sync.WaitGroup
		for i := range 3 {
			e := f.engine()
			a := f.armed(steps, withCoupon("autumn", ""))
			a.Name = fmt.Sprintf("s%d", i)
			f.fire(e, a)
			group.Go(func() {
				for range 10 {
					if err := e.tick(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if n := f.count(`SELECT COUNT(*) FROM coupons WHERE customer_id IS NOT NULL`); n != 500 {
			t.Errorf("%d codes were given", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned'`); n != 500 {
			t.Errorf("%d messages have a code", n)
		}
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE reason = 'CouponsExhausted'`); n != 100 {
			t.Errorf("%d messages were skipped", n)
		}
	})
}

func TestCouponsThatExpire(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(1)
		f.coupons("old", 3, monday)
		f.coupons("soon", 3, monday.Add(48*time.Hour))
		e := f.engine()
		const steps = `[{"name": "code", "email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}}]`
		old := f.armed(steps, withCoupon("old", ""))
		old.Name = "old"
		f.fire(e, old)
		f.fire(e, f.armed(steps, withCoupon("soon", "14d")))
		f.settle(e)
		f.want("sent:1;skipped CouponsExhausted:1;")
		if n := f.count(`SELECT COUNT(*) FROM coupons WHERE pool = 'soon' AND valid_until = $1`, monday.Add(48*time.Hour).UnixMilli()); n != 1 {
			t.Error("a code holds longer than it does")
		}
	})
}

func TestCouponWithoutAPool(t *testing.T) {
	f := newFixture(t, "sqlite://"+t.TempDir()+"/k.db")
	for name, steps := range map[string]string{
		`spec.steps[0].email: reads coupon`:       `[{"name": "a", "email": {"channel": "mail", "subject": "{{ coupon.code }}", "text": "t"}}]`,
		`spec.steps[0].if: reads coupon`:          `[{"name": "a", "if": "coupon.code == ''", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`,
		`spec.steps[0].wait.until: waits for a c`: `[{"name": "a", "wait": {"until": {"of": "CouponExpiry"}}, "email": {"channel": "mail", "subject": "s", "text": "t"}}]`,
	} {
		if err := f.refused(steps); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%v, want %s…", err, name)
		}
	}
}

// TestNoCouponForWhoCannotBeReached keeps codes for those whose message goes out.
func TestNoCouponForWhoCannotBeReached(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		f.coupons("autumn", 3, time.Time{})
		f.exec(`DELETE FROM consents WHERE customer_id = 'c00000'`)
		f.exec(`UPDATE customers SET line_user_id = NULL WHERE id = 'c00001'`) // and gets the mail
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "{{ coupon.code }}"}],
			"fallback": {"email": {"channel": "mail", "subject": "s", "text": "{{ coupon.code }}"}}}}]`, withCoupon("autumn", "14d")))
		f.finish(e)
		f.want("sent:3;skipped NoConsent:1;")
		if n := f.count(`SELECT COUNT(*) FROM coupons WHERE customer_id = 'c00000'`); n > 0 {
			t.Error("who cannot be reached has a code")
		}
	})
}
