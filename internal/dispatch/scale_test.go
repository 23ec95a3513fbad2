// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// waiting fills the scenario with customers who wait for step b, in n different minutes from tomorrow on.
func (f *fixture) waiting(from, n int) {
	f.Helper()
	f.exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
SELECT 'shop', 'winback', '', 'w' || i, '', '', 'active', '', 'b', CAST($1 AS BIGINT) + CAST(i AS BIGINT) * 60000, 0 FROM generate_series($2::int, $3::int) i`,
		store.Millis(monday.Add(24*time.Hour)), from, from+n-1)
}

// due lets that many more customers be due now.
func (f *fixture) due(turn, n int) {
	f.Helper()
	f.exec(`INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at)
SELECT 'shop', 'winback', '', 'd' || $1 || '-' || i, '', '', 'active', '', 'b', $2, 0 FROM generate_series(1, $3::int) i`,
		strconv.Itoa(turn), store.Millis(monday.Add(-time.Minute)), n)
}

// BenchmarkTick holds a tick with 1,000 due among 1,000,000 who are enrolled against one among 1,000: it must cost
// what is due. Nothing is sent meanwhile.
func BenchmarkTick(b *testing.B) {
	const due = 1000
	f := newFixture(b, testenv.Postgres(b))
	e := f.engine()
	e.shards = 0
	f.ok(e.Arm(b.Context(), f.armed(`[{"name": "a", "email": {"channel": "mail", "subject": "s", "text": "t"}},
  {"name": "b", "wait": {"for": "30d"}, "if": "!steps.a.clicked", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`)))
	turn := 0
	tick := func() time.Duration {
		var took []time.Duration
		for range 15 {
			turn++
			f.due(turn, due)
			e.look(shop)
			start := time.Now()
			f.ok(e.tick(b.Context()))
			took = append(took, time.Since(start))
			if n := f.count(`SELECT COUNT(*) FROM messages`); n != due {
				b.Fatalf("%d were planned", n)
			}
			f.exec(`DELETE FROM messages`)
			f.exec(`DELETE FROM shards`)
			f.exec(`DELETE FROM enrolments WHERE state = 'completed'`)
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	enrolled := 0
	at := func(n int) time.Duration {
		f.waiting(enrolled+1, n-enrolled)
		enrolled = n
		f.exec(`VACUUM ANALYZE enrolments`)
		return tick()
	}
	for b.Loop() {
		few := at(1000)
		many := at(1_000_000)
		b.ReportMetric(float64(few.Microseconds())/1000, "ms/tick-of-1000")
		b.ReportMetric(float64(many.Microseconds())/1000, "ms/tick-of-1000000")
		b.ReportMetric(float64(many)/float64(few), "ratio")
	}
}

// BenchmarkPlanRun enrols and plans runs of 10,000 and 100,000, with the most memory that is in use meanwhile.
func BenchmarkPlanRun(b *testing.B) {
	for _, customers := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(customers), func(b *testing.B) {
			f := newFixture(b, testenv.Postgres(b))
			f.customers(customers)
			e := f.engine()
			e.shards = 0
			a := f.armed(`[{"name": "a", "if": "customer.points > 3", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`,
				func(s *crm.ScenarioSpec) { s.Dispatch = &crm.Dispatch{ShardSize: 1000} })
			for b.Loop() {
				f.exec(`DELETE FROM messages`)
				f.exec(`DELETE FROM enrolments`)
				f.exec(`DELETE FROM slots`)
				f.exec(`DELETE FROM runs`)
				f.exec(`DELETE FROM shards`)
				peak, stop := heapPeak()
				start := time.Now()
				f.fire(e, a)
				for f.count(`SELECT COUNT(*) FROM runs WHERE state = 'planned'`) == 0 {
					f.ok(e.tick(b.Context()))
				}
				took := time.Since(start)
				stop()
				if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned'`); n != customers {
					b.Fatalf("%d were planned", n)
				}
				b.ReportMetric(took.Seconds(), "s/run")
				b.ReportMetric(float64(peak.Load())/(1<<20), "MiB-peak")
			}
		})
	}
}

// heapPeak watches how much memory is in use, until stop.
func heapPeak() (*atomic.Uint64, func()) {
	peak := &atomic.Uint64{}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak.Store(max(peak.Load(), m.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}
