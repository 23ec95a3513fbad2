// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Goal is what an enrolment is for: an order placed not later than Within after it.
type Goal struct{ Within time.Duration }

// Attribute brings the conversions of a scenario's epoch up to the orders that arrived at or after
// since. Of each customer with such an order, and of each whom such an order had converted, it works
// out all enrolments anew, so that an order that was cancelled, moved or given to another customer is
// taken back as well. Doing it twice changes nothing, so since may overlap with the last call's; the
// zero time does everybody who has ordered, which a changed goal needs.
//
// An enrolment, held out or not, converts by the earliest counted order placed from its beginning to
// Within later, both ends included. That order is credited to one message: the last of the enrolment's
// that had been sent when it was placed, or none where it came before any.
//
// It costs what arrived, however many are enrolled, and returns how many enrolments and messages it
// changed, also with an error.
func Attribute(ctx context.Context, st *store.Store, ns, scenario, epoch string, goal Goal, since time.Time) (changed int64, err error) {
	if goal.Within <= 0 {
		return 0, errors.New("attribute orders: the goal's window must be longer than nothing")
	}
	a := attribution{st: st, ns: ns, scenario: scenario, epoch: epoch, within: goal.Within.Milliseconds()}
	if !since.IsZero() {
		a.since = store.Millis(since)
	}
	if err := a.run(ctx); err != nil {
		return a.changed, fmt.Errorf("attribute orders to scenario %s/%s: %w", ns, scenario, err)
	}
	return a.changed, nil
}

// chunk is how many customers one transaction does: enough to be quick, few enough that on SQLite
// nobody else waits long to write.
const chunk = 500

type attribution struct {
	st                  *store.Store
	ns, scenario, epoch string
	within, since       int64
	changed             int64
}

// touchedQuery begins with what arrived and looks each up. Were it to begin with the enrolments, a
// single order would cost as much as all who are enrolled.
const touchedQuery = `
SELECT e.customer_id
  FROM (SELECT DISTINCT customer_id FROM orders WHERE ns = $1 AND received_at >= $4) AS arrived
  JOIN enrolments AS e ON e.ns = $1 AND e.customer_id = arrived.customer_id AND e.scenario = $2 AND e.epoch = $3
 UNION
SELECT e.customer_id
  FROM (SELECT id FROM orders WHERE ns = $1 AND received_at >= $4) AS arrived
  JOIN enrolments AS e ON e.ns = $1 AND e.order_id = arrived.id AND e.scenario = $2 AND e.epoch = $3`

func (a *attribution) run(ctx context.Context) error {
	rows, err := a.st.Query(ctx, touchedQuery, a.ns, a.scenario, a.epoch, a.since)
	if err != nil {
		return fmt.Errorf("list the customers whose orders arrived: %w", err)
	}
	defer func() { _ = rows.Close() }()
	customers := make([]string, 0, chunk)
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("list the customers whose orders arrived: %w", err)
		}
		if customers = append(customers, id); len(customers) == chunk {
			if err := a.apply(ctx, customers); err != nil {
				return err
			}
			customers = customers[:0]
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list the customers whose orders arrived: %w", err)
	}
	if len(customers) == 0 {
		return nil
	}
	return a.apply(ctx, customers)
}

// convertQuery writes only what differs, so that work done twice leaves no new row versions.
// Who waits is looked at, in case the goal ends their way.
const convertQuery = `
UPDATE enrolments AS e
   SET converted_at = w.placed_at, order_id = w.order_id, revenue = w.total,
       until_at = CASE WHEN w.placed_at < e.due_at AND ` + waits + ` THEN COALESCE(e.until_at, e.due_at) ELSE e.until_at END,
       due_at = CASE WHEN w.placed_at < e.due_at AND ` + waits + ` THEN w.placed_at ELSE e.due_at END
  FROM (SELECT x.customer_id, x.entry, o.placed_at, o.id AS order_id, o.total
          FROM enrolments AS x
          LEFT JOIN orders AS o ON o.ns = x.ns AND o.id = (
               SELECT c.id FROM orders AS c
                WHERE c.ns = x.ns AND c.customer_id = x.customer_id AND c.counted = 1
                  AND c.placed_at BETWEEN x.enrolled_at AND x.enrolled_at + $5
                ORDER BY c.placed_at, c.id LIMIT 1)
         WHERE x.ns = $1 AND x.scenario = $2 AND x.epoch = $3 AND x.customer_id %s) AS w
 WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.customer_id = w.customer_id AND e.entry = w.entry
   AND (e.converted_at IS DISTINCT FROM w.placed_at OR e.order_id IS DISTINCT FROM w.order_id
        OR e.revenue IS DISTINCT FROM w.total)`

const waits = "e.state = 'active' AND SUBSTR(e.step, 1, 1) <> '>'" // store.Waits

// creditQuery follows convertQuery. Two messages sent in the same millisecond are told apart by their
// ids, so that both stores, and every repetition, credit the same one.
const creditQuery = `
UPDATE messages AS m
   SET converted_at = w.converted_at
  FROM (SELECT y.id AS message,
               CASE WHEN y.id = (SELECT l.id FROM messages AS l
                                  WHERE l.ns = x.ns AND l.scenario = x.scenario AND l.epoch = x.epoch
                                    AND l.customer_id = x.customer_id AND l.entry = x.entry
                                    AND l.state = 'sent' AND l.ended_at <= x.converted_at
                                  ORDER BY l.ended_at DESC, l.id DESC LIMIT 1)
                    THEN x.converted_at END AS converted_at
          FROM enrolments AS x
          JOIN messages AS y ON y.ns = x.ns AND y.scenario = x.scenario AND y.epoch = x.epoch
                            AND y.customer_id = x.customer_id AND y.entry = x.entry
         WHERE x.ns = $1 AND x.scenario = $2 AND x.epoch = $3 AND x.customer_id %s) AS w
 WHERE m.id = w.message AND m.converted_at IS DISTINCT FROM w.converted_at
 RETURNING id`

func (a *attribution) apply(ctx context.Context, customers []string) error {
	among := a.st.Dialect().AnyText(4)
	list := store.List(a.st.Dialect(), customers)
	var changed int64
	if err := a.st.Tx(ctx, func(tx *store.Tx) error {
		converted, err := exec(ctx, tx, fmt.Sprintf(convertQuery, among), a.ns, a.scenario, a.epoch, list, a.within)
		if err != nil {
			return fmt.Errorf("work out conversions: %w", err)
		}
		credited, err := returned(ctx, tx, fmt.Sprintf(creditQuery, among), a.ns, a.scenario, a.epoch, list)
		if err != nil {
			return fmt.Errorf("credit conversions to messages: %w", err)
		}
		changed = converted + int64(len(credited))
		return tx.SyncEngagements(ctx, a.ns, store.EngagementConverted, credited)
	}); err != nil {
		return err
	}
	a.changed += changed
	return nil
}

func exec(ctx context.Context, tx *store.Tx, query string, args ...any) (changed int64, err error) {
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// returned is the ids that a statement returns.
func returned(ctx context.Context, tx *store.Tx, query string, args ...any) (ids []string, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
