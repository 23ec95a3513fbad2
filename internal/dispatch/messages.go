// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// States are all states of a message.
var States = []string{StatePlanned, StateSending, StateSent, StateFailed, StateSkipped, StateCancelled, StateUnknown}

// unsent are the ends without a sending, as the index of the newest of them has it.
var unsent = []string{StateFailed, StateUnknown, StateSkipped, StateCancelled}

const isUnsent = `state IN ('failed', 'unknown', 'skipped', 'cancelled')`

// Which says which messages of a namespace are meant. What is empty does not narrow.
type Which struct {
	Namespace string
	// Key is one message's.
	Key                               string
	Scenario, Step, Customer, Channel string
	States                            []string
	// Reason is the word, whatever detail follows it.
	Reason string
	// Since leaves out what ended before. What has no end is not left out.
	Since time.Time

	// after is the last message of the page before: those that come after it are older.
	after *Outgoing
}

// Outgoing is a message as operators see it: neither what it says nor where it goes.
type Outgoing struct {
	Key        string     `json:"key"`
	Scenario   string     `json:"scenario"`
	Epoch      string     `json:"epoch,omitempty"`
	Step       string     `json:"step"`
	Run        string     `json:"run,omitempty"`
	Customer   string     `json:"customer"`
	Channel    string     `json:"channel"`
	Kind       string     `json:"kind"`
	State      string     `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	Tries      int        `json:"tries"`
	Due        time.Time  `json:"due"`
	Planned    time.Time  `json:"planned"`
	Expires    time.Time  `json:"expires"`
	Ended      *time.Time `json:"ended,omitempty"`
	ProviderID string     `json:"providerID,omitempty"`
}

const outgoingColumns = `id, scenario, epoch, step, run, customer_id, channel, kind, state, reason, attempts, due_at, planned_at, expires_at, ended_at, COALESCE(provider_id, '')`

// Messages lists messages, those without an end first and then the newest, at most limit.
func Messages(ctx context.Context, st *store.Store, of Which, limit int) ([]Outgoing, error) {
	parts, err := of.parts(ctx, st)
	if err != nil {
		return nil, err
	}
	var out []Outgoing
	for _, p := range parts {
		more, err := outgoing(ctx, st, `SELECT `+outgoingColumns+` FROM messages WHERE `+p.where+p.order+fmt.Sprintf(` LIMIT %d`, limit), p.args)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	slices.SortStableFunc(out, newestFirst)
	return out[:min(limit, len(out))], nil
}

func newestFirst(a, b Outgoing) int {
	switch {
	case a.Ended == nil && b.Ended == nil:
		if c := b.Planned.Compare(a.Planned); c != 0 {
			return c
		}
	case a.Ended == nil:
		return -1
	case b.Ended == nil:
		return 1
	default:
		if c := b.Ended.Compare(*a.Ended); c != 0 {
			return c
		}
	}
	return strings.Compare(b.Key, a.Key)
}

func outgoing(ctx context.Context, st *store.Store, query string, args []any) (out []Outgoing, err error) {
	rows, err := st.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("listing messages: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m Outgoing
		var due, planned, expires int64
		var ended sql.NullInt64
		err := rows.Scan(&m.Key, &m.Scenario, &m.Epoch, &m.Step, &m.Run, &m.Customer, &m.Channel, &m.Kind, &m.State, &m.Reason, &m.Tries, &due, &planned, &expires, &ended, &m.ProviderID)
		if err != nil {
			return nil, fmt.Errorf("listing messages: %w", err)
		}
		m.Due, m.Planned, m.Expires = store.Time(due), store.Time(planned), store.Time(expires)
		if ended.Valid {
			at := store.Time(ended.Int64)
			m.Ended = &at
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// part is a part of what is asked for that one index gives in order.
type part struct {
	where, order string
	args         []any
}

const newest = ` ORDER BY ended_at DESC, id DESC`

// parts cuts a question along the indexes. There is none of all messages by time, which each sending would have to
// keep: those of a channel are in order, and so are those of a namespace that were not sent.
func (of Which) parts(ctx context.Context, st *store.Store) ([]part, error) {
	d := st.Dialect()
	base := of.narrow(d)
	switch {
	case of.Key != "":
		return []part{base.and(`id = $%d`, of.Key)}, nil
	case of.Customer != "" && of.after == nil:
		p := base
		if !of.Since.IsZero() {
			p = p.and(`(ended_at IS NULL OR ended_at >= $%d)`, store.Millis(of.Since))
		}
		p.order = ` ORDER BY ended_at IS NULL DESC, ended_at DESC, id DESC`
		return []part{p}, nil
	case len(of.States) > 0 && within(of.States, unsent):
		p := of.page(base)
		p.where += ` AND ` + isUnsent
		return []part{p}, nil
	}
	channels := []string{of.Channel}
	if of.Channel == "" {
		var err error
		if channels, err = channelsIn(ctx, st, of.Namespace); err != nil {
			return nil, err
		}
	}
	asked := of.States
	if len(asked) == 0 {
		asked = States
	}
	var out []part
	for _, name := range channels {
		on := base
		if of.Channel == "" {
			on = base.and(`channel = $%d`, name)
		}
		if !within(asked, []string{StatePlanned, StateSending}) {
			ended := of.page(on)
			ended.where += ` AND ended_at IS NOT NULL`
			out = append(out, ended)
		}
		if slices.Contains(asked, StatePlanned) || slices.Contains(asked, StateSending) {
			on.where += ` AND ended_at IS NULL`
			out = append(out, on)
		}
	}
	return out, nil
}

func within(all, of []string) bool {
	return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(of, s) })
}

// narrow is what all parts have in common.
func (of Which) narrow(d store.Dialect) part {
	p := part{where: `ns = $1`, args: []any{of.Namespace}}
	for _, by := range []struct{ column, value string }{{"scenario", of.Scenario}, {"step", of.Step}, {"channel", of.Channel}, {"customer_id", of.Customer}} {
		if by.value != "" {
			p = p.and(by.column+` = $%d`, by.value)
		}
	}
	if len(of.States) > 0 {
		p.args = append(p.args, store.List(d, of.States))
		p.where += ` AND state ` + d.AnyText(len(p.args))
	}
	if of.Reason != "" {
		p = p.and(reasonWord(d)+` = $%d`, of.Reason)
	}
	return p
}

// page adds the bounds in time.
func (of Which) page(p part) part {
	if !of.Since.IsZero() {
		p = p.and(`ended_at >= $%d`, store.Millis(of.Since))
	}
	if of.after != nil && of.after.Ended != nil {
		p.args = append(p.args, store.Millis(*of.after.Ended), of.after.Key)
		n := len(p.args)
		p.where += fmt.Sprintf(` AND ended_at <= $%[1]d AND (ended_at < $%[1]d OR id < $%[2]d)`, n-1, n)
	}
	p.order = newest
	return p
}

func (p part) and(condition string, arg any) part {
	p.args = append(slices.Clone(p.args), arg)
	p.where += ` AND ` + fmt.Sprintf(condition, len(p.args))
	return p
}

// reasonWord is a reason without its detail.
func reasonWord(d store.Dialect) string {
	if d == store.Postgres {
		return `split_part(reason, ':', 1)`
	}
	return `substr(reason, 1, instr(reason || ':', ':') - 1)`
}

// channelsIn names the channels that messages of a namespace have gone through. It hops from one to the next.
func channelsIn(ctx context.Context, st *store.Store, ns string) (names []string, err error) {
	rows, err := st.Query(ctx, `WITH RECURSIVE c (channel) AS (SELECT MIN(channel) FROM messages WHERE ns = $1
  UNION ALL SELECT (SELECT MIN(m.channel) FROM messages m WHERE m.ns = $1 AND m.channel > c.channel) FROM c WHERE c.channel IS NOT NULL)
SELECT channel FROM c WHERE channel IS NOT NULL`, ns)
	if err != nil {
		return nil, fmt.Errorf("listing the channels of messages: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("listing the channels of messages: %w", err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// Check says what is wrong with a question.
func (of Which) Check() error {
	if _, err := uuid.Parse(of.Key); of.Key != "" && err != nil {
		return fmt.Errorf("--key %q is no key: write one that kaeru messages prints, such as 6ba7b810-9dad-51d1-80b4-00c04fd430c8", of.Key)
	}
	for _, s := range of.States {
		if !slices.Contains(States, s) {
			return fmt.Errorf("--state %q: write %s, several with commas between them", s, strings.Join(States, ", "))
		}
	}
	return nil
}

// Total is how many messages of a step have come to the same end for the same reason.
type Total struct {
	Scenario string `json:"scenario"`
	Step     string `json:"step"`
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"`
	Messages int64  `json:"messages"`
}

// Totals counts messages. It reads all that are asked for.
func Totals(ctx context.Context, st *store.Store, of Which) (out []Total, err error) {
	p := of.narrow(st.Dialect())
	if !of.Since.IsZero() {
		p = p.and(`COALESCE(ended_at, planned_at) >= $%d`, store.Millis(of.Since))
	}
	if of.Key != "" {
		p = p.and(`id = $%d`, of.Key)
	}
	if len(of.States) > 0 && within(of.States, unsent) {
		p.where += ` AND ` + isUnsent
	}
	rows, err := st.Query(ctx, `SELECT scenario, step, state, `+reasonWord(st.Dialect())+` AS word, COUNT(*) FROM messages WHERE `+p.where+`
GROUP BY scenario, step, state, word ORDER BY scenario, step, state, word`, p.args...)
	if err != nil {
		return nil, fmt.Errorf("counting messages: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var t Total
		if err := rows.Scan(&t.Scenario, &t.Step, &t.State, &t.Reason, &t.Messages); err != nil {
			return nil, fmt.Errorf("counting messages: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
