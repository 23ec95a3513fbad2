// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// erase erases a customer, and comes may bring them back as a member who consents.
func (f *fixture) erase(id string) {
	f.Helper()
	_, err := f.st.Erase(f.Context(), "shop", id, f.clock.Now())
	f.ok(err)
}

func (f *fixture) comes(id string) {
	f.Helper()
	f.ok(f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCustomers(f.Context(), "shop", []store.Customer{{
			ID: id, Email: store.Value(id + "@shop.example"), Consents: map[string]string{"email": store.ConsentGranted},
		}}, f.clock.Now())
		return err
	}))
	f.exec(`INSERT INTO memberships (ns, segment, customer_id, entered_at) VALUES ('shop', 'all', $1, 0)`, id)
}

func TestNothingIsSentAfterAnErasure(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		f.provider.script = func(m *channel.Message, n int) step {
			if m.Customer == "c00000" && n == 1 {
				f.erase("c00001") // which the worker has read already
			}
			return step{out: channel.Outcome{End: channel.Sent}}
		}
		e := f.engine()
		f.fire(e, f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"for": "2d"}, `+thenMail+`]`))
		f.plan(e)
		f.erase("c00002") // which is planned
		f.finish(e)
		sent := func(n int) {
			t.Helper()
			// What a worker had begun may have been sent, as far as anybody knows.
			if got, ended := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`), f.count(`SELECT COUNT(*) FROM messages WHERE state IN ('cancelled', 'unknown') AND reason = 'Erased'`); got != n || ended != 2 || f.count(`SELECT COUNT(*) FROM messages`) != n+2 {
				t.Errorf("%v, want %d sent and 2 that ended", f.states(), n)
			}
		}
		sent(2)
		f.clock.SetTime(monday.Add(time.Hour))
		f.erase("c00003") // who waits
		f.clock.SetTime(monday.Add(49 * time.Hour))
		f.finish(e)
		sent(3)

		// Those who come back are not greeted again, nor do they get the rest.
		f.exec(`DELETE FROM memberships WHERE customer_id LIKE 'erased:%'`) // as a refresh does
		for _, id := range []string{"c00001", "c00002", "c00003"} {
			f.comes(id)
		}
		f.clock.SetTime(monday.Add(72 * time.Hour))
		f.fire(e, f.armed(`[{"name": "a", `+thenMail+`, {"name": "b", "wait": {"for": "2d"}, `+thenMail+`]`))
		f.finish(e)
		f.clock.SetTime(monday.Add(144 * time.Hour))
		f.finish(e)
		sent(3)
		if n := f.count(`SELECT COUNT(*) FROM enrolments`); n != 4 {
			t.Errorf("%d enrolments are counted", n)
		}
		f.taken()
	})
}
