// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// lineCustomer begins the id of a customer of whom nothing is known but the LINE user.
const lineCustomer = "line:"

// LineCustomer is the id of the customer that a LINE user is while nobody knows who they are.
func LineCustomer(user string) string { return lineCustomer + user }

// SourceFollow is the source of a consent that following the account is.
const SourceFollow = "follow"

// LineCustomers finds the customers whose LINE user ids these are. A user whom no customer has becomes one of
// their own. Where several have it, the one that the shop knows best is meant: not one of LINE's alone, and of
// equal ones the first.
func (t *Tx) LineCustomers(ctx context.Context, ns string, users []string, now time.Time) (map[string]string, error) {
	users = distinct(users)
	found := make(map[string]string, len(users))
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id, user string
		if err := rows.Scan(&id, &user); err != nil {
			return err
		}
		if known, ok := found[user]; !ok || strings.HasPrefix(known, lineCustomer) && !strings.HasPrefix(id, lineCustomer) {
			found[user] = id
		}
		return nil
	}, `SELECT id, line_user_id FROM customers WHERE ns = $1 AND line_user_id `+t.dialect.AnyText(2)+` ORDER BY id`, ns, List(t.dialect, users))
	if err != nil {
		return nil, fmt.Errorf("find the customers of LINE users: %w", err)
	}
	var fresh []Customer
	for _, user := range users {
		if _, known := found[user]; !known {
			found[user] = LineCustomer(user)
			fresh = append(fresh, Customer{ID: LineCustomer(user), LineUserID: Value(user)})
		}
	}
	if len(fresh) == 0 {
		return found, nil
	}
	if _, err := t.UpsertCustomers(ctx, ns, fresh, now); err != nil {
		return nil, err
	}
	of, err := t.Survivors(ctx, ns, slices.Collect(maps.Values(found)))
	for user, id := range found {
		if survivor, merged := of[id]; merged {
			found[user] = survivor
		}
	}
	return found, err
}

// GrantByFollow records that who follows the LINE account consents to be written to there. It is no answer to
// what the customer said before, and so changes no consent that is known, least of all one that was withdrawn.
func (t *Tx) GrantByFollow(ctx context.Context, ns string, customers []string, at time.Time) error {
	customers = distinct(customers)
	if len(customers) == 0 {
		return nil
	}
	slices.Sort(customers)
	if err := t.ensureCustomers(ctx, ns, customers, t.dialect.ForUpdate(), at); err != nil {
		return err
	}
	said, err := Texts(ctx, t, `SELECT customer_id FROM consents WHERE ns = $1 AND channel = '`+ChannelLINE+`' AND customer_id `+t.dialect.AnyText(2),
		ns, List(t.dialect, customers))
	if err != nil {
		return fmt.Errorf("read the consents of who follows: %w", err)
	}
	var granted merged[consentRow]
	for _, id := range customers {
		if !slices.Contains(said, id) {
			granted.added = append(granted.added, consentRow{id, ChannelLINE, "", ConsentGranted, SourceFollow, Millis(at)})
		}
	}
	if err := t.writeConsents(ctx, ns, granted); err != nil {
		return fmt.Errorf("record the consent of who follows: %w", err)
	}
	return t.updateReachOf(ctx, ns, customers)
}

// KnownEvents tells which of these events are stored already.
func (t *Tx) KnownEvents(ctx context.Context, ns string, ids []string) (map[string]bool, error) {
	known := make(map[string]bool)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		known[id] = true
		return err
	}, `SELECT id FROM events WHERE ns = $1 AND id `+t.dialect.AnyText(2), ns, List(t.dialect, ids))
	if err != nil {
		return nil, fmt.Errorf("read which events are known: %w", err)
	}
	return known, nil
}

// RedactEvents removes properties from the events of a customer, of one name, whose property by has that value,
// and from what they let in to: the customer has taken back what they said.
func (t *Tx) RedactEvents(ctx context.Context, ns, customer, name, by, value string, properties []string) error {
	key := t.dialect.JSONKey(by)
	for _, where := range []struct{ what, column, condition string }{
		{"events", "properties", "ns = $1 AND customer_id = $2 AND name = $3"},
		{"arrivals", "facts", "ns = $1 AND customer_id = $2 AND name = $3"},
		{"enrolments", "facts", "ns = $1 AND customer_id = $2 AND $3 <> ''"},
	} {
		cut := where.column
		args := []any{ns, customer, name, value, key}
		for _, p := range properties {
			args = append(args, t.dialect.JSONKey(p))
			if t.dialect == Postgres {
				cut = fmt.Sprintf("(%s - $%d::text)", cut, len(args))
			} else {
				cut = fmt.Sprintf("json_remove(%s, $%d)", cut, len(args))
			}
		}
		_, err := t.Exec(ctx, `UPDATE `+where.what+` SET `+where.column+` = `+cut+` WHERE `+where.condition+
			` AND `+t.dialect.JSONText(where.column, 5)+` = $4`, args...)
		if err != nil {
			return fmt.Errorf("remove what was taken back from %s: %w", where.what, err)
		}
	}
	return nil
}

// EventsSaying are the values of a property that events of these customers and of one name have.
func (t *Tx) EventsSaying(ctx context.Context, ns string, customers []string, name, property string) (map[string]bool, error) {
	said := make(map[string]bool)
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var v sql.NullString
		err := rows.Scan(&v)
		said[v.String] = true
		return err
	}, `SELECT `+t.dialect.JSONText("properties", 4)+` FROM events WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2)+` AND name = $3`,
		ns, List(t.dialect, distinct(slices.Clone(customers))), name, t.dialect.JSONKey(property))
	if err != nil {
		return nil, fmt.Errorf("read what was taken back: %w", err)
	}
	return said, nil
}

// AttachLINE makes a LINE user the one of a customer, who has proved it. What they did before as somebody unknown
// is the customer's, and whoever had the user before has it no longer: an account is one person's.
func (t *Tx) AttachLINE(ctx context.Context, ns, user, customer string, now time.Time) error {
	of, err := t.Survivors(ctx, ns, []string{customer, LineCustomer(user)})
	if err != nil {
		return err
	}
	if survivor, merged := of[customer]; merged {
		customer = survivor
	}
	if _, err := t.UpsertCustomers(ctx, ns, []Customer{{ID: customer}}, now); err != nil {
		return err
	}
	if _, merged := of[LineCustomer(user)]; !merged { // with whom it was linked before is another
		if _, err := t.Merge(ctx, ns, LineCustomer(user), customer, now); err != nil {
			return err
		}
	}
	var changed []Customer
	err = Each(ctx, t, func(rows *sql.Rows) error {
		c := Customer{LineUserID: None[string]()}
		err := rows.Scan(&c.ID)
		changed = append(changed, c)
		return err
	}, `SELECT id FROM customers WHERE ns = $1 AND line_user_id = $2 AND id <> $3`, ns, user, customer)
	if err != nil {
		return fmt.Errorf("find whose LINE account it was: %w", err)
	}
	_, err = t.UpsertCustomers(ctx, ns, append(changed, Customer{ID: customer, LineUserID: Value(user)}), now)
	return err
}
