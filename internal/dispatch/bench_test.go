// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// taker takes every message at once.
type taker struct{ provider }

func (*taker) Send(ctx context.Context, _ *channel.Message, begin channel.Begin) channel.Outcome {
	if err := begin(ctx); err != nil {
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonNotBegun}
	}
	return channel.Outcome{End: channel.Sent}
}

func onBoth(b *testing.B, bench func(*testing.B, string)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { bench(b, testenv.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, testenv.Postgres(b)) })
}

// BenchmarkRun enrols, plans and sends 20,000 messages to a provider that takes each at once.
func BenchmarkRun(b *testing.B) {
	onBoth(b, func(b *testing.B, dsn string) {
		const customers = 20_000
		f := newFixture(b, dsn)
		f.channels.Put(mail, &Channel{Sender: &taker{}, Kind: "email", Mode: ModeLive})
		e := f.engine()
		a := f.armed(oneMail, func(s *crm.ScenarioSpec) { s.Dispatch = &crm.Dispatch{ShardSize: 1000, Parallelism: 8} })
		var planning, sending time.Duration
		for b.Loop() {
			b.StopTimer()
			f.in(b).customers(customers)
			b.StartTimer()
			start := time.Now()
			f.fire(e, a)
			for f.count(`SELECT COUNT(*) FROM runs WHERE state = 'planned'`) == 0 {
				f.ok(e.tick(b.Context()))
			}
			planning += time.Since(start)
			start = time.Now()
			f.finish(e)
			sending += time.Since(start)
			if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`); n != customers {
				b.Fatalf("%s", f.states())
			}
		}
		n := float64(b.N) * customers
		b.ReportMetric(n/planning.Seconds(), "planned/s")
		b.ReportMetric(n/sending.Seconds(), "sent/s")
	})
}

// BenchmarkIdleTick has 1,000 Scenarios with nobody due.
func BenchmarkIdleTick(b *testing.B) {
	onBoth(b, func(b *testing.B, dsn string) {
		f := newFixture(b, dsn)
		e := f.engine()
		e.attribute = func(context.Context, Armed) (int64, error) { return 0, nil }
		a := f.armed(oneMail)
		for i := range 1000 {
			a.Name = fmt.Sprintf("s%d", i)
			f.ok(e.Arm(b.Context(), a))
		}
		f.ok(e.tick(b.Context()))
		for b.Loop() {
			f.ok(e.tick(b.Context()))
		}
	})
}

// TestPlans holds the hot queries to their indexes, with tables too large to be read.
func TestPlans(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		series := `WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20000) `
		id := `i`
		if f.st.Dialect() == store.Postgres {
			id = `CAST((i) AS TEXT)`
		}
		f.exec(series + `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
SELECT 'shop', 'winback', '', ` + id + `, '', 'r', 'active', '', 'a', i, 0 FROM s`)
		key := `substr('00000000-0000-4000-8000-000000000000', 1, 36 - length(` + id + `)) || ` + id
		uuidOf := func(expr string) string {
			if f.st.Dialect() == store.Postgres {
				return `CAST(` + expr + ` AS UUID)`
			}
			return expr
		}
		f.exec(series + `INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, shard, channel, kind, state, reason, attempts, fence, parts, cost, due_at, planned_at, expires_at)
SELECT ` + uuidOf(key) + `, 'shop', 'winback', '', ` + id + `, '', 'a', 'r', 'v', ` + uuidOf(`'00000000-0000-4000-9000-00000000000' || (i % 10)`) + `, 'mail', 'email', CASE WHEN i % 100 = 0 THEN 'planned' ELSE 'sent' END, '', 0, 0, 0, 0, 0, 0, 0 FROM s`)
		f.exec(series + `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
SELECT ` + uuidOf(key) + `, 'shop', 'winback', ` + strings.Replace(id, "i", "i % 2000", 1) + `, i, 1, CASE WHEN i % 1000 = 0 THEN 'open' ELSE 'done' END, '', 0, 0, 0 FROM s`)
		f.exec(series + `INSERT INTO runs (ns, scenario, run, epoch, revision, segment, slot_at, state, planned, shards, created_at)
SELECT 'shop', 'winback', ` + id + `, '', 'v', 'all', i, CASE WHEN i % 1000 = 0 THEN 'running' ELSE 'complete' END, 0, 0, 0 FROM s`)
		f.exec(`ANALYZE`)
		explained := func(query string, args ...any) string {
			prefix := "EXPLAIN "
			if f.st.Dialect() == store.SQLite {
				prefix = "EXPLAIN QUERY PLAN "
			}
			rows, err := f.st.Query(t.Context(), prefix+query, args...)
			f.ok(err)
			defer rows.Close()
			columns, err := rows.Columns()
			f.ok(err)
			var out []string
			for rows.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				f.ok(rows.Scan(values...))
				out = append(out, fmt.Sprint(*values[len(values)-1].(*any)))
			}
			f.ok(rows.Err())
			return strings.Join(out, "\n")
		}
		shard := "00000000-0000-4000-9000-000000000001"
		d := f.st.Dialect()
		values, args := valuesOf(d, nil, endTypes, [][]any{{shard, 1, "sent", "", nil, 1, 0, 5, nil, nil, nil, nil}, {nilKey, 1, "sent", "", nil, 1, 0, 5, nil, nil, nil, nil}})
		tests := map[string]string{
			"page":     explained(pageSQL(d)+` ORDER BY m.id LIMIT $3`, shard, nilKey, pageSize, 10),
			"due":      explained(`SELECT customer_id FROM enrolments e WHERE e.ns = 'shop' AND e.scenario = 'winback' AND e.epoch = '' AND e.state = 'active' AND e.due_at <= 10 ORDER BY e.due_at, e.customer_id, e.entry LIMIT 1000`),
			"next due": explained(`SELECT MIN(due_at) FROM enrolments WHERE ns = 'shop' AND scenario = 'winback' AND epoch = '' AND state = 'active'`),
			"claim":    explained(claimSQL(d), 8, store.List(d, []string{"shop/x"})),
			"complete": explained(completeSQL),
			"open":     explained(openRunsSQL),
			"begins":   explained(beginSQL+d.AnyUUID(4), shard, 1, 1, store.List(d, []string{shard, nilKey})),
			"ends":     explained(endsSQL(values), args...),
		}
		for name, plan := range tests {
			for line := range strings.Lines(plan) {
				whole := strings.Contains(line, "Seq Scan on ") || strings.Contains(line, "SCAN ")
				if strings.Contains(line, "(ns=?)") {
					t.Errorf("%s reads a whole namespace:\n%s", name, plan)
				}
				for _, table := range []string{" messages", " m ", " enrolments", " e ", " shards", " h", " runs"} {
					if whole && strings.Contains(strings.TrimSpace(line)+" ", table) && !strings.Contains(line, "INDEX") {
						t.Errorf("%s reads a whole table:\n%s", name, plan)
					}
				}
			}
		}
		if testing.Verbose() {
			for name, plan := range tests {
				t.Logf("%s:\n%s", name, plan)
			}
		}
	})
}
