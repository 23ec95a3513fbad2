// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// end is what became of a message.
type end struct {
	at                               time.Time
	customer, scenario, step, kind   string
	state, reason, variant, provider string
	id                               string
	// message is what arrived, if it did.
	message *sandbox.Message
}

// ends are what became of all messages that have come to an end, in the order of that.
func (s *stage) ends() (out []end) {
	s.Helper()
	rows, err := s.store.Query(s.ctx, `SELECT CAST(id AS TEXT), customer_id, scenario, step, kind, state, reason, variant, provider_id, ended_at
FROM messages WHERE ns = $1 AND ended_at IS NOT NULL ORDER BY ended_at, customer_id, scenario, step, id`, namespace)
	s.ok(err)
	defer func() { s.ok(rows.Close()) }()
	for rows.Next() {
		var e end
		var variant, provider sql.NullString
		var at int64
		s.ok(rows.Scan(&e.id, &e.customer, &e.scenario, &e.step, &e.kind, &e.state, &e.reason, &variant, &provider, &at))
		e.variant, e.provider, e.at = variant.String, provider.String, store.Time(at)
		out = append(out, e)
	}
	s.ok(rows.Err())
	arrived, err := s.doubles.Client().All(s.ctx, sandbox.Query{})
	s.ok(err)
	for i := range out {
		e := &out[i]
		at := slices.IndexFunc(arrived, func(m sandbox.Message) bool { return e.is(&m) })
		if at >= 0 {
			e.message = &arrived[at]
		}
	}
	return out
}

// is tells whether what arrived is this message. Each provider has a name of its own for it.
func (e *end) is(m *sandbox.Message) bool {
	if m.Channel != e.kind {
		return false
	}
	switch e.kind {
	case store.ChannelEmail:
		return strings.Contains(m.Key, e.id)
	case store.ChannelLINE:
		// What answers has no key of its own.
		return m.Key == e.id || m.Line.Reply && m.Line.SentMessages[0].ID == e.provider
	default:
		return m.Key == e.provider
	}
}
