// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The tables that a refresh works in belong to its connection, and are empty when it begins.
//
// looked_at is whom to look at and why: things learnt of some kinds, or a fact that got to a certain
// age or a threshold that moved (bits of moved). They are read in batches: those who come into a segment
// or leave it are read again for whoever asks for that. candidates is who they are. differing is who comes
// into a segment (no had), who leaves (no reach), and whose reach is another. recounted is whose place in
// a ranking may be another.
const workTables = `CREATE TEMP TABLE IF NOT EXISTS looked_at (customer_id ${ID} PRIMARY KEY, batch BIGINT NOT NULL DEFAULT 0, kinds BIGINT NOT NULL, moved BIGINT NOT NULL)${END};
CREATE TEMP TABLE IF NOT EXISTS candidates (customer_id ${ID} PRIMARY KEY, batch BIGINT NOT NULL, kinds BIGINT NOT NULL, moved BIGINT NOT NULL, known SMALLINT NOT NULL,
	memberships ${JSON}, reach SMALLINT NOT NULL, email TEXT, phone TEXT, line_user_id TEXT, attributes ${JSON},
	orders BIGINT, spend BIGINT, first_order_at BIGINT, last_order_at BIGINT, previous_order_at BIGINT)${END};
CREATE TEMP TABLE IF NOT EXISTS recounted (customer_id ${ID} PRIMARY KEY, had BIGINT, amount BIGINT)${END};
CREATE TEMP TABLE IF NOT EXISTS differing (customer_id ${ID} PRIMARY KEY, had SMALLINT, reach SMALLINT)${END};
`

var (
	postgresTables = strings.NewReplacer("${ID}", `TEXT COLLATE "C"`, "${JSON}", "JSONB", "${END}", " ON COMMIT DELETE ROWS", "${TEMP}", "").Replace(workTables + theirTables)
	sqliteTables   = strings.NewReplacer("${ID}", "TEXT", "${JSON}", "TEXT", "${END}", "", "${TEMP}", "temp.").Replace(workTables+theirTables) +
		`DELETE FROM temp.looked_at; DELETE FROM temp.candidates; DELETE FROM temp.differing; DELETE FROM temp.recounted;
DELETE FROM temp.their_orders; DELETE FROM temp.their_order_items; DELETE FROM temp.their_events; DELETE FROM temp.their_subscriptions;
DELETE FROM temp.their_engagements; DELETE FROM temp.their_favourites; DELETE FROM temp.their_replenishments`
)

// plannerSettings are PostgreSQL's for a refresh. Compiling a plan to machine code takes longer than
// these statements; a plan for whatever time and amounts come is not one for those there are; a set
// of customers that does not fit is looked up one by one; and few rows of what was read say enough of it.
const plannerSettings = `SELECT set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),
	set_config('work_mem', '64MB', true), set_config('client_min_messages', 'warning', true),
	set_config('default_statistics_target', '10', true);
`

// analyzeTheirs gathers statistics of the columns that are joined and compared.
const analyzeTheirs = `ANALYZE candidates (customer_id, reach), their_orders (customer_id, id, placed_at, source),
	their_order_items (order_id, product_id, category), their_events (customer_id, name, occurred_at), their_subscriptions (customer_id, status),
	their_engagements (customer_id, kind), their_favourites (customer_id), their_replenishments (customer_id)`

func (r *Refresher) setUp(ctx context.Context, tx *store.Tx) error {
	// Statements without arguments may be many in one.
	statements := sqliteTables
	if tx.Dialect() == store.Postgres {
		// A limit of PostgreSQL's own: were the context to end, so would the whole transaction.
		timeout := r.Timeout
		if timeout == 0 {
			timeout = defaultTimeout
		}
		statements = plannerSettings + fmt.Sprintf("SET LOCAL statement_timeout = %d;\n", timeout.Milliseconds()) + postgresTables
	}
	if _, err := tx.Exec(ctx, statements); err != nil {
		return fmt.Errorf("make room to work in: %w", err)
	}
	return nil
}

// lookAt gathers whom the plans must look at, and what is known of them.
func lookAt(ctx context.Context, tx *store.Tx, ns string, plans []*plan, now time.Time, cuts Thresholds, failed unread) error {
	if err := lookAtTouched(ctx, tx, ns, plans); err != nil {
		return fmt.Errorf("gather who was touched: %w", err)
	}
	reasons := &reasons{bits: map[any]int64{}}
	for _, p := range plans {
		for _, slice := range p.query.slices {
			p.moved |= reasons.moved(slice, p.state.RefreshedAt)
		}
		for _, cut := range p.query.cuts {
			if old := p.state.cuts[cut]; old != cuts[cut] {
				c := crossing{Cut: cut, from: old.Int64, to: cuts[cut].Int64}
				if p.query.metricsOnly {
					c.of = p
				}
				p.moved |= reasons.crossed(c)
			}
		}
	}
	if err := reasons.lookAt(ctx, tx, ns, now, cuts); err != nil {
		return err
	}
	return know(ctx, tx, ns, 0, readingsOf(plans), now, failed)
}

// know makes candidates of a batch of those in looked_at, and reads what is known of them.
func know(ctx context.Context, tx *store.Tx, ns string, batch int, readings []asked, now time.Time, failed unread) error {
	// Few are looked up among very many, whatever the planner believes of tables that were just filled.
	if err := lookUp(ctx, tx, true); err != nil {
		return err
	}
	// Attributes are most of what there is to copy, and few ask for them.
	attributes := attributesOf(readings).condition("l")
	_, err := tx.Exec(ctx, `INSERT INTO candidates (customer_id, batch, kinds, moved, known, memberships, reach, email, phone, line_user_id, attributes,
			orders, spend, first_order_at, last_order_at, previous_order_at)
		SELECT l.customer_id, l.batch, l.kinds, l.moved, CASE WHEN c.id IS NULL THEN 0 ELSE 1 END,
			(SELECT `+tx.Dialect().JSONObject("h.segment", "h.reach")+` FROM memberships h WHERE h.ns = $1 AND h.customer_id = l.customer_id), COALESCE(c.reach, 0),
			c.email, c.phone, c.line_user_id, CASE WHEN `+attributes+` THEN c.attributes END,
			m.orders, m.spend, m.first_order_at, m.last_order_at, m.previous_order_at
		FROM looked_at l
		LEFT JOIN customers c ON c.ns = $1 AND c.id = l.customer_id
		LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = l.customer_id
		WHERE l.batch = $2`, ns, batch)
	if err != nil {
		return fmt.Errorf("read the candidates: %w", err)
	}
	if err := readTheirs(ctx, tx, ns, batch, readings, now, failed); err != nil {
		return err
	}
	if tx.Dialect() == store.Postgres && batch == 0 {
		// What the planner believes of them otherwise is what they never are: many rows of few customers.
		if _, err := tx.Exec(ctx, analyzeTheirs); err != nil {
			return fmt.Errorf("count what is known of the candidates: %w", err)
		}
	}
	return lookUp(ctx, tx, false)
}

// lookUp makes PostgreSQL look rows up one by one, or lets it choose again.
func lookUp(ctx context.Context, tx *store.Tx, one bool) error {
	if tx.Dialect() != store.Postgres {
		return nil
	}
	join := map[bool]string{true: "off", false: "on"}[one]
	if _, err := tx.Exec(ctx, `SELECT set_config('enable_hashjoin', $1, true), set_config('enable_mergejoin', $1, true)`, join); err != nil {
		return fmt.Errorf("set up the planner: %w", err)
	}
	return nil
}

func lookAtTouched(ctx context.Context, tx *store.Tx, ns string, plans []*plan) error {
	var kinds store.Touched
	from := plans[0].state.seq
	for _, p := range plans {
		kinds |= p.query.kinds
		from = min(from, p.state.seq)
	}
	query := `INSERT INTO looked_at (customer_id, kinds, moved)
		SELECT customer_id, BIT_OR(kinds), 0 FROM touched WHERE ns = $1 AND seq > $2 AND (kinds & $3) <> 0 GROUP BY customer_id`
	if tx.Dialect() == store.SQLite {
		query = `INSERT INTO looked_at (customer_id, kinds, moved)
		SELECT customer_id, kinds, 0 FROM touched WHERE ns = $1 AND seq > $2 AND (kinds & $3) <> 0
		ON CONFLICT (customer_id) DO UPDATE SET kinds = looked_at.kinds | excluded.kinds`
	}
	_, err := tx.Exec(ctx, query, ns, from, int64(kinds))
	return err
}

// reasons give each kind of reason a bit. Where there are more than bits, some share one, and who is
// looked at for one reason is looked at for the other too.
type reasons struct {
	bits     map[any]int64
	slices   []movedSlice
	crossing []crossing
}

type movedSlice struct {
	slice
	since time.Time
}

// crossing is the values that a threshold has passed, and of is the plan that it is looked at for, where
// the plan's own metrics tell for whom that makes a difference.
type crossing struct {
	Cut
	from, to int64
	of       *plan
}

// customers selects those whose value lies there.
func (c crossing) customers(now time.Time, cuts Thresholds) (query string, args []any) {
	args = []any{min(c.from, c.to), max(c.from, c.to)}
	if c.of != nil {
		return c.differing(args, now, cuts)
	}
	if kept(c.Measure) {
		return "SELECT a.customer_id FROM ranked a WHERE a.ns = $1 AND a.amount BETWEEN $2 AND $3 AND a.ranking = $4", append(args, c.Measure)
	}
	return fmt.Sprintf("SELECT m.customer_id FROM metrics m WHERE m.ns = $1 AND m.orders > 0 AND %s BETWEEN $2 AND $3", c.column("m")), args
}

// differing selects, of those with a value there, those of whom the match holds under the thresholds of
// before or under those of now, and not under both. Whoever else changed has another reason to be
// looked at.
func (c crossing) differing(between []any, now time.Time, cuts Thresholds) (query string, args []any) {
	q := c.of.query
	args = append(args, between...)
	matches := func(cuts Thresholds) string {
		// All but the namespace have other places here.
		shift := len(args)
		args = append(args, valuesOf(q.eachArgs, now, cuts)[1:]...)
		return "(" + placeholders.ReplaceAllStringFunc(q.each, func(p string) string {
			if n, _ := strconv.Atoi(p[1:]); n > 1 {
				return fmt.Sprintf("$%d", n+shift)
			}
			return p
		}) + ") IS TRUE"
	}
	return fmt.Sprintf("SELECT b.customer_id FROM metrics b WHERE b.ns = $1 AND b.orders > 0 AND %s BETWEEN $2 AND $3 AND (%s) <> (%s)",
		c.column("b"), matches(c.of.state.cuts), matches(cuts)), args
}

var placeholders = regexp.MustCompile(`\$[0-9]+`)

func (r *reasons) bit(of any) int64 {
	bit, known := r.bits[of]
	if !known {
		bit = 1 << (len(r.bits) % 62)
		r.bits[of] = bit
	}
	return bit
}

func (r *reasons) moved(s slice, since time.Time) int64 {
	if _, known := r.bits[s]; !known {
		r.slices = append(r.slices, movedSlice{s, since})
	}
	for i := range r.slices {
		if r.slices[i].slice == s && since.Before(r.slices[i].since) {
			r.slices[i].since = since
		}
	}
	return r.bit(s)
}

func (r *reasons) crossed(c crossing) int64 {
	if _, known := r.bits[c]; !known {
		r.crossing = append(r.crossing, c)
	}
	return r.bit(c)
}

func (r *reasons) lookAt(ctx context.Context, tx *store.Tx, ns string, now time.Time, cuts Thresholds) error {
	add := func(customers string, bit int64, args ...any) error {
		// The bit is a number of ours.
		_, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO looked_at (customer_id, kinds, moved) SELECT y.customer_id, 0, %d FROM (%s) y GROUP BY y.customer_id
			ON CONFLICT (customer_id) DO UPDATE SET moved = looked_at.moved | excluded.moved`, bit, customers), append([]any{ns}, args...)...)
		return err
	}
	for _, s := range r.slices {
		customers, args := s.customers(s.since, now)
		if err := add(customers, r.bits[s.slice], args...); err != nil {
			return fmt.Errorf("gather for whom time has passed: %w", err)
		}
	}
	for _, c := range r.crossing {
		customers, args := c.customers(now, cuts)
		if err := add(customers, r.bits[c], args...); err != nil {
			return fmt.Errorf("gather whom a threshold has passed: %w", err)
		}
	}
	return nil
}

// crowd is how many candidates there are for the same reasons.
type crowd struct{ kinds, moved, size int64 }

func crowds(ctx context.Context, tx *store.Tx) (_ []crowd, err error) {
	rows, err := tx.Query(ctx, `SELECT kinds, moved, COUNT(*) FROM candidates GROUP BY kinds, moved`)
	if err != nil {
		return nil, fmt.Errorf("count the candidates: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []crowd
	for rows.Next() {
		var c crowd
		if err := rows.Scan(&c.kinds, &c.moved, &c.size); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}
