// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// ReasonMerged is why a way through a scenario ended, and messages of it were cancelled: the customer was
// merged with one who is further along.
const ReasonMerged = "Merged"

// Merge makes one customer of two: everything of from becomes to's, and from is another id of to from now
// on, also for facts that come later. Where both say something, to's addresses and attributes win, and of
// two consents the withdrawn one. Under way in a scenario twice, the customer goes on where they are
// further along. What is one already stays as it is, so doing it again, or the other way round, changes
// nothing. at is the business time. Call it before the transaction has locked other customers.
func (t *Tx) Merge(ctx context.Context, ns, from, to string, at time.Time) (merged bool, err error) {
	if err := (&Alias{from, to}).Validate(); err != nil {
		return false, err
	}
	of, err := t.Survivors(ctx, ns, []string{from, to})
	if err != nil {
		return false, err
	}
	if survivor, known := of[from]; known {
		from = survivor
	}
	if survivor, known := of[to]; known {
		to = survivor
	}
	if from == to {
		return false, nil
	}
	m := &merging{Tx: t, ns: ns, from: from, to: to, at: Millis(at)}
	if err := m.run(ctx, at); err != nil {
		err = fmt.Errorf("merge two customers: %w", err)
		if IsUniqueViolation(err) { // something of theirs came in meanwhile
			err = fmt.Errorf("%w: %w", ErrRetry, err)
		}
		return false, err
	}
	return true, nil
}

// merging is one customer being made a part of another.
type merging struct {
	*Tx
	ns, from, to string
	at           int64
}

func (m *merging) run(ctx context.Context, at time.Time) error {
	isNew, err := m.lock(ctx, at)
	if err != nil {
		return err
	}
	if isNew { // as of most who are told of with both ids at once
		delete(m.touched[m.ns], m.from)
		return m.alias(ctx)
	}
	for _, part := range []func(context.Context) error{m.scenarios, m.rows, m.consents, m.customers} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	both := distinct([]string{m.from, m.to})
	if err := m.refreshMetrics(ctx, m.ns, both); err != nil {
		return err
	}
	if err := m.rebuildReplenishments(ctx, m.ns, both); err != nil {
		return err
	}
	if err := m.rebuildDerived(ctx, m.ns, both); err != nil {
		return err
	}
	m.Touch(m.ns, m.from, TouchedAnything)
	m.Touch(m.ns, m.to, TouchedAnything)
	return m.Wake(ctx, m.ns, "", []string{m.to}, at)
}

// lock takes what others write by: a scenario whose run lets members in, and both customers. A row is made
// for who has none, so that who makes one at the same time waits, and then finds the alias. isNew says that
// nothing was known of from.
func (m *merging) lock(ctx context.Context, at time.Time) (isNew bool, err error) {
	if m.dialect == Postgres {
		_, err := m.Exec(ctx, `SELECT 1 FROM scenarios s WHERE s.ns = $1
			AND EXISTS (SELECT 1 FROM runs r WHERE r.ns = s.ns AND r.scenario = s.name AND r.state = 'enrolling'
				AND r.state IN ('enrolling', 'held', 'planning', 'planned', 'running'))
			ORDER BY s.name FOR UPDATE OF s`, m.ns)
		if err != nil {
			return false, fmt.Errorf("hold the runs that begin: %w", err)
		}
	}
	var known int
	err = m.QueryRow(ctx, `SELECT COUNT(*) FROM customers WHERE ns = $1 AND id = $2`, m.ns, m.from).Scan(&known)
	if err != nil {
		return false, fmt.Errorf("look for a customer: %w", err)
	}
	return known == 0, m.ensureCustomers(ctx, m.ns, distinct([]string{m.from, m.to}), m.dialect.ForUpdate(), at)
}

// alias makes from another id of to, and deletes its row.
func (m *merging) alias(ctx context.Context) error {
	_, err := m.Exec(ctx, `UPDATE aliases SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, m.ns, m.from, m.to)
	if err == nil {
		_, err = m.Exec(ctx, `INSERT INTO aliases (ns, alias, customer_id, created_at) VALUES ($1, $2, $3, $4)`, m.ns, m.from, m.to, m.at)
	}
	if err == nil {
		_, err = m.Exec(ctx, `DELETE FROM customers WHERE ns = $1 AND id = $2`, m.ns, m.from)
	}
	if err != nil {
		return fmt.Errorf("write an alias: %w", err)
	}
	return nil
}

// rows gives the rows of from to to. Orders count as received now, so that goals are credited with them.
// Two rows that are the same stay one.
func (m *merging) rows(ctx context.Context) error {
	const both = `EXISTS (SELECT 1 FROM %[1]s o WHERE o.ns = %[1]s.ns AND o.customer_id = $3 AND %[2]s)`
	for _, statement := range []struct {
		what, query string
		args        []any
	}{
		{"items", `UPDATE order_items SET customer_id = $3 WHERE ns = $1 AND order_id IN (SELECT id FROM orders WHERE ns = $1 AND customer_id = $2)`, nil},
		{"orders", `UPDATE orders SET customer_id = $3, received_at = $4 WHERE ns = $1 AND customer_id = $2`, []any{m.at}},
		{"events", `UPDATE events SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, nil},
		{"subscriptions", `UPDATE subscriptions SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, nil},
		{"engagements", `UPDATE engagements SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, nil},
		{"test messages", `UPDATE test_messages SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, nil},
		{"links of accounts", `UPDATE line_links SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, nil},
		{"wish lists", `DELETE FROM favourites WHERE ns = $1 AND customer_id IN ($2, $3)`, nil}, // made anew
		// A segment that has both hears of it, and lets from go itself: it counts its members by who comes and goes.
		{"memberships", `UPDATE memberships SET customer_id = $3 WHERE ns = $1 AND customer_id = $2
			AND NOT ` + fmt.Sprintf(both, "memberships", "o.segment = memberships.segment"), nil},
		{"past memberships", `UPDATE past_memberships SET customer_id = $3 WHERE ns = $1 AND customer_id = $2
			AND NOT ` + fmt.Sprintf(both, "past_memberships", "o.segment = past_memberships.segment AND o.exited_at = past_memberships.exited_at AND o.entered_at = past_memberships.entered_at"), nil},
		{"past memberships", `DELETE FROM past_memberships WHERE ns = $1 AND customer_id = $2 AND $3 <> ''`, nil},
	} {
		if _, err := m.Exec(ctx, statement.query, append([]any{m.ns, m.from, m.to}, statement.args...)...); err != nil {
			return fmt.Errorf("give the %s to the survivor: %w", statement.what, err)
		}
	}
	return nil
}

// consents makes the stricter of two what holds, and keeps the proof of all that either said.
func (m *merging) consents(ctx context.Context) error {
	const other = ` AND EXISTS (SELECT 1 FROM consents o WHERE o.ns = consents.ns AND o.channel = consents.channel AND o.customer_id = `
	const same = ` AND EXISTS (SELECT 1 FROM purpose_consents o WHERE o.ns = purpose_consents.ns AND o.channel = purpose_consents.channel
		AND o.purpose = purpose_consents.purpose AND o.customer_id = `
	for _, query := range []string{
		`DELETE FROM consents WHERE ns = $1 AND customer_id = $3 AND state <> '` + ConsentWithdrawn + `'` + other + `$2 AND o.state = '` + ConsentWithdrawn + `')`,
		`DELETE FROM consents WHERE ns = $1 AND customer_id = $2` + other + `$3)`,
		`UPDATE consents SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`,
		`DELETE FROM purpose_consents WHERE ns = $1 AND customer_id = $3 AND state <> '` + ConsentWithdrawn + `'` + same + `$2 AND o.state = '` + ConsentWithdrawn + `')`,
		`DELETE FROM purpose_consents WHERE ns = $1 AND customer_id = $2` + same + `$3)`,
		`UPDATE purpose_consents SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`,
		`INSERT INTO consent_changes (ns, customer_id, changed_at, channel, purpose, state, source)
			SELECT ns, $3, changed_at, channel, purpose, state, source FROM consent_changes WHERE ns = $1 AND customer_id = $2 ON CONFLICT DO NOTHING`,
		`DELETE FROM consent_changes WHERE ns = $1 AND customer_id = $2 AND $3 <> ''`,
	} {
		if _, err := m.Exec(ctx, query, m.ns, m.from, m.to); err != nil {
			return fmt.Errorf("merge consents: %w", err)
		}
	}
	return nil
}

// customers fills in what the survivor lacks, and deletes the other one's row.
func (m *merging) customers(ctx context.Context) error {
	stored, err := m.readCustomers(ctx, m.ns, distinct([]string{m.from, m.to}))
	if err != nil {
		return fmt.Errorf("read two customers: %w", err)
	}
	old, row := stored[m.from], stored[m.to]
	row.email, row.phone, row.line = either(row.email, old.email), either(row.phone, old.phone), either(row.line, old.line)
	row.createdAt = min(row.createdAt, old.createdAt)
	attributes := maps.Clone(old.attributes)
	if attributes == nil {
		attributes = row.attributes
	} else {
		maps.Copy(attributes, row.attributes)
	}
	_, err = m.Exec(ctx, `UPDATE customers SET email = $3, phone = $4, line_user_id = $5, attributes = `+m.dialect.JSONParam(6)+`, created_at = $7, updated_at = $8
		WHERE ns = $1 AND id = $2`, m.ns, m.to, row.email.column(), row.phone.column(), row.line.column(), attributesText(attributes), row.createdAt, m.at)
	if err != nil {
		return fmt.Errorf("write the survivor: %w", err)
	}
	return m.alias(ctx)
}

// either is a, or b where a has no value.
func either(a, b Field[string]) Field[string] {
	if v, ok := a.Get(); ok && v != "" {
		return a
	}
	return b
}
