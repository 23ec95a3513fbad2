// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// reading is facts about the candidates that their matches ask for.
type reading struct {
	facts facts
	// name and id are what the facts are asked for by, as in a slice.
	name, id string
	// window is how far back they are asked for; negative for all.
	window time.Duration
}

// key is what is read, however far back.
func (r reading) key() reading {
	r.window = 0
	return r
}

// before tells whether a reading goes further back.
func (r reading) before(other reading) bool {
	return r.window < 0 && other.window >= 0 || other.window >= 0 && r.window > other.window
}

// whom chooses candidates by why they are looked at.
type whom struct{ kinds, moved int64 }

// condition is about rows of a table that says why.
func (w whom) condition(table string) string {
	return fmt.Sprintf("((%[1]s.kinds & %[2]d) <> 0 OR (%[1]s.moved & %[3]d) <> 0)", table, w.kinds, w.moved)
}

func (w whom) or(other whom) whom { return whom{w.kinds | other.kinds, w.moved | other.moved} }

// theirs are tables with what is known of the candidates. All segments of a round ask these: whoever
// is looked at is looked up once, and not once a segment, among the facts of all others.
var theirs = map[facts]struct {
	table, columns string
	// from is the rows of the candidates b, whose namespace is $1 and whose batch is $2.
	from string
	// time is what the window is about, and named the columns that the name and the id are.
	time  string
	named []string
	// index is that by customer, where the rows of a customer are not side by side.
	index string
}{
	factOrders: {
		"orders", "customer_id, id, placed_at, total, status, source, counted",
		"JOIN orders x ON x.ns = $1 AND x.customer_id = b.customer_id", "x.placed_at", nil, "orders_customer",
	},
	factItems: {"order_items", "order_id, category, product_id", fromItems, "t.placed_at", nil, ""},
	// No more than the index by category has.
	factItemsOfCategory: {"order_items", "order_id, category", fromItems, "t.placed_at", []string{"category"}, ""},
	factItemsOfProduct:  {"order_items", "order_id, category, product_id", fromItems, "t.placed_at", []string{"product_id"}, ""},
	factEvents: {
		"events", "customer_id, name, occurred_at, properties",
		"JOIN events x ON x.ns = $1 AND x.customer_id = b.customer_id", "x.occurred_at", []string{"name"}, "events_customer",
	},
	factSubscriptions: {
		"subscriptions", "customer_id, plan, status, cancelled_at, next_delivery_at",
		"JOIN subscriptions x ON x.ns = $1 AND x.customer_id = b.customer_id", "", nil, "subscriptions_customer",
	},
	factEngagements: {
		"engagements", "customer_id, kind, at, scenario, channel",
		"JOIN engagements x ON x.ns = $1 AND x.customer_id = b.customer_id", "x.at", []string{"kind"}, "engagements_customer",
	},
	factFavourites: {
		"favourites", "customer_id, product_id, category, added_at",
		"JOIN favourites x ON x.ns = $1 AND x.customer_id = b.customer_id", "", nil, "",
	},
	factPredictions: {
		"replenishments", "customer_id, scope, id, due_at",
		"JOIN replenishments x ON x.ns = $1 AND x.customer_id = b.customer_id", "", []string{"scope", "id"}, "",
	},
}

// fromItems finds items by their orders. One may be read in several ways, and be there more than once.
const fromItems = "JOIN their_orders t ON t.customer_id = b.customer_id JOIN order_items x ON x.ns = $1 AND x.order_id = t.id"

// theirTables has a word for each type that the stores call otherwise.
const theirTables = `CREATE TEMP TABLE IF NOT EXISTS their_orders (customer_id ${ID}, id ${ID}, placed_at BIGINT, total BIGINT, status ${ID}, source ${ID}, counted SMALLINT)${END};
CREATE INDEX IF NOT EXISTS ${TEMP}their_orders_customer ON their_orders (customer_id, placed_at);
CREATE TEMP TABLE IF NOT EXISTS their_order_items (order_id ${ID}, category ${ID}, product_id ${ID})${END};
CREATE TEMP TABLE IF NOT EXISTS their_events (customer_id ${ID}, name ${ID}, occurred_at BIGINT, properties ${JSON})${END};
CREATE INDEX IF NOT EXISTS ${TEMP}their_events_customer ON their_events (customer_id, name, occurred_at);
CREATE TEMP TABLE IF NOT EXISTS their_subscriptions (customer_id ${ID}, plan ${ID}, status ${ID}, cancelled_at BIGINT, next_delivery_at BIGINT)${END};
CREATE TEMP TABLE IF NOT EXISTS their_engagements (customer_id ${ID}, kind ${ID}, at BIGINT, scenario ${ID}, channel ${ID})${END};
CREATE TEMP TABLE IF NOT EXISTS their_favourites (customer_id ${ID}, product_id ${ID}, category ${ID}, added_at BIGINT)${END};
CREATE TEMP TABLE IF NOT EXISTS their_replenishments (customer_id ${ID}, scope ${ID}, id ${ID}, due_at BIGINT)${END};
`

// asked is a reading for the candidates of the plans that ask for it.
type asked struct {
	reading
	whom
	// without are those for whom it was read further back already.
	without whom
}

// readingsOf joins what plans ask for, so that nothing is read twice of a candidate: what goes further
// back comes first, and the others are for those for whom it was not read.
func readingsOf(plans []*plan) []asked {
	by := map[reading]whom{}
	for _, p := range plans {
		for _, r := range p.query.reads {
			by[r] = by[r].or(whom{int64(p.query.kinds), p.moved})
		}
	}
	out := make([]asked, 0, len(by))
	for r, w := range by {
		out = append(out, asked{reading: r, whom: w})
	}
	slices.SortFunc(out, func(a, b asked) int {
		switch {
		case a.before(b.reading):
			return -1
		case b.before(a.reading):
			return 1
		}
		return cmp.Or(cmp.Compare(a.facts, b.facts), cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	})
	done := map[reading]whom{}
	for i := range out {
		out[i].without = done[out[i].key()]
		done[out[i].key()] = out[i].without.or(out[i].whom)
	}
	return out
}

// attributesOf is the candidates whose attributes are asked for.
func attributesOf(readings []asked) (w whom) {
	for _, r := range readings {
		if r.facts == factAttributes {
			w = w.or(r.whom)
		}
	}
	return w
}

// unread are the readings that failed: the segments that ask for them cannot be refreshed.
type unread map[reading]error

// of is the error of one of the readings of a query.
func (u unread) of(q *Query) error {
	for _, r := range q.reads {
		if err := u[r.key()]; err != nil {
			return err
		}
	}
	return nil
}

// readTheirs reads what else than attributes is asked of the candidates of a batch.
func readTheirs(ctx context.Context, tx *store.Tx, ns string, batch int, readings []asked, now time.Time, failed unread) error {
	// Items are found by their orders.
	for _, items := range []bool{false, true} {
		for _, r := range readings {
			of, known := theirs[r.facts]
			if !known || (of.from == fromItems) != items {
				continue
			}
			from := of.from
			if tx.Dialect() == store.SQLite {
				// It does not know how few they are, and would read all there is in the window, or even all there
				// is for each of them.
				from = strings.ReplaceAll(from, "JOIN", "CROSS JOIN")
				if of.index != "" {
					from = strings.Replace(from, " x ON ", " x INDEXED BY "+of.index+" ON ", 1)
				}
			}
			query := fmt.Sprintf("INSERT INTO their_%s (%s) SELECT x.%s FROM candidates b %s WHERE b.batch = $2 AND %s", of.table, of.columns,
				strings.ReplaceAll(of.columns, ", ", ", x."), from, r.condition("b"))
			if r.without != (whom{}) {
				query += " AND NOT " + r.without.condition("b")
			}
			args := []any{ns, batch}
			for i, column := range of.named {
				args = append(args, []string{r.name, r.id}[i])
				query += fmt.Sprintf(" AND x.%s = $%d", column, len(args))
			}
			if of.time != "" && r.window >= 0 {
				args = append(args, store.Millis(now.Add(-r.window)))
				query += fmt.Sprintf(" AND %s > $%d", of.time, len(args))
			}
			if err := tx.Savepoint(ctx, func() error {
				_, err := tx.Exec(ctx, query, args...)
				return err
			}); err != nil {
				failed[r.key()] = fmt.Errorf("read %s: %w", of.table, store.WithoutData(err))
			}
		}
	}
	return nil
}

// forgetDiffering drops those candidates who came into a segment or left it, to be read again for
// whoever asks for them now.
func forgetDiffering(ctx context.Context, tx *store.Tx) error {
	const who = `customer_id IN (SELECT customer_id FROM differing WHERE ` + cameOrLeft + `)`
	for _, statement := range []string{
		`DELETE FROM their_order_items WHERE order_id IN (SELECT id FROM their_orders WHERE ` + who + `)`,
		`DELETE FROM their_orders WHERE ` + who, `DELETE FROM their_events WHERE ` + who, `DELETE FROM their_subscriptions WHERE ` + who,
		`DELETE FROM their_engagements WHERE ` + who, `DELETE FROM their_favourites WHERE ` + who, `DELETE FROM their_replenishments WHERE ` + who,
		`DELETE FROM candidates WHERE ` + who,
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return fmt.Errorf("look again at who came and left: %w", err)
		}
	}
	return nil
}
