// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// pageSize is how many messages of a shard are read at once. What is checked with the page is at
// most so many sends old; consent is checked once more when a send begins.
const pageSize = 200

// letter is a message with all that decides whether and how it goes out.
type letter struct {
	id                       string
	key                      uuid.UUID
	ref                      Ref
	customer, step, revision string
	epoch, variant           string
	channel, kind, state     string
	attempts, tries          int
	resting                  bool // it waits for another try
	expires, due             time.Time
	priority                 int
	begun                    time.Time // when the try began that is being found out about; zero for none
	lost                     bool      // what became of that try is not known, and it was planned again all the same
	priced                   bool      // what it costs is counted: as that of a try whose outcome was lost
	known                    bool      // the customer is still in the store
	address                  string
	who                      customer
	entry                    []byte // what let the customer in
	fellBack                 string // why it goes out as its step's fallback, if so
	coupon                   coupon
	consent, suppressed      string
	refused                  bool   // the customer has withdrawn what the message is for
	exitedFor                string // why the customer left the scenario, if so
	converted                bool
	// caps, and chosenCap where the customer chose one, limit how many the customer gets.
	caps      []Cap
	chosenCap *Cap
	// What prepare fills in: the revision that planned it, its step there, the template that it is made of, what
	// let the customer in, and what it recommends. unmade is why it cannot be made, and notReady that it must wait.
	rev         *Revision
	planned     *journey.Step
	template    template
	let         map[string]any
	recommended []map[string]any
	unmade      string
	notReady    bool
	// reply is what it answers with, if it can; outlived says that it has a token that is too old.
	reply    *reply
	outlived bool
	// parts is how many parts of an SMS the rendered text takes.
	parts int
	// short are the links of the rendered message, which are stored when its sending begins.
	short []content.ShortLink
}

// pageSQL reads the next messages of a shard, with all that decides about them.
//
// For PostgreSQL's planner, where it has not heard of those whom a run has just let in, an index that begins with the
// scenario would do as well, and then all of them are read for each message. So the scenario is not compared as indexes
// have it, and the customer's index is left. SQLite's planner takes the key where it can, and else reads a namespace.
func pageSQL(d store.Dialect) string {
	scenario := `e.scenario || '' = m.scenario AND e.epoch || '' = m.epoch`
	if d == store.SQLite {
		scenario = `e.scenario = m.scenario AND e.epoch = m.epoch`
	}
	return `SELECT m.id, m.customer_id, m.epoch, m.step, COALESCE(m.variant, ''), m.revision, m.channel, m.kind, m.state, m.attempts, m.expires_at, m.due_at, m.priority, m.begun_at, m.lost_at, m.cost,
  c.id IS NOT NULL,
  COALESCE(k.state, ''), COALESCE(w.state, '') = 'withdrawn', COALESCE(s.reason, ''),
  CASE WHEN e.state IN ('exited', 'cancelled') THEN e.reason ELSE '' END, e.converted_at IS NOT NULL, e.facts, COALESCE(m.fell_back, ''), p.code, p.pool, p.valid_until, ` + customerColumns + `
FROM messages m` + customerJoins(`m`) + `
LEFT JOIN consents k ON k.ns = m.ns AND k.customer_id = m.customer_id AND k.channel = m.kind
LEFT JOIN purpose_consents w ON w.ns = m.ns AND w.customer_id = m.customer_id AND w.channel = m.kind AND w.purpose = m.purpose
LEFT JOIN suppressions s ON s.ns = m.ns AND s.channel = m.kind
  AND s.address = CASE m.kind WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id ELSE c.phone END
LEFT JOIN enrolments e ON e.ns = m.ns AND ` + scenario + ` AND e.customer_id = m.customer_id AND e.entry = m.entry
LEFT JOIN coupons p ON p.ns = m.ns AND p.customer_id = m.customer_id AND p.scenario = m.scenario AND p.epoch = m.epoch AND p.entry = m.entry
WHERE m.shard = $1 AND m.state IN ('planned', 'sending') AND m.id > $2
  AND (m.not_before IS NULL OR m.not_before <= $4)`
}

// page reads the next messages of a shard that have no end yet. Of those whose channel is held it
// reads only what is too late, since nothing else can be done for them.
func (e *Engine) page(ctx context.Context, s shard, after string, held map[string]bool) ([]letter, error) {
	query, args := pageSQL(e.store.Dialect()), []any{s.shard, after, pageSize, store.Millis(e.clock.Now())}
	if len(held) > 0 {
		d := e.store.Dialect()
		query += ` AND (m.expires_at < $4 OR NOT m.channel ` + d.AnyText(5) + `)`
		args = append(args, store.List(d, slices.Collect(maps.Keys(held))))
	}
	rows, err := e.store.Query(ctx, query+` ORDER BY m.id LIMIT $3`, args...)
	if err != nil {
		return nil, fmt.Errorf("reading a shard's messages: %w", err)
	}
	defer rows.Close()
	var out []letter
	for rows.Next() {
		l := letter{ref: s.ref}
		var expires, due int64
		var begun, lost, until sql.NullInt64
		var cost int64
		var code, pool sql.NullString
		into := append([]any{&l.id, &l.customer, &l.epoch, &l.step, &l.variant, &l.revision, &l.channel, &l.kind, &l.state, &l.attempts, &expires, &due, &l.priority, &begun, &lost, &cost,
			&l.known, &l.consent, &l.refused, &l.suppressed, &l.exitedFor, &l.converted, &l.entry, &l.fellBack, &code, &pool, &until}, l.who.scans()...)
		err := rows.Scan(into...)
		if err != nil {
			return nil, fmt.Errorf("reading a shard's messages: %w", err)
		}
		if l.key, err = uuid.Parse(l.id); err != nil {
			return nil, fmt.Errorf("reading a message's key: %w", err)
		}
		l.coupon = coupon{code.String, pool.String, store.NullTime(until)}
		l.expires, l.due = store.Time(expires), store.Time(due)
		if l.state == StateSending {
			l.begun = store.NullTime(begun)
		}
		if lost.Valid {
			l.begun, l.lost, l.priced = store.Time(lost.Int64), true, cost > 0
		}
		l.address = l.who.addressOf(l.kind)
		out = append(out, l)
	}
	return out, rows.Err()
}

// nilKey comes before all keys.
var nilKey = uuid.Nil.String()
