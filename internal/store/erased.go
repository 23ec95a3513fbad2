// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// erasedPrefix begins the pseudonyms of customers who were erased. No customer's id does.
const erasedPrefix = "erased:"

// ReasonErased is why ways through scenarios and messages ended of customers who were erased, and why an
// address is suppressed that they did not want to be used.
const ReasonErased = "Erased"

// IsErased tells a pseudonym from a customer's id.
func IsErased(id string) bool { return strings.HasPrefix(id, erasedPrefix) }

// LockCustomer keeps others from changing a customer until the transaction ends. IsNotFound holds where
// there is none.
func (t *Tx) LockCustomer(ctx context.Context, ns, id string) error {
	var found string
	err := t.QueryRow(ctx, `SELECT id FROM customers WHERE ns = $1 AND id = $2`+t.dialect.ForUpdate(), ns, id).Scan(&found)
	if err != nil {
		return fmt.Errorf("read a customer: %w", err)
	}
	return nil
}

// Erased is what an erasure did to a table.
type Erased struct {
	Table string `json:"table"`
	Fate  string `json:"fate"` // removed, pseudonymised, ended, added
	Rows  int64  `json:"rows"`
}

// Erase removes what is known of a customer, by any of their ids, in one transaction. What prevents sending
// again, and what reports count, stays under a pseudonym that nobody can trace back. Nothing is sent to them
// afterwards: their ways through scenarios end, and messages that have not begun to be sent are cancelled. An
// address on a channel that they refused is suppressed, so that no later import brings it back into use. Of a
// customer of whom nothing is known it returns nothing.
func (s *Store) Erase(ctx context.Context, ns, id string, at time.Time) (done []Erased, err error) {
	err = s.Tx(ctx, func(tx *Tx) (err error) {
		done, err = tx.erase(ctx, ns, id, at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("erase a customer: %w", err)
	}
	return done, nil
}

// erasing is one customer being erased.
type erasing struct {
	*Tx
	ns, id, pseudonym string
	at                int64
	done              []Erased
}

func (t *Tx) erase(ctx context.Context, ns, id string, at time.Time) ([]Erased, error) {
	e := &erasing{Tx: t, ns: ns, pseudonym: erasedPrefix + uuid.NewString(), at: Millis(at)}
	if err := e.lock(ctx, id); err != nil {
		return nil, err
	}
	for _, part := range []func(context.Context) error{e.optOuts, e.remember, e.end, e.entries, e.words, e.rename} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return e.done, nil
}

// lock holds what others write about the customer by: scenarios that plan and let in, segments and
// recommendations that are brought up to date, and the customer.
func (e *erasing) lock(ctx context.Context, id string) (err error) {
	if e.dialect == Postgres {
		for _, query := range []string{
			`SELECT 1 FROM scenarios WHERE ns = $1 ORDER BY name FOR UPDATE`,
			`SELECT 1 FROM segments WHERE ns = $1 ORDER BY name FOR UPDATE`,
			`SELECT 1 FROM recommendations WHERE ns = $1 FOR UPDATE`,
		} {
			if _, err := e.Exec(ctx, query, e.ns); err != nil {
				return fmt.Errorf("hold what plans and counts: %w", err)
			}
		}
	}
	if e.id, err = e.survivor(ctx, e.ns, id); err != nil {
		return err
	}
	if err := e.LockCustomer(ctx, e.ns, e.id); err != nil && !IsNotFound(err) {
		return err
	}
	return e.notMerged(ctx, e.ns, []string{e.id})
}

// exec runs a statement whose first arguments are the namespace and the customer, and says what it did.
func (e *erasing) exec(ctx context.Context, table, fate, query string, args ...any) error {
	res, err := e.Exec(ctx, query, append([]any{e.ns, e.id}, args...)...)
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	if n > 0 && fate != "" {
		e.done = append(e.done, Erased{table, fate, n})
	}
	return nil
}

// optOuts keeps the addresses from being used that the customer withdrew consent for.
func (e *erasing) optOuts(ctx context.Context) error {
	for _, channel := range Channels {
		err := e.exec(ctx, "suppressions", "added", `INSERT INTO suppressions (ns, channel, address, reason, created_at)
SELECT c.ns, k.channel, c.`+addressColumns[channel]+`, '`+ReasonErased+`', CAST($3 AS BIGINT) FROM customers c
JOIN consents k ON k.ns = c.ns AND k.customer_id = c.id AND k.channel = '`+channel+`' AND k.state = 'withdrawn'
WHERE c.ns = $1 AND c.id = $2 AND c.`+addressColumns[channel]+` <> '' ON CONFLICT (ns, channel, address) DO NOTHING`, e.at)
		if err != nil {
			return err
		}
	}
	return nil
}

// remember keeps hashes of the customer's ids, so that one who comes back is known to have been let in.
func (e *erasing) remember(ctx context.Context) error {
	ids, err := Texts(ctx, e, `SELECT alias FROM aliases WHERE ns = $1 AND customer_id = $2`, e.ns, e.id)
	if err != nil {
		return fmt.Errorf("read aliases: %w", err)
	}
	var known bool
	err = e.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM customers WHERE ns = $1 AND id = $2) OR EXISTS (SELECT 1 FROM enrolments WHERE ns = $1 AND customer_id = $2)`, e.ns, e.id).Scan(&known)
	if err != nil || !known {
		return err
	}
	for i, alias := range ids {
		if err := e.renameAlias(ctx, alias, fmt.Sprintf("%s-%d", e.pseudonym, i+1)); err != nil {
			return err
		}
	}
	for _, id := range append(ids, e.id) {
		_, err := e.Exec(ctx, `INSERT INTO erasures (ns, id_hash, pseudonym, erased_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ns, id_hash) DO UPDATE SET pseudonym = excluded.pseudonym, erased_at = excluded.erased_at`, e.ns, hashOfID(e.ns, id), e.pseudonym, e.at)
		if err != nil {
			return fmt.Errorf("remember an erasure: %w", err)
		}
	}
	return nil
}

// renameAlias does what rename does for the rows that stay under another id until those are counted anew who
// were merged.
func (e *erasing) renameAlias(ctx context.Context, alias, pseudonym string) error {
	for _, table := range []string{"memberships", "past_memberships", "ranked", "bought", "touched"} {
		if _, err := e.Exec(ctx, `UPDATE `+table+` SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, e.ns, alias, pseudonym); err != nil {
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	e.Touch(e.ns, pseudonym, TouchedAnything)
	return nil
}

func hashOfID(ns, id string) string {
	sum := sha256.Sum256([]byte("kaeru erased v1\x00" + ns + "\x00" + id))
	return hex.EncodeToString(sum[:])
}

// end ends what is under way. What a provider may have already has an end that nobody knows.
func (e *erasing) end(ctx context.Context) error {
	err := e.exec(ctx, "enrolments", "ended", `UPDATE enrolments SET state = 'exited', reason = '`+ReasonErased+`', step = '', until_at = NULL, since_at = NULL, ended_at = $3
WHERE ns = $1 AND customer_id = $2 AND ended_at IS NULL`, e.at)
	if err != nil {
		return err
	}
	return e.exec(ctx, "messages", "ended", `UPDATE messages SET state = CASE WHEN state = 'planned' THEN 'cancelled' ELSE 'unknown' END, reason = '`+ReasonErased+`', ended_at = $3
WHERE ns = $1 AND customer_id = $2 AND state IN ('planned', 'sending')`, e.at)
}

// entries hides what let the customer in, such as the number of an order. Without a value there is
// nothing to hide, and who may enter once has none.
func (e *erasing) entries(ctx context.Context) error {
	entries, err := Texts(ctx, e, `SELECT entry FROM enrolments WHERE ns = $1 AND customer_id = $2 AND entry <> ''
UNION SELECT entry FROM messages WHERE ns = $1 AND customer_id = $2 AND entry <> ''
UNION SELECT entry FROM coupons WHERE ns = $1 AND customer_id = $2 AND entry <> ''`, e.ns, e.id)
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	for _, entry := range entries {
		sum := sha256.Sum256([]byte(e.pseudonym + "\x00" + entry))
		for _, table := range []string{"enrolments", "messages", "coupons"} {
			if err := e.exec(ctx, table, "", `UPDATE `+table+` SET entry = $4 WHERE ns = $1 AND customer_id = $2 AND entry = $3`, entry, "#"+hex.EncodeToString(sum[:])); err != nil {
				return err
			}
		}
	}
	return nil
}

// aReason is one of Kaeru's own. Others are in providers' words, which may hold an address.
var aReason = regexp.MustCompile(`^[A-Za-z]*$`)

// words takes away what providers said, and their names for messages.
func (e *erasing) words(ctx context.Context) error {
	reasons, err := Texts(ctx, e, `SELECT DISTINCT reason FROM messages WHERE ns = $1 AND customer_id = $2`, e.ns, e.id)
	if err != nil {
		return fmt.Errorf("read reasons: %w", err)
	}
	for _, reason := range reasons {
		if !aReason.MatchString(reason) {
			if err := e.exec(ctx, "messages", "", `UPDATE messages SET reason = '`+ReasonErased+`' WHERE ns = $1 AND customer_id = $2 AND reason = $3`, reason); err != nil {
				return err
			}
		}
	}
	receipts, err := Texts(ctx, e, `SELECT id FROM receipts WHERE `+theirMessages, e.ns, e.id)
	if err != nil {
		return fmt.Errorf("read receipts: %w", err)
	}
	for _, id := range receipts {
		if err := e.exec(ctx, "receipts", "", `UPDATE receipts SET id = $4 WHERE ns = $1 AND id = $3 AND $2 <> ''`, id, erasedPrefix+uuid.NewString()); err != nil {
			return err
		}
	}
	return nil
}

// rename goes through all tables. What is counted by who comes and goes hears of the pseudonym.
func (e *erasing) rename(ctx context.Context) error {
	known := len(e.done) > 0
	// What thresholds were made with, before the orders go.
	if err := e.exec(ctx, "metrics", "", `UPDATE metrics SET customer_id = $3 WHERE ns = $1 AND customer_id = $2`, e.pseudonym); err != nil {
		return err
	}
	for i := range personalTables {
		p := &personalTables[i]
		var err error
		switch {
		case p.table == "metrics":
			continue
		case p.fate == fateRemoved:
			err = e.exec(ctx, p.table, p.fate, `DELETE FROM `+p.table+` WHERE `+p.rows())
		case p.of != "": // which name no customer themselves
			err = e.exec(ctx, p.table, p.fate, `UPDATE `+p.table+` SET `+p.clear+` WHERE `+p.of)
		default:
			set := `customer_id = $3`
			if p.clear != "" {
				set += `, ` + p.clear
			}
			err = e.exec(ctx, p.table, p.fate, `UPDATE `+p.table+` SET `+set+` WHERE ns = $1 AND customer_id = $2`, e.pseudonym)
		}
		if err != nil {
			return err
		}
	}
	if !known && len(e.done) == 0 {
		return nil
	}
	if err := e.refreshMetrics(ctx, e.ns, []string{e.pseudonym}); err != nil {
		return err
	}
	e.Touch(e.ns, e.pseudonym, TouchedAnything)
	return nil
}

// returned gives customers who are new, and have been erased under the same id, what they were let into once and
// for all, so that they are not let in again.
func (t *Tx) returned(ctx context.Context, ns string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var some bool
	if err := t.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM erasures WHERE ns = $1)`, ns).Scan(&some); err != nil || !some {
		return err
	}
	of := make(map[string]string, len(ids))
	hashes := make([]string, len(ids))
	for i, id := range ids {
		hashes[i] = hashOfID(ns, id)
		of[hashes[i]] = id
	}
	back := map[string]string{} // pseudonyms by hash
	err := Each(ctx, t, func(rows *sql.Rows) error {
		var hash, pseudonym string
		err := rows.Scan(&hash, &pseudonym)
		back[hash] = pseudonym
		return err
	}, `SELECT id_hash, pseudonym FROM erasures WHERE ns = $1 AND id_hash `+t.dialect.AnyText(2), ns, List(t.dialect, hashes))
	if err != nil {
		return fmt.Errorf("read who was erased: %w", err)
	}
	for hash, pseudonym := range back {
		_, err := t.Exec(ctx, `UPDATE enrolments SET customer_id = $3 WHERE ns = $1 AND customer_id = $2 AND entry = ''
  AND NOT EXISTS (SELECT 1 FROM enrolments o WHERE o.ns = enrolments.ns AND o.scenario = enrolments.scenario AND o.epoch = enrolments.epoch
    AND o.customer_id = $3 AND o.entry = '')`, ns, pseudonym, of[hash])
		if err != nil {
			return fmt.Errorf("let nobody in again: %w", err)
		}
	}
	return nil
}
