// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// ReasonCouponsExhausted is of messages that need a coupon of a pool that has none left.
const ReasonCouponsExhausted = "CouponsExhausted"

// entryKey is one entry of a customer.
type entryKey struct{ customer, entry string }

// coupon is one that was given to an entry.
type coupon struct {
	code, pool string
	until      time.Time // zero for ever
}

// facts are what conditions and templates see of a coupon.
func (c coupon) facts() map[string]any {
	facts := map[string]any{"code": c.code, "pool": c.pool}
	if !c.until.IsZero() {
		facts["expires_at"] = c.until
	}
	return facts
}

// data are its facts, and nil where there is none: a template that reads one then has no value.
func (c coupon) data() map[string]any {
	if c.code == "" {
		return nil
	}
	return c.facts()
}

// couponsOf reads the coupons that entries of customers have.
func couponsOf(ctx context.Context, tx *store.Tx, p planning, customers []string) (_ map[entryKey]coupon, err error) {
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT customer_id, entry, code, pool, valid_until FROM coupons
WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND customer_id `+d.AnyText(4), p.ref.Namespace, p.ref.Name, p.epoch, store.List(d, customers))
	if err != nil {
		return nil, fmt.Errorf("reading coupons: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[entryKey]coupon{}
	for rows.Next() {
		var k entryKey
		var c coupon
		var until sql.NullInt64
		if err := rows.Scan(&k.customer, &k.entry, &c.code, &c.pool, &until); err != nil {
			return nil, fmt.Errorf("reading coupons: %w", err)
		}
		c.until = store.NullTime(until)
		out[k] = c
	}
	return out, rows.Err()
}

// giveCoupons gives each entry that is about to get its first message with a coupon one of its own. The
// messages of those for whom none is left are skipped: none goes out with an empty code.
func (b *batch) giveCoupons(ctx context.Context, tx *store.Tx) error {
	spec := b.rev.Bundle.Spec.Coupon
	if spec == nil {
		return nil
	}
	var order []entryKey
	need := map[entryKey][]*plannedMessage{}
	var customers []string
	for i := range b.messages {
		m := &b.messages[i]
		if m.skip != "" || !b.rev.templates[m.step.Name].coupon {
			continue
		}
		k := entryKey{m.customer, m.entry}
		if need[k] == nil {
			order, customers = append(order, k), append(customers, m.customer)
		}
		need[k] = append(need[k], m)
	}
	if len(order) == 0 {
		return nil
	}
	have, err := couponsOf(ctx, tx, b.planning, customers)
	if err != nil {
		return err
	}
	ways, err := waysTo(ctx, tx, b.ref.Namespace, b.rev.Bundle.Spec.Purpose, customers)
	if err != nil {
		return err
	}
	var without []entryKey
	for _, k := range order {
		// Whose message will be left out needs none.
		reached := slices.ContainsFunc(need[k], func(m *plannedMessage) bool { return m.step.Reaches(ways[k.customer]) })
		if _, has := have[k]; !has && reached {
			without = append(without, k)
		}
	}
	codes, err := b.freeCoupons(ctx, tx, spec.Pool, len(without))
	if err != nil {
		return err
	}
	for _, k := range without[len(codes):] {
		for _, m := range need[k] {
			m.skip = ReasonCouponsExhausted
		}
	}
	return b.assign(ctx, tx, spec.Pool, spec.ValidFor.Duration(), without[:len(codes)], codes)
}

// waysTo are the kinds of channels that reach customers: they have the address, have consented, and have not
// withdrawn the purpose, where there is one.
func waysTo(ctx context.Context, tx *store.Tx, ns, purpose string, customers []string) (_ map[string][]journey.Kind, err error) {
	d := tx.Dialect()
	rows, err := tx.Query(ctx, `SELECT c.id, k.channel FROM customers c JOIN consents k ON k.ns = c.ns AND k.customer_id = c.id AND k.state = 'granted'
WHERE c.ns = $1 AND c.id `+d.AnyText(2)+` AND CASE k.channel WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id ELSE c.phone END IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM purpose_consents w WHERE w.ns = c.ns AND w.customer_id = c.id AND w.channel = k.channel AND w.purpose = $3 AND w.state = 'withdrawn')`,
		ns, store.List(d, customers), purpose)
	if err != nil {
		return nil, fmt.Errorf("reading who can be reached: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[string][]journey.Kind{}
	for rows.Next() {
		var id, kind string
		if err := rows.Scan(&id, &kind); err != nil {
			return nil, fmt.Errorf("reading who can be reached: %w", err)
		}
		out[id] = append(out[id], journey.Kind(kind))
	}
	return out, rows.Err()
}

// freeCoupons locks so many coupons of a pool that nobody has, or fewer where there are no more.
func (b *batch) freeCoupons(ctx context.Context, tx *store.Tx, pool string, n int) (codes []string, err error) {
	if n == 0 {
		return nil, nil
	}
	const free = ` FROM coupons WHERE ns = $1 AND pool = $2 AND customer_id IS NULL AND (expires_at IS NULL OR expires_at > $3)`
	args := []any{b.ref.Namespace, pool, store.Millis(b.now)}
	codes, err = store.Texts(ctx, tx, `SELECT code`+free+` ORDER BY code LIMIT $4`+tx.Dialect().ForUpdateSkipLocked(), append(args, n)...)
	if err != nil {
		return nil, fmt.Errorf("finding coupons: %w", err)
	}
	if len(codes) == n {
		return codes, nil
	}
	// Others that are free may be held by somebody who gives them, or gives them back.
	var all int
	if err := tx.QueryRow(ctx, `SELECT COUNT(*)`+free, args...).Scan(&all); err != nil {
		return nil, fmt.Errorf("counting coupons: %w", err)
	}
	if all > len(codes) {
		return nil, fmt.Errorf("coupons of pool %s are being given: %w", pool, store.ErrRetry)
	}
	return codes, nil
}

var givenTypes = []string{"TEXT", "TEXT", "TEXT"}

func (b *batch) assign(ctx context.Context, tx *store.Tx, pool string, validFor time.Duration, to []entryKey, codes []string) error {
	size := rowsPerStatement(tx.Dialect())
	var until any
	if validFor > 0 {
		until = store.Millis(b.now.Add(validFor))
	}
	for from := 0; from < len(to); from += size {
		var rows [][]any
		for i := from; i < min(from+size, len(to)); i++ {
			rows = append(rows, []any{codes[i], to[i].customer, to[i].entry})
		}
		values, args := valuesOf(tx.Dialect(), []any{b.ref.Namespace, pool, b.ref.Name, b.epoch, store.Millis(b.now), until}, givenTypes, rows)
		_, err := tx.Exec(ctx, `WITH v (code, customer_id, entry) AS (VALUES `+values+`)
UPDATE coupons SET customer_id = v.customer_id, scenario = $3, epoch = $4, entry = v.entry, assigned_at = $5,
  valid_until = CASE WHEN CAST($6 AS BIGINT) IS NULL OR coupons.expires_at < CAST($6 AS BIGINT) THEN coupons.expires_at ELSE CAST($6 AS BIGINT) END
FROM v WHERE coupons.ns = $1 AND coupons.pool = $2 AND coupons.code = v.code`, args...)
		if err != nil {
			return fmt.Errorf("giving coupons: %w", err)
		}
	}
	return nil
}

// Stock is what a pool of coupons has, and how many of them may be needed soon.
type Stock struct{ Free, Needed int64 }

// recently is the time whose demand for coupons is expected again.
const recently = 7 * 24 * time.Hour

// Coupons reads the stock of a pool for a scenario. With a segment, its members who are not in yet may
// need one each; else as many are needed as were given recently.
func (e *Engine) Coupons(ctx context.Context, ref Ref, epoch, pool, segment string) (Stock, error) {
	var s Stock
	now := e.clock.Now()
	err := e.store.QueryRow(ctx, `SELECT
  (SELECT COUNT(*) FROM coupons WHERE ns = $1 AND pool = $2 AND customer_id IS NULL AND (expires_at IS NULL OR expires_at > $3)),
  CASE WHEN $4 = '' THEN (SELECT COUNT(*) FROM coupons WHERE ns = $1 AND pool = $2 AND scenario = $5 AND epoch = $6 AND assigned_at > $7)
    ELSE COALESCE((SELECT members FROM segments WHERE ns = $1 AND name = $4), 0)
      - (SELECT COUNT(*) FROM enrolments WHERE ns = $1 AND scenario = $5 AND epoch = $6) END`,
		ref.Namespace, pool, store.Millis(now), segment, ref.Name, epoch, store.Millis(now.Add(-recently))).Scan(&s.Free, &s.Needed)
	if err != nil {
		return Stock{}, fmt.Errorf("counting the coupons of pool %s: %w", pool, err)
	}
	return s, nil
}
