// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// threshold is a cut with what keeps it while orders come in: how many buyers have a better value,
// and how many this one.
type threshold struct {
	Cut
	value                sql.NullInt64
	better, same, buyers int64
	// seq is that of the feed: what was touched up to here is counted.
	seq int64
}

// keepThresholds brings the cuts of a shop up to date with the orders since they were last looked at,
// makes those that are not there yet, and gives the values of all that are asked for. It costs what
// was touched, and the ranks that a cut moved by.
func keepThresholds(ctx context.Context, tx *store.Tx, ns string, cuts []Cut) (Thresholds, error) {
	values := Thresholds{}
	if len(cuts) == 0 {
		return values, nil
	}
	stored, err := readThresholds(ctx, tx, ns)
	if err != nil {
		return nil, fmt.Errorf("read thresholds: %w", err)
	}
	var complete int64
	if err := tx.QueryRow(ctx, `SELECT COALESCE((SELECT complete_from FROM feeds WHERE ns = $1), 0)`, ns).Scan(&complete); err != nil {
		return nil, fmt.Errorf("read the feed: %w", err)
	}
	together := map[int64][]*threshold{} // those that were looked at at the same time
	for _, cut := range cuts {
		t := stored[cut]
		if t == nil || t.seq < complete || !t.value.Valid {
			if t, err = computeThreshold(ctx, tx, ns, cut); err != nil {
				return nil, fmt.Errorf("compute the threshold of %s: %w", cut.Measure, err)
			}
			stored[cut] = t
			continue
		}
		together[t.seq] = append(together[t.seq], t)
	}
	for _, group := range together {
		if err := followOrders(ctx, tx, ns, group); err != nil {
			return nil, fmt.Errorf("keep thresholds: %w", err)
		}
	}
	for _, cut := range cuts {
		t := stored[cut]
		if err := t.settle(ctx, tx, ns); err != nil {
			return nil, fmt.Errorf("move the threshold of %s: %w", cut.Measure, err)
		}
		values[cut] = t.value
	}
	return values, nil
}

// readThresholds locks them: two that keep the same at once would count orders twice.
func readThresholds(ctx context.Context, tx *store.Tx, ns string) (_ map[Cut]*threshold, err error) {
	rows, err := tx.Query(ctx, `SELECT measure, best, share, value, better, same, buyers, seq FROM cuts WHERE ns = $1
		ORDER BY measure, best, share`+tx.Dialect().ForUpdate(), ns)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[Cut]*threshold{}
	for rows.Next() {
		var t threshold
		var best string
		if err := rows.Scan(&t.Measure, &best, &t.Share, &t.value, &t.better, &t.same, &t.buyers, &t.seq); err != nil {
			return nil, err
		}
		t.Low = best == Cut{Low: true}.best()
		out[t.Cut] = &t
	}
	return out, rows.Err()
}

// computeThreshold looks at all who have bought, in one statement, and so at one moment.
func computeThreshold(ctx context.Context, tx *store.Tx, ns string, cut Cut) (*threshold, error) {
	t := &threshold{Cut: cut}
	order, better := "DESC", ">"
	if cut.Low {
		order, better = "ASC", "<"
	}
	x := cut.column("m")
	const buyers = `metrics m WHERE m.ns = $1 AND m.orders > 0`
	err := tx.QueryRow(ctx, fmt.Sprintf(`WITH n AS MATERIALIZED (SELECT COUNT(*) AS buyers FROM %[1]s),
		cut AS MATERIALIZED (SELECT (SELECT %[2]s FROM %[1]s ORDER BY %[2]s %[3]s LIMIT 1 OFFSET (SELECT ($2 * buyers - 1) / %[5]d FROM n)) AS value)
		SELECT COALESCE((SELECT seq FROM feeds WHERE ns = $1), 0), n.buyers, cut.value,
			(SELECT COUNT(*) FROM %[1]s AND %[2]s %[4]s cut.value), (SELECT COUNT(*) FROM %[1]s AND %[2]s = cut.value)
		FROM n, cut`, buyers, x, order, better, wholeShare), ns, cut.Share).Scan(&t.seq, &t.buyers, &t.value, &t.better, &t.same)
	return t, err
}

// followOrders adds to the counts what those who were touched have now, and takes away what they had
// when the thresholds were last looked at. It is one statement, which sees the metrics and the feed
// at the same moment. All thresholds have the same seq.
func followOrders(ctx context.Context, tx *store.Tx, ns string, group []*threshold) error {
	args := []any{ns, group[0].seq, int64(store.TouchedOrders)}
	sums := []string{`COALESCE(SUM(CASE WHEN m.orders > 0 THEN 1 ELSE 0 END) - SUM(CASE WHEN f.orders_before > 0 THEN 1 ELSE 0 END), 0)`}
	for _, t := range group {
		args = append(args, t.value.Int64)
		value := fmt.Sprintf("$%d", len(args))
		better := " > "
		if t.Low {
			better = " < "
		}
		before := strings.NewReplacer("m.orders", "f.orders_before", "m.spend", "f.spend_before", "m.last_order_at", "f.last_before")
		for _, compare := range []string{better, " = "} {
			now := "SUM(CASE WHEN m.orders > 0 AND " + t.column("m") + compare + value + " THEN 1 ELSE 0 END)"
			sums = append(sums, "COALESCE("+now+" - "+before.Replace(now)+", 0)")
		}
	}
	var buyers int64
	seq := group[0].seq
	into := []any{&seq, &buyers}
	changes := make([]struct{ better, same int64 }, len(group))
	for i := range changes {
		into = append(into, &changes[i].better, &changes[i].same)
	}
	err := tx.QueryRow(ctx, `SELECT COALESCE((SELECT seq FROM feeds WHERE ns = $1), 0), `+strings.Join(sums, ",\n\t")+`
		FROM (SELECT customer_id, MIN(seq) AS first FROM touched WHERE ns = $1 AND seq > $2 AND (kinds & $3) <> 0 GROUP BY customer_id) t
		JOIN touched f ON f.ns = $1 AND f.seq = t.first AND f.customer_id = t.customer_id
		LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = t.customer_id`, args...).Scan(into...)
	if err != nil {
		return err
	}
	for i, t := range group {
		t.seq, t.buyers = seq, t.buyers+buyers
		t.better, t.same = t.better+changes[i].better, t.same+changes[i].same
	}
	return nil
}

// settle moves a threshold to where the share now ends, rank by rank, and writes it.
func (t *threshold) settle(ctx context.Context, tx *store.Tx, ns string) error {
	if t.buyers == 0 {
		t.value, t.better, t.same = sql.NullInt64{}, 0, 0
	}
	// Within is who has fewer than the share of the buyers before them.
	within := func(before int64) bool { return before*wholeShare < t.Share*t.buyers }
	for limit := 1; t.buyers > 0 && !within(t.better); limit = t.more(limit) {
		if err := t.step(ctx, tx, ns, limit, true, func() bool { return !within(t.better) }); err != nil {
			return err
		}
	}
	for limit := 1; t.buyers > 0 && t.better+t.same < t.buyers && within(t.better+t.same); limit = t.more(limit) {
		if err := t.step(ctx, tx, ns, limit, false, func() bool { return within(t.better + t.same) }); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO cuts (ns, measure, best, share, value, better, same, buyers, seq) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (ns, measure, best, share) DO UPDATE SET value = excluded.value, better = excluded.better, same = excluded.same,
			buyers = excluded.buyers, seq = excluded.seq`, ns, t.Measure, t.best(), t.Share, t.value, t.better, t.same, t.buyers, t.seq)
	return err
}

// errRanks is a threshold whose counts do not fit the metrics, which would be a defect.
var errRanks = errors.New("its ranks do not fit the metrics: run kaeru metrics rebuild")

// step goes to the next values, better or worse, as long as the threshold must move that way.
func (t *threshold) step(ctx context.Context, tx *store.Tx, ns string, limit int, towardsBetter bool, further func() bool) (err error) {
	compare, order := ">", "ASC"
	if towardsBetter == t.Low {
		compare, order = "<", "DESC"
	}
	x := t.column("m")
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT %[1]s, COUNT(*) FROM metrics m WHERE m.ns = $1 AND m.orders > 0 AND %[1]s %[2]s $2
		GROUP BY %[1]s ORDER BY %[1]s %[3]s LIMIT %[4]d`, x, compare, order, limit), ns, t.value.Int64)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	moved := false
	for further() && rows.Next() {
		var value, n int64
		if err := rows.Scan(&value, &n); err != nil {
			return err
		}
		if towardsBetter {
			t.better -= n
		} else {
			t.better += t.same
		}
		t.value, t.same, moved = sql.NullInt64{Int64: value, Valid: true}, n, true
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if !moved {
		return errRanks
	}
	return nil
}

// more is how many values the next step reads. Of numbers of orders there are few, each with many
// customers; of moments there are as many as customers.
func (t *threshold) more(limit int) int {
	if t.Measure == measureOrders {
		return 1
	}
	return min(4*limit, 1024)
}

// Thresholds brings cuts up to date and gives their values.
func (r *Refresher) Thresholds(ctx context.Context, ns string, cuts []Cut) (values Thresholds, err error) {
	err = r.Store.Tx(ctx, func(tx *store.Tx) error {
		values, err = keepThresholds(ctx, tx, ns, cuts)
		return err
	})
	return values, err
}
