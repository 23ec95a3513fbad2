// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// durable is what a PostgreSQL needs to keep what it committed when it is killed; tests do without.
var durable = []string{"synchronous_commit=on", "wal_level=replica", "max_wal_senders=4"}

// ownPostgres is a server that ends with the test, since it is to be killed.
func ownPostgres(t *testing.T, o testenv.PostgresOptions) *testenv.PostgresServer {
	t.Helper()
	o.Settings = durable
	s, err := testenv.StartPostgresWith(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// during runs an engine over a run of pushes and mails, lets fail do harm in the middle of it, and checks that
// everybody got one message of each kind.
func during(f *fixture, fail func()) {
	const customers = 300
	f.Helper()
	f.customers(customers)
	reached, goOn := make(chan struct{}), make(chan struct{})
	sent := 0
	f.provider.script = func(*channel.Message, int) step { // called under the provider's lock
		if sent++; sent == customers/2 {
			close(reached)
		}
		return step{out: channel.Outcome{End: channel.Sent}}
	}
	for ref, kind := range map[Ref]string{push: "line", mail: "email"} {
		ch := f.channel(kind)
		ch.PerSecond, ch.Fingerprint = 150, "slow"
		f.channels.Put(ref, ch)
	}
	e := f.engine()
	f.ok(f.stop(e)) // Run makes a ledger of its own
	ctx, stop := context.WithCancel(f.Context())
	ended := make(chan error, 1)
	a := f.armed(strings.TrimSuffix(onePush, "]") + `, {"name": "b", "email": {"channel": "mail", "subject": "s", "text": "t"}}]`)
	f.ok(e.Arm(ctx, a))
	fired, err := e.Fire(ctx, a, slot(f.clock.Now()))
	f.ok(err)
	if !fired {
		f.Fatal("the slot did not fire")
	}
	go func() { ended <- e.Run(ctx) }()
	go func() { // as the controller does
		defer close(goOn)
		for ctx.Err() == nil {
			_ = e.Open(ctx, shop, RunName(a.Name, slot(monday)))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	<-reached
	fail()
	f.await("all to have an end", func() bool {
		var open, all int
		err := f.st.QueryRow(f.Context(), `SELECT COUNT(*), COUNT(CASE WHEN state IN ('planned', 'sending') THEN 1 END) FROM messages`).Scan(&all, &open)
		return err == nil && open == 0 && all == 2*customers
	})
	stop()
	<-goOn
	f.ok(<-ended)
	unknown := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'unknown'`)
	if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'unknown' AND kind = 'line'`); n != 0 {
		f.Errorf("%d pushes are unknown, and LINE knows their keys", n)
	}
	if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`); n+unknown != 2*customers || unknown > 2*sendsPerShard*f.count(`SELECT COUNT(*) FROM shards`) {
		f.Errorf("messages are %s", f.states())
	}
	if n := f.taken(); n > 2*customers || n < 2*customers-unknown {
		f.Errorf("%d of %d were taken, %s", n, 2*customers, f.states())
	}
}

// TestPostgresRestartsMidRun kills PostgreSQL in the middle of a run and starts it again.
func TestPostgresRestartsMidRun(t *testing.T) {
	server := ownPostgres(t, testenv.PostgresOptions{})
	f := newFixture(t, server.URL.String())
	during(f, func() {
		f.ok(server.Crash())
		f.ok(server.Start(t.Context()))
		f.expire()
	})
}

// TestPostgresFailsOverMidRun kills a PostgreSQL in the middle of a run, and promotes the standby that followed it.
func TestPostgresFailsOverMidRun(t *testing.T) {
	primary := ownPostgres(t, testenv.PostgresOptions{})
	standby := ownPostgres(t, testenv.PostgresOptions{StandbyOf: primary})
	f := newFixture(t, strings.Replace(primary.URL.String(), primary.URL.Host, primary.URL.Host+","+standby.URL.Host, 1)+"&target_session_attrs=read-write&connect_timeout=3")
	f.ok(primary.Follow(t.Context()))
	during(f, func() {
		f.ok(primary.Crash())
		f.ok(standby.Promote(t.Context()))
		f.await("the standby to take over", func() bool {
			_, err := f.st.Exec(t.Context(), `UPDATE shards SET lease_until = 0`) // as time does
			return err == nil
		})
	})
}

// TestDiskFullMidRun lets SQLite have no room for more, for a while: what begins is refused, what ended is kept until
// it can be written, and then all goes on.
func TestDiskFullMidRun(t *testing.T) {
	f := newFixture(t, testenv.SQLite(t))
	during(f, func() {
		pages := f.count(`PRAGMA page_count`)
		f.exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
		full := false
		for deadline := time.Now().Add(10 * time.Second); !full && time.Now().Before(deadline); {
			_, err := f.st.Exec(t.Context(), `INSERT INTO keys (name, value, created_at) VALUES ($1, $2, 0)`,
				fmt.Sprint("ballast", time.Now().UnixNano()), strings.Repeat("x", 100_000))
			full = err != nil
		}
		if !full {
			t.Error("the disk did not become full")
		}
		time.Sleep(time.Second) // in which sends come to their end
		f.exec(`PRAGMA max_page_count = 1073741823`)
	})
}

// TestClockJumpsMidRun moves business time by two hours in the middle of a run, ahead and then back.
func TestClockJumpsMidRun(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		during(f, func() {
			for _, jump := range []time.Duration{2 * time.Hour, -2 * time.Hour, 0} {
				f.clock.SetTime(monday.Add(jump))
				time.Sleep(200 * time.Millisecond) // in which the engine looks at it
			}
		})
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state <> 'sent'`); n != 0 {
			t.Errorf("messages are %s", f.states())
		}
	})
}
