// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestUnitNames(t *testing.T) {
	allowed := regexp.MustCompile(`^[a-zA-Z0-9_]{1,30}$`)
	seen := map[string]bool{}
	for _, of := range [][3]string{
		{"winback", "a", ""}, {"winback", "a", "b"}, {"winback", "ab", ""}, {"a", "a", ""}, {"a-very-long-name-of-a-scenario", "and-of-its-step", "and-variant"},
		{"a-very-long-name-of-a-scenario", "and-of-its-step", "and-other"}, {"a.b", "c", ""}, {"a-b", "c", ""},
	} {
		name := unitName(of[0], of[1], of[2])
		if !allowed.MatchString(name) || seen[name] || name != unitName(of[0], of[1], of[2]) {
			t.Errorf("%v is %q", of, name)
		}
		seen[name] = true
	}
}

// The thousandth unit of a month is sent and the next is not; all messages are.
func TestUnitsOfAMonth(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		k := newTalk(t)
		k.fixture = newFixture(t, dsn)
		k.customers(1)
		k.exec(`UPDATE customers SET line_user_id = $1`, lineUserOf(0))
		var full []Ref
		k.channels = NewChannels(func(r Ref) { full = append(full, r) })
		k.channels.Put(push, &Channel{Sender: k.sender, Kind: "line", Mode: ModeLive, Fingerprint: "1"})
		for i := range MostUnits - 1 {
			k.exec(`INSERT INTO line_units (ns, channel, month, unit, place, scenario, step, variant) VALUES ('shop', 'push', $1, $2, $3, '', '', '')`, lineMonth(time.Now()), fmt.Sprintf("u%d", i), i+1)
		}
		e := k.engine()
		k.fire(e, k.armed(answers[:len(answers)-1]+`, {"name": "c", "line": {"channel": "push", "messages": [{"type": "text", "text": "c"}]}}]`))
		k.finish(e)
		k.want("sent:3;")
		got, err := k.box.Client().All(t.Context(), sandbox.Query{})
		k.ok(err)
		var units []string
		for _, m := range got {
			units = append(units, m.Line.AggregationUnits...)
		}
		if len(got) != 3 || len(units) != 1 {
			t.Errorf("%d messages with the units %q", len(got), units)
		}
		beyond, err := UnitsBeyond(t.Context(), k.st, push)
		k.ok(err)
		if beyond != 2 || !slices.Contains(full, push) {
			t.Errorf("%d units are beyond, and %v was told", beyond, full)
		}
	})
}

// Of many processes that take places at once, no two take the same.
func TestUnitsTakePlaces(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		f := newFixture(t, dsn)
		var wg sync.WaitGroup
		for process := range 4 {
			u := &units{store: f.st, full: func(Ref) {}}
			wg.Go(func() {
				for i := range 10 {
					l := &letter{ref: shop, channel: "push", step: fmt.Sprintf("s%d", (i+process)%10)}
					if name, err := u.of(t.Context(), l); err != nil || name != unitName(shop.Name, l.step, "") {
						t.Errorf("%q %v", name, err)
					}
				}
			})
		}
		wg.Wait()
		if n := f.count(`SELECT COUNT(*) FROM line_units`); n != 10 || f.count(`SELECT MAX(place) FROM line_units`) != 10 {
			t.Errorf("%d units", n)
		}
	})
}
