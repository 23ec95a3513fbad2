// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// MostUnits is how many aggregation units LINE keeps statistics of in a month. It takes a push that names one
// more, and drops the name without a word; such a push names none.
const MostUnits = 1000

// unitTries bounds how often a place is looked for that others take at the same moment.
const unitTries = 20

// japan is where LINE's months begin.
var japan = time.FixedZone("JST", 9*60*60)

// lineMonth is LINE's month at a moment of machine time.
func lineMonth(now time.Time) string { return now.In(japan).Format("2006-01") }

// units names the aggregation unit of each push, by which LINE counts who saw it: one for each step, and for each
// of its variants.
type units struct {
	store *store.Store
	// full is told of a channel whose month has no room for another unit.
	full func(Ref)

	mu    sync.Mutex
	month string
	known map[[3]string]bool // by namespace, channel and unit: whether it is sent
}

// unitName is the same for a step, or its variant, for ever: LINE's own statistics are by it too.
func unitName(scenario, step, variant string) string {
	sum := sha256.Sum256([]byte(scenario + "\x00" + step + "\x00" + variant))
	return head(scenario, 10) + "_" + head(step, 8) + "_" + hex.EncodeToString(sum[:5])
}

// head is the beginning of a name, in what a unit's name may have.
func head(name string, n int) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	return name[:min(len(name), n)]
}

// of is the unit that a push names, empty for none.
func (u *units) of(ctx context.Context, l *letter) (string, error) {
	name, month := unitName(l.ref.Name, l.step, l.variant), lineMonth(time.Now())
	key := [3]string{l.ref.Namespace, l.channel, name}
	u.mu.Lock()
	if u.month != month {
		u.month, u.known = month, map[[3]string]bool{}
	}
	sent, known := u.known[key]
	u.mu.Unlock()
	if !known {
		place, err := u.place(ctx, l, month, name)
		if err != nil {
			return "", err
		}
		sent = place <= MostUnits
		u.mu.Lock()
		if u.month == month {
			u.known[key] = sent
		}
		u.mu.Unlock()
		if !sent {
			u.full(Ref{l.ref.Namespace, l.channel})
		}
	}
	if !sent {
		return "", nil
	}
	return name, nil
}

// place is which of the month's units of the channel it is.
func (u *units) place(ctx context.Context, l *letter, month, name string) (place int64, err error) {
	for range unitTries {
		err := u.store.QueryRow(ctx, `SELECT place FROM line_units WHERE ns = $1 AND channel = $2 AND month = $3 AND unit = $4`,
			l.ref.Namespace, l.channel, month, name).Scan(&place)
		if err == nil {
			return place, nil
		}
		if !store.IsNotFound(err) {
			return 0, fmt.Errorf("reading an aggregation unit: %w", err)
		}
		// Another may take the same place, and then one of both looks again.
		_, err = u.store.Exec(ctx, `INSERT INTO line_units (ns, channel, month, unit, place, scenario, step, variant)
SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), COALESCE(MAX(place), 0) + 1, CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT)
FROM line_units WHERE ns = $1 AND channel = $2 AND month = $3
ON CONFLICT DO NOTHING`, l.ref.Namespace, l.channel, month, name, l.ref.Name, l.step, l.variant)
		if err != nil {
			return 0, fmt.Errorf("counting an aggregation unit: %w", err)
		}
	}
	return 0, fmt.Errorf("counting aggregation unit %s: others take each place", name)
}

// UnitsBeyond is how many units the channel's month has no room for.
func UnitsBeyond(ctx context.Context, st *store.Store, channel Ref) (n int64, err error) {
	err = st.QueryRow(ctx, `SELECT COUNT(*) FROM line_units WHERE ns = $1 AND channel = $2 AND month = $3 AND place > $4`,
		channel.Namespace, channel.Name, lineMonth(time.Now()), MostUnits).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting aggregation units: %w", err)
	}
	return n, nil
}

// Underway is how many messages a channel has to send.
func Underway(ctx context.Context, st *store.Store, channel Ref) (n int64, err error) {
	err = st.QueryRow(ctx, `SELECT COUNT(*) FROM messages WHERE ns = $1 AND channel = $2 AND ended_at IS NULL AND state IN ('planned', 'sending')`,
		channel.Namespace, channel.Name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting what channel %s has to send: %w", channel.Name, err)
	}
	return n, nil
}
