// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
)

// under is one way of a customer through a scenario.
type under struct {
	customer, scenario, epoch, entry, state string
	enrolled, messages                      int64
}

type enrolmentOf struct{ scenario, epoch string }

// scenarios gives enrolments, messages and coupons to the survivor. A message's key was made of the id it
// was planned for, and stays. The two may have the same entry, as for a slot: the one that is less far
// along then has its entry marked, since there can be one of each, and ends; what of it is not sent is
// cancelled. So does any other that is under way beside one that is further along.
func (m *merging) scenarios(ctx context.Context) error {
	ways := map[enrolmentOf][]under{}
	err := Each(ctx, m, func(rows *sql.Rows) error {
		var u under
		err := rows.Scan(&u.customer, &u.scenario, &u.epoch, &u.entry, &u.state, &u.enrolled, &u.messages)
		at := enrolmentOf{u.scenario, u.epoch}
		ways[at] = append(ways[at], u)
		return err
	}, `SELECT e.customer_id, e.scenario, e.epoch, e.entry, e.state, e.enrolled_at,
			(SELECT COUNT(*) FROM messages g WHERE g.ns = e.ns AND g.scenario = e.scenario AND g.epoch = e.epoch AND g.customer_id = e.customer_id
				AND g.entry = e.entry AND g.state NOT IN ('planned', 'cancelled'))
		FROM enrolments e WHERE e.ns = $1 AND e.customer_id IN ($2, $3) ORDER BY e.scenario, e.epoch, e.customer_id, e.entry`+m.dialect.ForUpdateOf("e"), m.ns, m.from, m.to)
	if err != nil {
		return fmt.Errorf("read what they are under way in: %w", err)
	}
	for _, all := range ways {
		if err := m.settle(ctx, all); err != nil {
			return err
		}
	}
	for what, query := range map[string]string{
		"enrolments": `UPDATE enrolments SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`,
		"messages":   `UPDATE messages SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`,
		"coupons":    `UPDATE coupons SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`,
	} {
		if _, err := m.Exec(ctx, query, m.ns, m.from, m.to); err != nil {
			return fmt.Errorf("give the %s to the survivor: %w", what, err)
		}
	}
	return nil
}

// settle decides between the ways of both through one scenario.
func (m *merging) settle(ctx context.Context, all []under) error {
	furthest := map[string]under{}
	best, found := under{}, false
	for _, u := range all {
		if other, known := furthest[u.entry]; !known || u.furtherThan(other) {
			furthest[u.entry] = u
		}
	}
	for _, u := range furthest {
		if u.state == "active" && (!found || u.furtherThan(best)) {
			best, found = u, true
		}
	}
	for _, u := range all {
		if u.state == "active" && u != best {
			if err := m.end(ctx, u); err != nil {
				return err
			}
		}
		if u != furthest[u.entry] {
			if err := m.mark(ctx, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// furtherThan compares two ways through one scenario: by what came of them, whether they go on, and who
// began first.
func (u under) furtherThan(other under) bool {
	switch {
	case u.messages != other.messages:
		return u.messages > other.messages
	case (u.state == "active") != (other.state == "active"):
		return u.state == "active"
	case u.enrolled != other.enrolled:
		return u.enrolled < other.enrolled
	}
	return u.customer < other.customer
}

// end lets a way end, and cancels what of it has not begun to be sent.
func (m *merging) end(ctx context.Context, u under) error {
	key := []any{m.ns, u.scenario, u.epoch, u.customer, u.entry, m.at}
	const of = ` WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND customer_id = $4 AND entry = $5`
	_, err := m.Exec(ctx, `UPDATE enrolments SET state = 'exited', reason = '`+ReasonMerged+`', step = '', until_at = NULL, since_at = NULL, ended_at = $6`+of+` AND state = 'active'`, key...)
	if err == nil {
		_, err = m.Exec(ctx, `UPDATE messages SET state = 'cancelled', reason = '`+ReasonMerged+`', ended_at = $6`+of+` AND state = 'planned'`, key...)
	}
	if err != nil {
		return fmt.Errorf("end a way through a scenario: %w", err)
	}
	return nil
}

// mark makes another entry of one that both have. Only one of the two is ever merged with these ids.
func (m *merging) mark(ctx context.Context, u under) error {
	for _, table := range []string{"enrolments", "messages", "coupons"} {
		_, err := m.Exec(ctx, `UPDATE `+table+` SET entry = $6 WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND customer_id = $4 AND entry = $5`,
			m.ns, u.scenario, u.epoch, u.customer, u.entry, u.entry+"~"+m.from)
		if err != nil {
			return fmt.Errorf("mark an entry of %s: %w", table, err)
		}
	}
	return nil
}
