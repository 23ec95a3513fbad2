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
