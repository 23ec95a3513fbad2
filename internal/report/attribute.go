// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Goal is what an enrolment is for: an order placed, or an event, not later than Within after it.
type Goal struct {
	Within time.Duration
	// Event is the event's name; empty, or Order Completed, is an order.
	Event string
	// Attribution says which messages an order is credited to: LastTouch, which empty is too, FirstTouch or Linear.
	Attribution string
}

// GoalOf is the goal of a Scenario.
func GoalOf(g *crm.Goal) Goal {
	return Goal{Within: g.Within.Duration(), Event: g.Event, Attribution: g.AttributionOrDefault()}
}

// ByOrders tells whether orders reach the goal.
func (g Goal) ByOrders() bool { return g.Event == "" || g.Event == crm.EventOrderCompleted }

// Attribute brings the conversions of a scenario's epoch up to the orders that arrived at or after
// since. Of each customer with such an order, and of each whom such an order had converted, it works
// out all enrolments anew, so that an order that was cancelled, moved or given to another customer is
// taken back as well. Doing it twice changes nothing, so since may overlap with the last call's; the
// zero time does everybody who may have converted, which a changed goal needs.
//
// An enrolment, held out or not, converts by the earliest counted order placed from its beginning to
// Within later, both ends included, or by the earliest event. It is credited to the messages of the
// enrolment that had been sent by then, none where it came before any: the last of them, the first, or
// all to equal shares.
//
// It costs what arrived, however many are enrolled, and returns how many enrolments and messages it
// changed, also with an error.
func Attribute(ctx context.Context, st *store.Store, ns, scenario, epoch string, goal Goal, since time.Time) (changed int64, err error) {
	if goal.Within <= 0 {
		return 0, errors.New("attribute orders: the goal's window must be longer than nothing")
	}
	a := attribution{st: st, ns: ns, scenario: scenario, epoch: epoch, goal: goal}
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
	goal                Goal
	since               int64
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

// mayHaveQuery is for a goal that events reach, which is followed by what arrives. It is asked only where the
// goal has changed. Of those who were erased nothing is left to work it out from: what they counted for stays.
const mayHaveQuery = `
SELECT DISTINCT e.customer_id
  FROM enrolments AS e
 WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND SUBSTR(e.customer_id, 1, 7) <> 'erased:' -- store.IsErased
   AND (e.converted_at IS NOT NULL
        OR EXISTS (SELECT 1 FROM events AS v WHERE v.ns = e.ns AND v.customer_id = e.customer_id AND v.name = $4))`

func (a *attribution) run(ctx context.Context) error {
	query, param := touchedQuery, any(a.since)
	if !a.goal.ByOrders() {
		query, param = mayHaveQuery, a.goal.Event
	}
	rows, err := a.st.Query(ctx, query, a.ns, a.scenario, a.epoch, param)
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
//
// The order that let somebody in is not what they were let in for.
func convertQuery(d store.Dialect, byOrders bool) string {
	what := `o.placed_at, o.id AS order_id, o.total FROM enrolments AS x
          LEFT JOIN orders AS o ON o.ns = x.ns AND o.id = (
               SELECT c.id FROM orders AS c
                WHERE c.ns = x.ns AND c.customer_id = x.customer_id AND c.counted = 1
                  AND c.placed_at BETWEEN x.enrolled_at AND x.enrolled_at + $5
                  AND c.id IS DISTINCT FROM ` + d.JSONText("x.facts", 6) + `
                ORDER BY c.placed_at, c.id LIMIT 1)`
	if !byOrders {
		what = `o.placed_at, CAST(NULL AS TEXT) AS order_id, CAST(NULL AS BIGINT) AS total FROM enrolments AS x
          LEFT JOIN (SELECT v.ns, v.id, v.occurred_at AS placed_at FROM events AS v) AS o ON o.ns = x.ns AND o.id = (
               SELECT c.id FROM events AS c
                WHERE c.ns = x.ns AND c.customer_id = x.customer_id AND c.name = $6
                  AND c.occurred_at BETWEEN x.enrolled_at AND x.enrolled_at + $5
                ORDER BY c.occurred_at, c.id LIMIT 1)`
	}
	return `
UPDATE enrolments AS e
   SET converted_at = w.placed_at, order_id = w.order_id, revenue = w.total,
       until_at = CASE WHEN w.placed_at < e.due_at AND ` + waits + ` THEN COALESCE(e.until_at, e.due_at) ELSE e.until_at END,
       due_at = CASE WHEN w.placed_at < e.due_at AND ` + waits + ` THEN w.placed_at ELSE e.due_at END
  FROM (SELECT x.customer_id, x.entry, ` + what + `
         WHERE x.ns = $1 AND x.scenario = $2 AND x.epoch = $3 AND x.customer_id ` + d.AnyText(4) + `) AS w
 WHERE e.ns = $1 AND e.scenario = $2 AND e.epoch = $3 AND e.customer_id = w.customer_id AND e.entry = w.entry
   AND (e.converted_at IS DISTINCT FROM w.placed_at OR e.order_id IS DISTINCT FROM w.order_id
        OR e.revenue IS DISTINCT FROM w.total)`
}

const waits = "e.state = 'active' AND SUBSTR(e.step, 1, 1) <> '>'" // store.Waits

// touch, on messages, holds for those that a conversion x may be credited to. A call of a webhook touches nobody.
const touch = `%[1]s.state = 'sent' AND %[1]s.kind <> 'webhook' AND %[1]s.ended_at <= x.converted_at`

// creditQuery follows convertQuery. Two messages sent in the same millisecond are told apart by their
// ids, so that both stores, and every repetition, credit the same one.
func creditQuery(among, attribution string) string {
	others := `FROM messages AS l
                 WHERE l.ns = x.ns AND l.scenario = x.scenario AND l.epoch = x.epoch
                   AND l.customer_id = x.customer_id AND l.entry = x.entry AND ` + fmt.Sprintf(touch, "l")
	credited, share := `y.id = (SELECT l.id `+others+` ORDER BY l.ended_at DESC, l.id DESC LIMIT 1)`, `1000000`
	switch attribution {
	case crm.AttributionFirstTouch:
		credited = `y.id = (SELECT l.id ` + others + ` ORDER BY l.ended_at, l.id LIMIT 1)`
	case crm.AttributionLinear:
		credited, share = fmt.Sprintf(touch, "y"), `1000000 / (SELECT COUNT(*) `+others+`)`
	}
	return `
UPDATE messages AS m
   SET converted_at = w.converted_at, credit = w.credit
  FROM (SELECT y.id AS message,
               CASE WHEN ` + credited + ` THEN x.converted_at END AS converted_at,
               CASE WHEN ` + credited + ` THEN ` + share + ` END AS credit
          FROM enrolments AS x
          JOIN messages AS y ON y.ns = x.ns AND y.scenario = x.scenario AND y.epoch = x.epoch
                            AND y.customer_id = x.customer_id AND y.entry = x.entry
         WHERE x.ns = $1 AND x.scenario = $2 AND x.epoch = $3 AND x.customer_id ` + among + `) AS w
 WHERE m.id = w.message AND (m.converted_at IS DISTINCT FROM w.converted_at OR m.credit IS DISTINCT FROM w.credit)
 RETURNING id`
}

func (a *attribution) apply(ctx context.Context, customers []string) error {
	var changed int64
	err := a.st.Tx(ctx, func(tx *store.Tx) (err error) {
		changed, err = Convert(ctx, tx, a.ns, a.scenario, a.epoch, a.goal, customers)
		return err
	})
	a.changed += changed
	return err
}

// Convert works out all enrolments of these customers in a scenario's epoch anew, as Attribute does.
func Convert(ctx context.Context, tx *store.Tx, ns, scenario, epoch string, goal Goal, customers []string) (changed int64, err error) {
	among := tx.Dialect().AnyText(4)
	list := store.List(tx.Dialect(), customers)
	what := goal.Event
	if goal.ByOrders() {
		what = tx.Dialect().JSONKey("order_id")
	}
	converted, err := exec(ctx, tx, convertQuery(tx.Dialect(), goal.ByOrders()), ns, scenario, epoch, list, goal.Within.Milliseconds(), what)
	if err != nil {
		return 0, fmt.Errorf("work out conversions: %w", err)
	}
	credited, err := returned(ctx, tx, creditQuery(among, goal.Attribution), ns, scenario, epoch, list)
	if err != nil {
		return 0, fmt.Errorf("credit conversions to messages: %w", err)
	}
	return converted + int64(len(credited)), tx.SyncEngagements(ctx, ns, store.EngagementConverted, credited)
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
