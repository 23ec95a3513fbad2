// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// measured is one line of the report.
type measured struct {
	What     string  `json:"what"`
	Store    string  `json:"store,omitempty"`
	Messages int     `json:"messages"`
	Workers  int     `json:"workers,omitempty"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"perSecond"`
	// CPU of the processes that send, and of PostgreSQL, in microseconds a message.
	CPU         float64 `json:"cpuMicros,omitempty"`
	DatabaseCPU float64 `json:"databaseMicros,omitempty"`
	// Cores is how much of a core the processes that send had in use.
	Cores      float64 `json:"cores,omitempty"`
	Statements float64 `json:"statements,omitempty"` // a message
	Commits    float64 `json:"commits,omitempty"`    // a message
	Allocated  float64 `json:"allocatedKB,omitempty"`
	Peak       float64 `json:"peakMB,omitempty"`
	// P50, P99 and Longest are from due to sent, in milliseconds.
	P50     int64 `json:"p50Millis,omitempty"`
	P99     int64 `json:"p99Millis,omitempty"`
	Longest int64 `json:"longestMillis,omitempty"`
}

// run is a run of n messages, sent by so many processes.
func (b *bencher) run(ctx context.Context, db *database, kind string, n, workers int, perSecond float64) (m measured, err error) {
	s, err := openShop(ctx, db.dsn)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.customers(ctx, n); err != nil {
		return m, err
	}
	open, err := s.planned(ctx, kind)
	if err != nil {
		return m, err
	}
	w, err := b.hire(db, workers, working{PerSecond: perSecond / float64(workers)}, fmt.Sprintf("%s-%s-%d-%d", db.name, kind, n, workers))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	before, err := w.used(ctx)
	if err != nil {
		return m, err
	}
	database := db.used(ctx, s.st)
	if err := open(); err != nil {
		return m, err
	}
	if err := s.sent(ctx); err != nil {
		return m, err
	}
	m = measured{What: kind, Store: db.name, Messages: n, Workers: workers}
	if perSecond > 0 {
		m.What = fmt.Sprintf("%s, %.0f a second allowed", kind, perSecond)
	}
	after, err := w.used(ctx)
	if err != nil {
		return m, err
	}
	err = m.fill(ctx, s.st, before, after, database, db.used(ctx, s.st))
	return m, err
}

// sent waits for all to be.
func (s *shop) sent(ctx context.Context) error {
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var open int
		if err := s.st.QueryRow(ctx, `SELECT COUNT(*) FROM shards WHERE state = 'open'`).Scan(&open); err != nil {
			return err
		}
		if open == 0 {
			break
		}
		if time.Since(begun) > 10*time.Minute {
			return fmt.Errorf("%d shards are open after ten minutes", open)
		}
	}
	var not int
	err := s.st.QueryRow(ctx, `SELECT COUNT(*) FROM messages WHERE state <> 'sent'`).Scan(&not)
	if err == nil && not > 0 {
		err = fmt.Errorf("%d messages were not sent", not)
	}
	return err
}

// fill takes the time from the first try's beginning to the last end, as the rows have it.
func (m *measured) fill(ctx context.Context, st *store.Store, before, after used, dbBefore, dbAfter dbUsed) error {
	var first, last int64
	if err := st.QueryRow(ctx, `SELECT MIN(begun_at), MAX(ended_at) FROM messages`).Scan(&first, &last); err != nil {
		return fmt.Errorf("read how long it took: %w", err)
	}
	n := float64(m.Messages)
	m.Seconds = float64(max(last-first, 1)) / 1000
	m.Rate = n / m.Seconds
	cpu := after.CPU - before.CPU
	m.CPU, m.Cores = float64(cpu.Microseconds())/n, cpu.Seconds()/m.Seconds
	m.DatabaseCPU = float64((dbAfter.cpu - dbBefore.cpu).Microseconds()) / n
	m.Statements, m.Commits = float64(dbAfter.statements-dbBefore.statements)/n, float64(dbAfter.commits-dbBefore.commits)/n
	m.Allocated, m.Peak = float64(after.Allocated-before.Allocated)/n/1024, after.Peak
	return nil
}

// latency has so many a second come due for a while, one after the other, of customers who wait in a journey.
func (b *bencher) latency(ctx context.Context, db *database, kind string, perSecond int, during time.Duration) (m measured, err error) {
	s, err := openShop(ctx, db.dsn)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	n := perSecond * int(during.Seconds())
	if err := s.customers(ctx, n); err != nil {
		return m, err
	}
	apart := time.Second / time.Duration(perSecond)
	const together = 100
	for at, i := time.Now().Add(5*time.Second), 1; i <= n; at = at.Add(together * apart) {
		var ids []string
		for ; i <= n && len(ids) < together; i++ {
			ids = append(ids, customerID(i))
		}
		if err := s.enter(ctx, ids, at, apart); err != nil {
			return m, err
		}
	}
	w, err := b.hire(db, 1, working{Arm: kind}, db.name+"-"+kind+"-stream")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	before, err := w.used(ctx)
	if err != nil {
		return m, err
	}
	database := db.used(ctx, s.st)
	err = wait(ctx, func() (bool, error) {
		var sent int
		err := s.st.QueryRow(ctx, `SELECT COUNT(*) FROM messages WHERE state = 'sent'`).Scan(&sent)
		return sent == n, err
	})
	if err != nil {
		return m, err
	}
	m = measured{What: fmt.Sprintf("%s, %d a second come due", kind, perSecond), Store: db.name, Messages: n, Workers: 1}
	after, err := w.used(ctx)
	if err != nil {
		return m, err
	}
	if err := m.fill(ctx, s.st, before, after, database, db.used(ctx, s.st)); err != nil {
		return m, err
	}
	for p, into := range map[float64]*int64{0.5: &m.P50, 0.99: &m.P99, 1: &m.Longest} {
		err := s.st.QueryRow(ctx, `SELECT ended_at - due_at FROM messages ORDER BY 1 LIMIT 1 OFFSET $1`, int(p*float64(n-1))).Scan(into)
		if err != nil {
			return m, fmt.Errorf("read latencies: %w", err)
		}
	}
	return m, nil
}

// enter puts customers into the journey who are due one after the other.
func (s *shop) enter(ctx context.Context, ids []string, at time.Time, apart time.Duration) error {
	var values []string
	args := []any{store.Millis(time.Now())}
	for i, id := range ids {
		values = append(values, fmt.Sprintf(`('shop', 'bench', '', $%d, '', '', 'active', '', 'a', $%d, $1)`, len(args)+1, len(args)+2))
		args = append(args, id, store.Millis(at.Add(time.Duration(i)*apart)))
	}
	_, err := s.st.Exec(ctx, `INSERT INTO enrolments (ns, scenario, epoch, customer_id, entry, run, state, reason, step, due_at, enrolled_at) VALUES `+strings.Join(values, `, `), args...)
	if err != nil {
		return fmt.Errorf("let customers in: %w", err)
	}
	return nil
}

// crew are the processes that send.
type crew []*process

func (b *bencher) hire(db *database, n int, c working, name string) (all crew, err error) {
	c.DSN, c.Mails, c.LINE, c.Connections = db.dsn, b.mails, b.pushes, max(1, b.connections/n)
	for i := range n {
		if b.profiles != "" {
			c.Profile = fmt.Sprintf("%s/%s-%d.pprof", b.profiles, name, i)
		}
		text, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		p, err := start(workEnv, string(text))
		if err != nil {
			return nil, errors.Join(err, all.stop())
		}
		all = append(all, p)
	}
	return all, nil
}

func (all crew) stop() (err error) {
	for _, p := range all {
		err = errors.Join(err, p.stop())
	}
	return err
}

func (all crew) used(ctx context.Context) (sum used, err error) {
	for _, p := range all {
		u, err := p.used(ctx)
		if err != nil {
			return sum, err
		}
		sum.CPU, sum.Allocated, sum.Peak = sum.CPU+u.CPU, sum.Allocated+u.Allocated, max(sum.Peak, u.Peak)
	}
	return sum, nil
}
