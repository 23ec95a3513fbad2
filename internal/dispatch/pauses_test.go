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

// pausing are the channels of a process.
type pausing struct {
	*Channels
	testing.TB
	told int
}

func newPausing(t testing.TB, st *store.Store, fingerprint string) *pausing {
	t.Helper()
	p := &pausing{TB: t}
	p.Channels = NewChannels(func(Ref) { p.told++ })
	p.share(st)
	p.Put(push, &Channel{Kind: "line", Fingerprint: fingerprint})
	p.hear()
	return p
}

// hear has the process hear of the others.
func (p *pausing) hear() {
	p.Helper()
	if err := p.sync(p.Context()); err != nil {
		p.Fatal(err)
	}
}

func (p *pausing) want(why string) {
	p.Helper()
	if _, got := p.Get(push); got != why {
		p.Errorf("%q, want %q", got, why)
	}
}

func TestPausesOutliveTheProcess(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		st, err := store.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		if err := st.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(20 * 24 * time.Hour)
		before := newPausing(t, st, "1")
		before.Pause(push, channel.Pause{Reason: channel.ReasonQuotaExhausted, Until: until, Detail: "LINE answered 429"})
		before.hear()

		again := newPausing(t, st, "1")
		again.want(channel.ReasonQuotaExhausted)
		if p, _ := again.Paused(push); p.Until.Sub(until).Abs() > time.Second || p.Detail != "LINE answered 429" {
			t.Errorf("paused %+v", p)
		}
		other := newPausing(t, st, "2")
		other.want("") // which has other credentials
		again.Resume(push)
		again.want("")
		again.hear()
		newPausing(t, st, "1").want("")

		again.Pause(push, channel.Pause{Reason: channel.ReasonCredentialsInvalid})
		again.hear()
		again.Forget(push)
		again.hear()
		newPausing(t, st, "1").want("")

		over := newPausing(t, st, "1")
		over.Pause(push, channel.Pause{Reason: channel.ReasonPolicyRefused, Until: time.Now().Add(-time.Second)})
		over.hear()
		newPausing(t, st, "1").want("")
	})
}

func TestOnePausesAndAllStop(t *testing.T) {
	s := newSharing(t)
	a, b := newPausing(t, s.open(), "1"), newPausing(t, s.open(), "1")
	resumed := b.resumed.Load()
	a.Pause(push, channel.Pause{Reason: channel.ReasonCredentialsInvalid})
	a.want(channel.ReasonCredentialsInvalid)
	b.want("")
	a.hear()
	b.hear()
	b.want(channel.ReasonCredentialsInvalid)
	if b.told != 1 {
		t.Errorf("told %d times", b.told)
	}
	// Of what b hears itself nothing more is written.
	b.Pause(push, channel.Pause{Reason: channel.ReasonCredentialsInvalid})
	if n := len(b.paused.unsaved()); n != 0 || b.told != 1 {
		t.Errorf("%d to be written, told %d times", n, b.told)
	}
	// New credentials: b has them first.
	b.Put(push, &Channel{Kind: "line", Fingerprint: "2"})
	b.want("")
	b.hear()
	b.want("")
	a.want(channel.ReasonCredentialsInvalid)
	a.Put(push, &Channel{Kind: "line", Fingerprint: "2"})
	a.want("")

	b.Pause(push, channel.Pause{Reason: channel.ReasonQuotaExhausted, Until: time.Now().Add(time.Hour)})
	b.hear()
	a.hear()
	a.want(channel.ReasonQuotaExhausted)
	a.Resume(push) // somebody asked for it
	a.hear()
	b.hear()
	b.want("")
	if b.resumed.Load() == resumed {
		t.Error("what was held back is not let go")
	}
}

// clock sets the clock of the store, for those who open it from now on and, once it was set, for all.
func (s *sharing) clock(off string) {
	s.Helper()
	_, err := s.open().Exec(s.Context(), `DO $do$ BEGIN
CREATE SCHEMA IF NOT EXISTS skewed;
CREATE OR REPLACE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $f$ SELECT pg_catalog.clock_timestamp() + interval '`+off+`' $f$;
CREATE OR REPLACE FUNCTION skewed.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS $f$ SELECT pg_catalog.statement_timestamp() + interval '`+off+`' $f$;
EXECUTE format('ALTER DATABASE %I SET search_path = skewed, pg_catalog, public', current_database());
END $do$`)
	if err != nil {
		s.Fatal(err)
	}
}

// A pause ends when the one who wrote it meant, whatever the clocks say.
func TestPausesAndAClockThatIsWrong(t *testing.T) {
	for _, off := range []string{"2 hours", "-2 hours"} {
		t.Run(off, func(t *testing.T) {
			s := newSharing(t)
			s.clock(off)
			a, b := newPausing(t, s.open(), "1"), newPausing(t, s.open(), "1")
			a.Pause(push, channel.Pause{Reason: channel.ReasonPolicyRefused, Until: time.Now().Add(15 * time.Minute)})
			a.hear()
			b.hear()
			p, _ := b.Paused(push)
			if left := time.Until(p.Until); left > 15*time.Minute || left < 14*time.Minute {
				t.Errorf("paused for another %s", left)
			}
			var stored int64
			if err := s.open().QueryRow(t.Context(), `SELECT until_at FROM channel_pauses`).Scan(&stored); err != nil {
				t.Fatal(err)
			}
			if time.UnixMilli(stored).Sub(p.Until).Abs() < time.Hour {
				t.Error("the store's clock is not wrong")
			}
		})
	}
}

func TestPausesAreWrittenOnceAndNotForEachMessage(t *testing.T) {
	s := newSharing(t)
	a := newPausing(t, s.open(), "1")
	for i := range 500 {
		a.Pause(push, channel.Pause{Reason: channel.ReasonPolicyRefused, Until: time.Now().Add(15*time.Minute + time.Duration(i)*time.Millisecond)})
	}
	if n := len(a.paused.unsaved()); n != 1 || a.told != 1 {
		t.Errorf("%d to be written, told %d times", n, a.told)
	}
}
