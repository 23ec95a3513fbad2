// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The states of a shop's recommendations.
const (
	stateFirst    = "first"    // everybody is looked at for the first time
	statePairing  = "pairing"  // everybody was looked at, and their pairs are being counted
	stateReady    = "ready"    // who is touched is looked at
	stateAgain    = "again"    // everybody is looked at, since the feed does not tell any more who was touched
	stateDropping = "dropping" // nobody wants them, and the rows are being deleted
)

// cursor is how far a shop's orders are in the tables.
type cursor struct {
	ns, state string
	seq       int64
	after     string
}

// feed is how far a shop's feed is, and from where on it is complete.
type feed struct{ seq, completeFrom int64 }

// atOnce is how many customers a transaction counts. On SQLite nobody else writes meanwhile. Tests make it less.
var atOnce = 50

// unpairedAtOnce is how many times as many are counted together whose pairs are left out.
const unpairedAtOnce = 10

// step does the next piece of what there is to do for a shop, in one transaction, and tells whether there may be
// more. What it counts and how far that is are one: a crash repeats nothing, and of two processes one waits for the
// other and goes on from there.
func (k *Keeper) step(ctx context.Context, ns string) (more bool, err error) {
	err = k.Store.Tx(ctx, func(tx *store.Tx) (err error) {
		more, err = step(ctx, tx, ns, k.Clock.Now())
		return err
	})
	if err != nil {
		return false, fmt.Errorf("bring the recommendations of %s up to date: %w", ns, err)
	}
	return more, nil
}

func step(ctx context.Context, tx *store.Tx, ns string, now time.Time) (more bool, err error) {
	c, f, err := lockCursor(ctx, tx, ns, now)
	if err != nil {
		return false, err
	}
	switch {
	case c.state == stateDropping:
		return true, dropSome(ctx, tx, ns) // who wants them again begins anew
	case c.state == statePairing: // of what was counted, whatever happens meanwhile
		more, err = true, pairSome(ctx, tx, &c)
	case f.completeFrom > c.seq: // the difference between then and now is known to nobody
		c.seq, c.after = f.seq, ""
		if c.state == stateReady {
			c.state = stateAgain
		}
		more = true
	case c.state == stateReady:
		more, err = follow(ctx, tx, &c, f, now)
	default:
		more, err = true, walk(ctx, tx, &c, now)
	}
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `UPDATE recommendations SET state = $2, seq = $3, after = $4, seen_at = $5 WHERE ns = $1`,
		ns, c.state, c.seq, c.after, store.Millis(now))
	if err != nil {
		return false, fmt.Errorf("note how far the orders are counted: %w", err)
	}
	return more, nil
}

// lockCursor makes the row for a shop that has none: from here on the feed is kept for it.
func lockCursor(ctx context.Context, tx *store.Tx, ns string, now time.Time) (c cursor, f feed, err error) {
	_, err = tx.Exec(ctx, `INSERT INTO recommendations (ns, state, seq, after, seen_at)
		VALUES ($1, $2, COALESCE((SELECT seq FROM feeds WHERE ns = $1), 0), '', $3) ON CONFLICT (ns) DO NOTHING`, ns, stateFirst, store.Millis(now))
	if err != nil {
		return c, f, fmt.Errorf("begin to count orders: %w", err)
	}
	err = tx.QueryRow(ctx, `SELECT ns, state, seq, after FROM recommendations WHERE ns = $1`+tx.Dialect().ForUpdate(), ns).Scan(&c.ns, &c.state, &c.seq, &c.after)
	if err != nil {
		return c, f, fmt.Errorf("lock how far the orders are counted: %w", err)
	}
	f, err = readFeed(ctx, tx, ns)
	return c, f, err
}

func readFeed(ctx context.Context, q store.Querier, ns string) (f feed, err error) {
	err = q.QueryRow(ctx, `SELECT seq, complete_from FROM feeds WHERE ns = $1`, ns).Scan(&f.seq, &f.completeFrom)
	if err != nil && !store.IsNotFound(err) {
		return f, fmt.Errorf("read the feed: %w", err)
	}
	return f, nil
}

// walk counts the next customers of all.
func walk(ctx context.Context, tx *store.Tx, c *cursor, now time.Time) error {
	first, n := c.state == stateFirst, atOnce
	if first {
		n *= unpairedAtOnce
	}
	// Also of whom only the tables know, for all their orders may be somebody else's now.
	customers, err := store.Texts(ctx, tx, `SELECT customer_id FROM (SELECT DISTINCT customer_id FROM orders WHERE ns = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3) o
		UNION SELECT customer_id FROM (SELECT DISTINCT customer_id FROM bought WHERE ns = $1 AND customer_id > $2 ORDER BY customer_id LIMIT $3) b
		ORDER BY customer_id LIMIT $3`, c.ns, c.after, n)
	if err != nil {
		return fmt.Errorf("read the next customers: %w", err)
	}
	last := len(customers) < n
	if !last {
		c.after = customers[n-1]
	}
	if first {
		if err := recountUnpaired(ctx, tx, c.ns, customers, store.Millis(now)); err != nil || !last {
			return err
		}
		c.state, c.after = statePairing, ""
		return learnSizes(ctx, tx)
	}
	if last {
		c.state, c.after = stateReady, ""
	}
	return recount(ctx, tx, c.ns, customers, store.Millis(now))
}

// learnSizes lets PostgreSQL know how large the tables are by now, which were empty a moment ago: what it would plan for
// those reads all of them for each pair. SQLite keeps to the order in which a statement names them.
func learnSizes(ctx context.Context, tx *store.Tx) error {
	if tx.Dialect() != store.Postgres {
		return nil
	}
	if _, err := tx.Exec(ctx, `ANALYZE bought, product_sales`); err != nil {
		return fmt.Errorf("look at what was counted: %w", err)
	}
	return nil
}

// pairAtOnce is how many buyers of products, each with all that they bought, are read for a transaction.
const pairAtOnce = 40

// pairSome counts the pairs of the next products. Customer by customer, as afterwards, each pair would be written as
// often as it was bought; this writes it once, and all of them in the order of their keys.
func pairSome(ctx context.Context, tx *store.Tx, c *cursor) error {
	upTo, err := nextProducts(ctx, tx, c)
	if err != nil || upTo == "" {
		c.state, c.after = stateReady, ""
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO pairs (ns, product_id, other_id, customers)
		SELECT a.ns, a.product_id, b.product_id, COUNT(*) FROM bought a CROSS JOIN bought b
		WHERE a.ns = $1 AND a.product_id > $2 AND a.product_id <= $3 AND a.paired = 1
			AND b.ns = $1 AND b.customer_id = a.customer_id AND b.paired = 1 AND b.product_id <> a.product_id
		GROUP BY a.ns, a.product_id, b.product_id ORDER BY a.product_id, b.product_id`, c.ns, c.after, upTo)
	if err != nil {
		return fmt.Errorf("count pairs: %w", err)
	}
	c.after = upTo
	return nil
}

// nextProducts is the last of the next products that together have some buyers, or one that has more.
func nextProducts(ctx context.Context, tx *store.Tx, c *cursor) (upTo string, err error) {
	buyers := int64(0)
	err = store.Each(ctx, tx, func(rows *sql.Rows) error {
		var product string
		var n int64
		if err := rows.Scan(&product, &n); err != nil {
			return err
		}
		if buyers += n; buyers <= pairAtOnce*int64(atOnce) || upTo == "" {
			upTo = product
		}
		return nil
	}, `SELECT product_id, buyers FROM product_sales WHERE ns = $1 AND product_id > $2 ORDER BY product_id LIMIT $3`, c.ns, c.after, atOnce)
	if err != nil {
		return "", fmt.Errorf("read the next products: %w", err)
	}
	return upTo, nil
}

// follow counts the next customers that the feed tells of.
func follow(ctx context.Context, tx *store.Tx, c *cursor, f feed, now time.Time) (more bool, err error) {
	seq, id, found := int64(0), "", 0
	var customers []string
	seen := map[string]bool{}
	err = store.Each(ctx, tx, func(rows *sql.Rows) error {
		found++
		if err := rows.Scan(&seq, &id); err != nil {
			return err
		}
		if !seen[id] {
			seen[id] = true
			customers = append(customers, id)
		}
		return nil
	}, `SELECT seq, customer_id FROM touched WHERE ns = $1 AND seq > $2 AND seq <= $3 AND (seq > $2 + 1 OR customer_id > $4)
		AND (kinds & $5) <> 0 ORDER BY seq, customer_id LIMIT $6`, c.ns, c.seq, f.seq, c.after, int64(store.TouchedOrders), atOnce)
	if err != nil {
		return false, fmt.Errorf("read who was touched: %w", err)
	}
	// What was read may have been deleted while it was: then the feed says so by now.
	if now, err := readFeed(ctx, tx, c.ns); err != nil || now.completeFrom > c.seq {
		return true, err
	}
	if more = found == atOnce; more {
		c.seq, c.after = seq-1, id // of a large import, one number has more than fit
	} else {
		c.seq, c.after = f.seq, ""
	}
	return more, recount(ctx, tx, c.ns, customers, store.Millis(now))
}

// dropAtOnce is how many rows are deleted together, about.
const dropAtOnce = 5000

// dropSome deletes some of a shop's rows, and in the end its row of recommendations, which has kept others from
// beginning anew with half of them.
func dropSome(ctx context.Context, tx *store.Tx, ns string) error {
	for _, statement := range []string{
		`DELETE FROM bought WHERE ns = $1 AND customer_id IN (SELECT customer_id FROM bought WHERE ns = $1 ORDER BY customer_id LIMIT $2)`,
		`DELETE FROM pairs WHERE ns = $1 AND product_id IN (SELECT product_id FROM pairs WHERE ns = $1 ORDER BY product_id LIMIT $2)`,
		`DELETE FROM product_sales WHERE ns = $1 AND product_id IN (SELECT product_id FROM product_sales WHERE ns = $1 ORDER BY product_id LIMIT $2)`,
	} {
		result, err := tx.Exec(ctx, statement, ns, dropAtOnce)
		if err != nil {
			return fmt.Errorf("delete what nobody wants: %w", err)
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM recommendations WHERE ns = $1`, ns); err != nil {
		return fmt.Errorf("delete how far the orders are counted: %w", err)
	}
	return nil
}
