// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func day(n float64) time.Time { return start.Add(time.Duration(n * 24 * float64(time.Hour))) }

// fixture writes rows as the rooms before this one would.
type fixture struct {
	*testing.T
	st *store.Store
}

func stores(t *testing.T, test func(f fixture)) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		st, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		if err := st.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(fixture{T: t, st: st})
	})
}

func (f fixture) exec(query string, args ...any) {
	f.Helper()
	if _, err := f.st.Exec(f.Context(), query, args...); err != nil {
		f.Fatal(err)
	}
}

// clear makes the store empty again, which is quicker than a new one.
func (f fixture) clear() {
	f.Helper()
	for _, table := range []string{"enrolments", "messages", "orders"} {
		f.exec("DELETE FROM " + table)
	}
}

type enrolment struct {
	ns, scenario, epoch, customer, entry, state string
	at                                          time.Time
}

func (f fixture) enrol(e enrolment) {
	f.Helper()
	f.exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
VALUES ($1, $2, $3, $4, $5, 'run', $6, '', 's1', $7, $7)`,
		e.ns, e.scenario, e.epoch, e.customer, e.entry, e.state, store.Millis(e.at))
}

type message struct {
	id                                                                    string
	ns, scenario, epoch, customer, entry, step, run, channel, kind, state string
	cost                                                                  money.Amount
	ended                                                                 time.Time
	delivered, opened, clicked                                            bool
}

func (f fixture) message(m message) string {
	f.Helper()
	if m.id == "" {
		m.id = uuid.NewString()
	}
	mark := func(is bool) any {
		if is {
			return store.Millis(m.ended)
		}
		return nil
	}
	f.exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason,
  attempts, fence, parts, cost, due_at, planned_at, expires_at, ended_at, delivered_at, opened_at, clicked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'r1', $9, $10, $11, '', 1, 0, 1, $12, 0, 0, 0, $13, $14, $15, $16)`,
		m.id, m.ns, m.scenario, m.epoch, m.customer, m.entry, m.step, m.run, m.channel, m.kind, m.state, int64(m.cost),
		store.NullMillis(m.ended), mark(m.delivered), mark(m.opened), mark(m.clicked))
	return m.id
}

type order struct {
	ns, id, customer string
	placed           time.Time
	total            money.Amount
	status           string
	received         time.Time
}

func (o order) counted() bool { return o.status != "cancelled" && o.status != "refunded" }

func (f fixture) order(o order) {
	f.Helper()
	counted := 0
	if o.counted() {
		counted = 1
	}
	f.exec(`INSERT INTO orders (ns, id, customer_id, placed_at, total, status, counted, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (ns, id) DO UPDATE SET customer_id = excluded.customer_id, placed_at = excluded.placed_at, total = excluded.total,
  status = excluded.status, counted = excluded.counted, received_at = excluded.received_at`,
		o.ns, o.id, o.customer, store.Millis(o.placed), int64(o.total), o.status, counted, store.Millis(o.received))
}

func (f fixture) attribute(within time.Duration, since time.Time) int64 {
	f.Helper()
	changed, err := Attribute(f.Context(), f.st, "shop", "second", "1", Goal{Within: within}, since)
	if err != nil {
		f.Fatal(err)
	}
	return changed
}
