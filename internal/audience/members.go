// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Member is a customer of a segment.
type Member struct {
	ID        string
	EnteredAt time.Time
	// Attributes are the customer's, a JSON object, where they were asked for.
	Attributes json.RawMessage
}

const membersPage = 1000

// Members gives the members of a segment in the order of their ids, with their attributes or without.
// It ends with the first error. The members are read a page at a time, so that nothing in the
// database is held open while the caller works; who enters or leaves meanwhile may or may not be seen.
func (r *Refresher) Members(ctx context.Context, ns, name string, attributes bool) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		for after := ""; ; {
			page, err := r.members(ctx, ns, name, after, attributes)
			if err != nil {
				yield(Member{}, fmt.Errorf("read the members of segment %s: %w", name, err))
				return
			}
			for _, member := range page {
				if !yield(member, nil) {
					return
				}
			}
			if len(page) < membersPage {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

func (r *Refresher) members(ctx context.Context, ns, name, after string, attributes bool) ([]Member, error) {
	query := `SELECT m.customer_id, m.entered_at, NULL FROM memberships m`
	if attributes {
		query = `SELECT m.customer_id, m.entered_at, c.attributes FROM memberships m JOIN customers c ON c.ns = $1 AND c.id = m.customer_id`
	}
	rows, err := r.Store.Query(ctx, query+` WHERE m.ns = $1 AND m.segment = $2 AND m.customer_id > $3 ORDER BY m.customer_id LIMIT $4`,
		ns, name, after, membersPage)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	page := make([]Member, 0, membersPage)
	for rows.Next() {
		var m Member
		var entered int64
		var document sql.NullString
		if err := rows.Scan(&m.ID, &entered, &document); err != nil {
			return nil, err
		}
		m.EnteredAt = store.Time(entered)
		if document.Valid {
			m.Attributes = json.RawMessage(document.String)
		}
		page = append(page, m)
	}
	return page, rows.Err()
}

// Selection is which members to read: those of now, or of a moment, all of them or some.
type Selection struct {
	// At is the moment, as Moment gives it; zero for who is a member now.
	At time.Time
	// Sample is how many to choose at random, 0 for all.
	Sample int
}

// Select gives members in the order of their ids, without attributes. It ends with the first error.
// Unlike Members it is one statement, which sees one moment of the database and holds it while the
// caller works: for people who ask, not for runs.
func (r *Refresher) Select(ctx context.Context, ns, name string, which Selection) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		query, args := which.query(ns, name)
		rows, err := r.Store.Query(ctx, query, args...)
		if err != nil {
			yield(Member{}, fmt.Errorf("read the members of segment %s: %w", name, err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id string
			var entered int64
			if err := rows.Scan(&id, &entered); err != nil {
				yield(Member{}, fmt.Errorf("read the members of segment %s: %w", name, err))
				return
			}
			if !yield(Member{ID: id, EnteredAt: store.Time(entered)}, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Member{}, fmt.Errorf("read the members of segment %s: %w", name, err))
		}
	}
}

func (which Selection) query(ns, name string) (string, []any) {
	query, args := `SELECT customer_id, entered_at FROM memberships WHERE ns = $1 AND segment = $2`, []any{ns, name}
	if !which.At.IsZero() {
		args = append(args, store.Millis(which.At))
		// Once each, even if a clock that went back let two stays overlap.
		query = `SELECT customer_id, MAX(entered_at) AS entered_at FROM (
			` + query + ` AND entered_at <= $3
			UNION ALL
			SELECT customer_id, entered_at FROM past_memberships WHERE ns = $1 AND segment = $2 AND exited_at > $3 AND entered_at <= $3) x
			GROUP BY customer_id`
	}
	if which.Sample > 0 {
		args = append(args, which.Sample)
		query = fmt.Sprintf(`SELECT customer_id, entered_at FROM (SELECT customer_id, entered_at FROM (%s) y ORDER BY RANDOM() LIMIT $%d) z`, query, len(args))
	}
	return query + ` ORDER BY customer_id`, args
}

// CountAt is how many members a segment had at a moment, as Moment gives it.
func (r *Refresher) CountAt(ctx context.Context, ns, name string, at time.Time) (n int64, err error) {
	query, args := Selection{At: at}.query(ns, name)
	if err := r.Store.QueryRow(ctx, `SELECT COUNT(*) FROM (`+query+`) w`, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the members of segment %s: %w", name, err)
	}
	return n, nil
}

// Moment reads a moment at which it is known who was in a segment: in RFC 3339, or a day, which means
// its end in the shop's zone. Its errors are sentences for whoever wrote it.
func (r *Refresher) Moment(ctx context.Context, ns, name, text string) (time.Time, error) {
	states, err := readStates(ctx, r.Store, `ns = $1 AND name = $2`, ns, name)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the state of segment %s: %w", name, err)
	}
	state := states[name]
	if state.Mode == "" {
		return time.Time{}, neverRefreshed(ns, name)
	}
	zone := time.UTC
	if state.definition != "" {
		_, shop, err := parseDefinition(state.definition)
		if err != nil {
			return time.Time{}, err
		}
		zone = shop.zone()
	}
	at, err := time.Parse(time.RFC3339, text)
	if day, dayErr := time.ParseInLocation(time.DateOnly, text, zone); dayErr == nil {
		if state.definition == "" {
			return time.Time{}, fmt.Errorf("segment %q is suspended, so that its shop's zone is not known: write a time such as %sT23:59:59+09:00", name, text)
		}
		at, err = day.AddDate(0, 0, 1).Add(-time.Millisecond), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is no time: write one such as 2026-01-31T15:00:00+09:00, or a day such as 2026-01-31", text)
	case at.After(r.Clock.Now()):
		return time.Time{}, fmt.Errorf("%s lies in the future: write an earlier time, or none for the members of now", words(at.In(zone)))
	case state.KeptSince.UnixMilli() == 0: // it was refreshed before this was kept
		return time.Time{}, fmt.Errorf("who was in segment %q is known from its next refresh on: ask again after that", name)
	case at.Before(state.KeptSince):
		return time.Time{}, fmt.Errorf("who was in segment %q is known from %s on: write that time or a later one", name, state.KeptSince.In(zone).Format(time.RFC3339Nano))
	}
	return at.In(zone), nil
}
