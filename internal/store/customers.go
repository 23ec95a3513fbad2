// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

type customerRow struct {
	id                 string
	email, phone, line Field[string]
	attributes         map[string]json.RawMessage
	createdAt          int64
}

var customerColumns = []string{"ns", "id", "email", "phone", "line_user_id", "attributes", "created_at", "updated_at"}

// UpsertCustomers adds what is said to what is known of customers. now is the business time.
func (t *Tx) UpsertCustomers(ctx context.Context, ns string, customers []Customer, now time.Time) (Counts, error) {
	customers, err := ofSurvivors(ctx, t, ns, customers, func(c *Customer) *string { return &c.ID })
	if err != nil {
		return Counts{}, err
	}
	ids := make([]string, len(customers))
	for i := range customers {
		ids[i] = customers[i].ID
	}
	ids = distinct(ids)
	stored, err := t.readCustomers(ctx, ns, ids)
	if err != nil {
		return Counts{}, fmt.Errorf("read customers: %w", err)
	}
	consents, err := t.mergeConsents(ctx, ns, ids, customers, now)
	if err != nil {
		return Counts{}, err
	}
	m := merge(customers, func(c *Customer) string { return c.ID }, stored,
		func(old customerRow, c *Customer) customerRow { return applyCustomer(old, c, Millis(now)) }, sameCustomer)
	err = write(ctx, t, "customers", customerColumns, 2, m, func(r customerRow, row []any) []any {
		return append(row, ns, r.id, r.email.column(), r.phone.column(), r.line.column(), attributesText(r.attributes), r.createdAt, Millis(now))
	})
	if err != nil {
		return Counts{}, err
	}
	added := make([]string, len(m.added))
	for i := range m.added {
		added[i] = m.added[i].id
	}
	if err := t.returned(ctx, ns, added); err != nil {
		return Counts{}, err
	}
	if err := t.notMerged(ctx, ns, ids); err != nil {
		return Counts{}, err
	}
	// Only now, since whoever else writes a consent locks its customer first.
	if err := t.writeConsents(ctx, ns, consents); err != nil {
		return Counts{}, err
	}
	var withdrawn []string
	for _, row := range slices.Concat(consents.added, consents.changed) {
		if row.state == ConsentWithdrawn {
			withdrawn = append(withdrawn, row.customer)
		}
	}
	if err := t.Wake(ctx, ns, "", withdrawn, now); err != nil {
		return Counts{}, err
	}
	m.counts.consentsChanged(m, consents)
	return m.counts, t.touchCustomers(ctx, ns, m, consents)
}

// consentsChanged counts as changed the customers of whom nothing but a consent has.
func (c *Counts) consentsChanged(customers merged[customerRow], consents merged[consentRow]) {
	counted := make(map[string]bool)
	for _, row := range slices.Concat(customers.added, customers.changed) {
		counted[row.id] = true
	}
	for _, row := range slices.Concat(consents.added, consents.changed) {
		if !counted[row.customer] && c.Unchanged > 0 {
			counted[row.customer] = true
			c.Changed++
			c.Unchanged--
		}
	}
}

func (t *Tx) readCustomers(ctx context.Context, ns string, ids []string) (map[string]customerRow, error) {
	stored := make(map[string]customerRow, len(ids))
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var r customerRow
		var attributes []byte
		if err := rows.Scan(&r.id, &r.email, &r.phone, &r.line, &attributes, &r.createdAt); err != nil {
			return err
		}
		if err := json.Unmarshal(attributes, &r.attributes); err != nil {
			return fmt.Errorf("attributes of a customer: %w", err)
		}
		for name, document := range r.attributes {
			canonical, err := canonicalJSON(document)
			if err != nil {
				return fmt.Errorf("attribute of a customer: %w", err)
			}
			r.attributes[name] = canonical
		}
		stored[r.id] = r
		return nil
	}, `SELECT id, email, phone, line_user_id, attributes, created_at FROM customers
		WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+t.dialect.ForUpdate(), ns, List(t.dialect, ids))
	return stored, err
}

func applyCustomer(old customerRow, c *Customer, now int64) customerRow {
	if old.id == "" {
		old.createdAt = now
	}
	row := customerRow{
		id: c.ID, createdAt: old.createdAt,
		email: c.Email.or(old.email), phone: c.Phone.or(old.phone), line: c.LineUserID.or(old.line),
		attributes: old.attributes,
	}
	if len(c.Attributes) == 0 {
		return row
	}
	row.attributes = maps.Clone(old.attributes)
	if row.attributes == nil {
		row.attributes = make(map[string]json.RawMessage, len(c.Attributes))
	}
	for name, document := range c.Attributes {
		if string(document) == "null" {
			delete(row.attributes, name)
		} else {
			row.attributes[name] = document
		}
	}
	return row
}

func sameCustomer(a, b customerRow) bool {
	return a.id == b.id && a.email == b.email && a.phone == b.phone && a.line == b.line &&
		maps.EqualFunc(a.attributes, b.attributes, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
}

func attributesText(attributes map[string]json.RawMessage) string {
	if len(attributes) == 0 {
		return string(emptyObject)
	}
	text, err := marshalPlain(attributes)
	if err != nil {
		panic(err) // its members are canonical documents
	}
	return string(text)
}

// touchCustomers tells of the customers that a batch changed, and works out who can be reached.
func (t *Tx) touchCustomers(ctx context.Context, ns string, customers merged[customerRow], consents merged[consentRow]) error {
	var reach []string
	for _, row := range customers.added {
		t.Touch(ns, row.id, TouchedNew|TouchedCustomer)
		reach = append(reach, row.id)
	}
	for _, row := range customers.changed {
		t.Touch(ns, row.id, TouchedCustomer)
		reach = append(reach, row.id)
	}
	for _, row := range slices.Concat(consents.added, consents.changed) {
		reach = append(reach, row.customer)
	}
	return t.updateReachOf(ctx, ns, distinct(reach))
}

// ensureCustomers makes a row for each customer who has none: facts may come in any order.
func (t *Tx) ensureCustomers(ctx context.Context, ns string, ids []string, lock string, now time.Time) error {
	known := make(map[string]bool, len(ids))
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		known[id] = true
		return err
	}, `SELECT id FROM customers WHERE ns = $1 AND id `+t.dialect.AnyText(2)+` ORDER BY id`+lock, ns, List(t.dialect, ids))
	if err != nil {
		return fmt.Errorf("read customers: %w", err)
	}
	var m merged[string]
	for _, id := range ids {
		if !known[id] {
			m.added = append(m.added, id)
			t.Touch(ns, id, TouchedNew)
		}
	}
	err = write(ctx, t, "customers", customerColumns, 2, m, func(id string, row []any) []any {
		return append(row, ns, id, nil, nil, nil, string(emptyObject), Millis(now), Millis(now))
	})
	if err != nil {
		return err
	}
	if err := t.returned(ctx, ns, m.added); err != nil {
		return err
	}
	return t.notMerged(ctx, ns, ids)
}
