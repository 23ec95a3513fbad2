// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"sync"
	"testing"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const week = 7 * 24 * time.Hour

// named is a Scenario of another name, with a priority.
func (f *fixture) named(name, steps string, priority int32) Armed {
	f.Helper()
	a := f.armed(steps, func(s *crm.ScenarioSpec) { s.Priority = &priority })
	a.Name = name
	return a
}

// fireAll fires the slot of now of each, and plans and sends to the end.
func (f *fixture) fireAll(e *Engine, all ...Armed) {
	f.Helper()
	for _, a := range all {
		f.fire(e, a)
	}
	f.settle(e)
}

// settle works until nothing can be done any more without time passing.
func (f *fixture) settle(e *Engine) {
	f.Helper()
	quiet := 0
	for deadline := time.Now().Add(20 * time.Second); quiet < 3 && time.Now().Before(deadline); {
		before := f.states()
		f.expire()
		f.ok(e.tick(f.Context()))
		for _, a := range e.snapshot() {
			runs, err := e.Runs(f.Context(), a.Ref)
			f.ok(err)
			for _, r := range runs {
				if r.State == RunPlanned {
					f.ok(e.Open(f.Context(), a.Ref, r.Name))
				}
			}
		}
		f.ok(e.tick(f.Context()))
		e.workers.Wait()
		if f.states() == before {
			quiet++
		} else {
			quiet = 0
		}
	}
}

func (f *fixture) caps(caps ...Cap) {
	for _, ref := range []Ref{mail, push} {
		kind := map[Ref]string{mail: "email", push: "line"}[ref]
		ch := f.channel(kind)
		ch.Caps = caps
		f.channels.Put(ref, ch)
	}
}

// most is how many messages the customer got who got most.
func (f *fixture) most() int {
	f.Helper()
	return f.count(`SELECT COALESCE(MAX(n), 0) FROM (SELECT COUNT(*) AS n FROM messages WHERE state IN ('sent', 'unknown') GROUP BY customer_id) x`)
}

func TestWhoGoesFirstUnderACap(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(25)
		f.caps(Cap{Messages: 1, Per: week})
		e := f.engine()
		// The one that goes second is planned first.
		low, high := f.named("low", oneMail, 10), f.named("high", oneMail, 90)
		f.ok(e.Arm(t.Context(), high))
		f.fireAll(e, low)
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent'`); n != 0 {
			t.Errorf("%d were sent before the others could be planned", n)
		}
		f.fire(e, high)
		f.clock.SetTime(monday.Add(grace))
		f.settle(e)
		f.want("sent:25;skipped FrequencyCap:25;")
		if n := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent' AND scenario = 'high'`); n != 25 {
			t.Errorf("%d of the first were sent", n)
		}
		// The window slides.
		e.Disarm(high.Ref)
		e.Disarm(low.Ref)
		f.clock.SetTime(monday.Add(grace + week - time.Second))
		f.fireAll(e, f.named("soon", oneMail, 50))
		f.clock.SetTime(monday.Add(grace + week))
		f.fireAll(e, f.named("later", oneMail, 50))
		f.clock.SetTime(monday.Add(2*grace + week))
		f.settle(e)
		if got := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent' AND scenario = 'soon'`); got != 0 {
			t.Errorf("%d were sent too soon", got)
		}
		if got := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent' AND scenario = 'later'`); got != 25 {
			t.Errorf("%d were sent when the window was over", got)
		}
		f.taken()
	})
}

func TestCapOfAllChannels(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		for _, c := range []struct {
			caps []Cap
			want string
		}{
			{[]Cap{{Messages: 1, Per: week}}, "sent:10;"},
			{[]Cap{{Messages: 1, Per: week, Namespace: true}}, "sent:5;skipped FrequencyCap:5;"},
			{[]Cap{{Messages: 5, Per: week}, {Messages: 1, Per: time.Hour, Namespace: true}}, "sent:5;skipped FrequencyCap:5;"},
			{[]Cap{{Messages: 2, Per: week, Namespace: true}}, "sent:10;"},
		} {
			f := newFixture(t, dsn).in(t)
			f.customers(5)
			f.caps(c.caps...)
			e := f.engine()
			f.fireAll(e, f.named("mails", oneMail, 50), f.named("pushes", onePush, 50))
			if got := f.states(); got != c.want {
				t.Errorf("%+v: %s, want %s", c.caps, got, c.want)
			}
		}
	})
}

// TestCapUnderConcurrency has several processes send what several scenarios planned for the same
// customers at once.
func TestCapUnderConcurrency(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(120)
		f.caps(Cap{Messages: 2, Per: week, Namespace: true})
		var engines []*Engine
		for range 3 {
			engines = append(engines, f.engine())
		}
		var all []Armed
		for i := range 4 {
			all = append(all, f.named(fmt.Sprintf("s%d", i), []string{oneMail, onePush}[i%2], 50))
		}
		for _, a := range all {
			f.fire(engines[0], a)
		}
		for range 20 {
			f.ok(engines[0].tick(t.Context()))
			for _, a := range all {
				runs, err := engines[0].Runs(t.Context(), a.Ref)
				f.ok(err)
				for _, r := range runs {
					if r.State == RunPlanned {
						f.ok(engines[0].Open(t.Context(), a.Ref, r.Name))
					}
				}
			}
		}
		var group sync.WaitGroup
		for _, e := range engines {
			group.Go(func() {
				for range 40 {
					if err := e.tick(t.Context()); err != nil {
						t.Error(err)
					}
					e.workers.Wait()
				}
			})
		}
		group.Wait()
		f.settle(engines[0])
		f.want("sent:240;skipped FrequencyCap:240;")
		if n := f.most(); n != 2 {
			t.Errorf("somebody got %d", n)
		}
		f.taken()
	})
}

func TestFrequencyThatCustomersChose(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		f.customers(4)
		for id, chosen := range map[string]string{"c00000": "none", "c00001": "weekly", "c00002": "monthly", "c00003": "all"} {
			f.exec(`UPDATE customers SET attributes = '{"frequency": "`+chosen+`"}' WHERE id = $1`, id)
		}
		e := f.engine()
		for i, after := range []time.Duration{0, time.Hour, week, 30 * 24 * time.Hour} {
			f.clock.SetTime(monday.Add(after))
			f.fireAll(e, f.named(fmt.Sprintf("s%d", i), []string{oneMail, onePush}[i%2], 50))
		}
		f.want("sent:9;skipped FrequencyChosen:7;")
		for id, want := range map[string]int{"c00000": 0, "c00001": 3, "c00002": 2, "c00003": 4} {
			if got := f.count(`SELECT COUNT(*) FROM messages WHERE state = 'sent' AND customer_id = $1`, id); got != want {
				t.Errorf("%s got %d, want %d", id, got, want)
			}
		}
	})
}

func TestQuietHours(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		hours, err := schedule.ParseQuietHours("21:00", "08:00", "Asia/Tokyo")
		f.ok(err)
		for _, skip := range []bool{false, true} {
			f := f.in(t)
			f.provider = newProvider()
			f.customers(10)
			f.exec(`UPDATE customers SET attributes = '{"time_zone": "America/New_York"}' WHERE id IN ('c00000', 'c00001')`)
			f.exec(`UPDATE customers SET attributes = '{"time_zone": "Nowhere"}' WHERE id = 'c00002'`)
			ch := f.channel("email")
			ch.Quiet = &Quiet{QuietHours: hours, Skip: skip}
			f.channels.Put(mail, ch)
			night := monday.Add(13 * time.Hour) // 23:00 in Tokyo, 9:00 in New York
			f.clock.SetTime(night)
			e := f.engine()
			f.fireAll(e, f.armed(oneMail))
			if skip {
				f.want("sent:2;skipped QuietHours:8;")
				continue
			}
			f.want("planned QuietHours:8;sent:2;")
			runs, err := e.Runs(t.Context(), shop)
			f.ok(err)
			if len(runs) != 1 || runs[0].State != RunRunning {
				t.Errorf("the run is %+v", runs)
			}
			f.clock.SetTime(night.Add(9*time.Hour - time.Second))
			f.settle(e)
			f.want("planned QuietHours:8;sent:2;")
			// It does not expire over a night that is longer than the message would be useful.
			f.exec(`UPDATE messages SET planned_at = planned_at - 86400000`)
			f.clock.SetTime(night.Add(9 * time.Hour))
			f.settle(e)
			f.want("sent:10;")
			runs, err = e.Runs(t.Context(), shop)
			f.ok(err)
			if runs[0].State != RunComplete {
				t.Errorf("the run is %+v", runs)
			}
			f.taken()
		}
	})
}
