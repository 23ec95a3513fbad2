// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Sources of consents.
const (
	// SourceImport is a file of customers.
	SourceImport = "import"
	// SourceUnsubscribe is a message's unsubscribe link, and SourceUndo the same link taken back.
	SourceUnsubscribe = "unsubscribe"
	SourceUndo        = "unsubscribe undone"
	// SourcePreferences is the customer's own page.
	SourcePreferences = "preferences"
)

// Said is what a customer says about a kind of channel, or about one purpose of use there.
type Said struct {
	Channel string
	// Purpose is a name that the shop gave it; empty is the channel as a whole.
	Purpose string
	State   string
}

// purposeName is how a shop may name a purpose.
var purposeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// CheckPurpose tells what the name of a purpose cannot be.
func CheckPurpose(name string) error {
	if !purposeName.MatchString(name) {
		return fmt.Errorf("%q does not name a purpose: write lower-case letters, digits and -, such as news", shorten(name))
	}
	return nil
}

func (s Said) check() error {
	if !slices.Contains(Channels, s.Channel) {
		return fmt.Errorf("%q is no kind of channel: there are email, line and sms", shorten(s.Channel))
	}
	if s.State != ConsentGranted && s.State != ConsentWithdrawn {
		return fmt.Errorf("%q is neither granted nor withdrawn", shorten(s.State))
	}
	if s.Purpose != "" {
		return CheckPurpose(s.Purpose)
	}
	return nil
}

// SetConsent records what a customer said about a kind of channel, and where. It is Tx.SetConsents in a
// transaction of its own.
func (s *Store) SetConsent(ctx context.Context, ns, customer, channel, state, source string, at time.Time) error {
	return s.Tx(ctx, func(tx *Tx) error {
		_, err := tx.SetConsents(ctx, ns, customer, []Said{{Channel: channel, State: state}}, source, at)
		return err
	})
}

// A repeated or late call must not make an old statement new. What the customer has said keeps its date;
// what only a file had said is from now on the customer's own word, which no file overrides.
const newer = ` DO UPDATE SET state = excluded.state, source = excluded.source, changed_at = excluded.changed_at
WHERE %[1]s.changed_at <= excluded.changed_at
  AND (%[1]s.state <> excluded.state OR %[1]s.source = 'import' AND excluded.source <> 'import')`

var (
	setConsentSQL = `INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (ns, customer_id, channel)` + fmt.Sprintf(newer, "consents")
	setPurposeSQL = `INSERT INTO purpose_consents (ns, customer_id, channel, state, source, changed_at, purpose) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (ns, customer_id, channel, purpose)` + fmt.Sprintf(newer, "purpose_consents")
)

// SetConsents records what a customer said, and where. It overrides what was known, and makes the
// customer's row where there is none. It returns how many consents it changed.
func (t *Tx) SetConsents(ctx context.Context, ns, customer string, said []Said, source string, at time.Time) (changed int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("set a consent: %w", err)
		}
	}()
	if customer, err = t.survivor(ctx, ns, customer); err != nil {
		return 0, err
	}
	if err := t.ensureCustomers(ctx, ns, []string{customer}, t.dialect.ForUpdate(), at); err != nil {
		return 0, err
	}
	withdrawn := false
	var history merged[consentRow]
	for _, s := range said {
		if err := s.check(); err != nil {
			return 0, err
		}
		query, args := setConsentSQL, []any{ns, customer, s.Channel, s.State, source, Millis(at)}
		if s.Purpose != "" {
			query, args = setPurposeSQL, append(args, s.Purpose)
		}
		res, err := t.Exec(ctx, query, args...)
		if err != nil {
			return 0, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return 0, err
		}
		if n > 0 {
			changed++
			withdrawn = withdrawn || s.State == ConsentWithdrawn
			history.changed = append(history.changed, consentRow{customer, s.Channel, s.Purpose, s.State, source, Millis(at)})
		}
	}
	if changed == 0 {
		return 0, nil
	}
	if err := t.writeConsentChanges(ctx, ns, history); err != nil {
		return 0, err
	}
	if withdrawn {
		if err := t.Wake(ctx, ns, "", []string{customer}, at); err != nil {
			return 0, err
		}
	}
	return changed, t.updateReachOf(ctx, ns, []string{customer})
}

type consentRow struct {
	customer, channel, purpose, state, source string
	changedAt                                 int64
}

func (r *consentRow) key() string { return r.customer + "\x00" + r.channel + "\x00" + r.purpose }

var (
	consentColumns = []string{"ns", "customer_id", "channel", "state", "source", "changed_at"}
	purposeColumns = []string{"ns", "customer_id", "channel", "purpose", "state", "source", "changed_at"}
	changeColumns  = []string{"ns", "customer_id", "changed_at", "channel", "purpose", "state", "source"}
)

// mergeConsents is the consents that an import changes. What customers withdrew themselves stays
// withdrawn: a file that was written before must not bring their consent back.
func (t *Tx) mergeConsents(ctx context.Context, ns string, ids []string, customers []Customer, now time.Time) (merged[consentRow], error) {
	var said []consentRow
	purposes := false
	for i := range customers {
		for about, state := range customers[i].Consents {
			channel, purpose, _ := strings.Cut(about, "/")
			said = append(said, consentRow{customers[i].ID, channel, purpose, state, SourceImport, Millis(now)})
			purposes = purposes || purpose != ""
		}
	}
	if len(said) == 0 {
		return merged[consentRow]{}, nil
	}
	stored := make(map[string]consentRow, len(said))
	read := func(purpose, table, order string) error {
		return Each(ctx, t, func(rows *sql.Rows) error {
			var r consentRow
			err := rows.Scan(&r.customer, &r.channel, &r.purpose, &r.state, &r.source, &r.changedAt)
			stored[r.key()] = r
			return err
		}, `SELECT customer_id, channel, `+purpose+`, state, source, changed_at FROM `+table+`
		WHERE ns = $1 AND customer_id `+t.dialect.AnyText(2)+` ORDER BY customer_id, channel`+order+t.dialect.ForUpdate(), ns, List(t.dialect, ids))
	}
	err := read("''", "consents", "")
	if err == nil && purposes {
		err = read("purpose", "purpose_consents", ", purpose")
	}
	if err != nil {
		return merged[consentRow]{}, fmt.Errorf("read consents: %w", err)
	}
	return merge(said, (*consentRow).key, stored, func(old consentRow, c *consentRow) consentRow {
		if old.state == c.state || old.state == ConsentWithdrawn && old.source != SourceImport {
			return old
		}
		return *c
	}, func(a, b consentRow) bool { return a == b }), nil
}

func (t *Tx) writeConsents(ctx context.Context, ns string, m merged[consentRow]) error {
	general, purposes := split(m)
	err := write(ctx, t, "consents", consentColumns, 3, general, func(r consentRow, row []any) []any {
		return append(row, ns, r.customer, r.channel, r.state, r.source, r.changedAt)
	})
	if err != nil {
		return err
	}
	err = write(ctx, t, "purpose_consents", purposeColumns, 4, purposes, func(r consentRow, row []any) []any {
		return append(row, ns, r.customer, r.channel, r.purpose, r.state, r.source, r.changedAt)
	})
	if err != nil {
		return err
	}
	return t.writeConsentChanges(ctx, ns, m)
}

// split tells what was said about channels from what was said about purposes.
func split(m merged[consentRow]) (general, purposes merged[consentRow]) {
	for _, r := range m.added {
		if r.purpose == "" {
			general.added = append(general.added, r)
		} else {
			purposes.added = append(purposes.added, r)
		}
	}
	for _, r := range m.changed {
		if r.purpose == "" {
			general.changed = append(general.changed, r)
		} else {
			purposes.changed = append(purposes.changed, r)
		}
	}
	return general, purposes
}

// writeConsentChanges adds to the proof of what customers said.
func (t *Tx) writeConsentChanges(ctx context.Context, ns string, m merged[consentRow]) error {
	// The same may have been said in the same millisecond, and something else in between.
	said := merged[consentRow]{changed: slices.Concat(m.added, m.changed)}
	return write(ctx, t, "consent_changes", changeColumns, 6, said, func(r consentRow, row []any) []any {
		return append(row, ns, r.customer, r.changedAt, r.channel, r.purpose, r.state, r.source)
	})
}

// Suppress is Tx.Suppress in a transaction of its own.
func (s *Store) Suppress(ctx context.Context, ns, channel, address, reason string, at time.Time) error {
	return s.Tx(ctx, func(tx *Tx) error { return tx.Suppress(ctx, ns, channel, address, reason, at) })
}

// Suppress keeps an address of a kind of channel from being used, whoever it belongs to. The first
// reason stays.
func (t *Tx) Suppress(ctx context.Context, ns, channel, address, reason string, at time.Time) error {
	normal, err := NormalizeAddress(channel, strings.TrimSpace(address))
	if err != nil {
		return fmt.Errorf("suppress an address: %w", err)
	}
	_, err = t.Exec(ctx, `INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (ns, channel, address) DO NOTHING`, ns, channel, normal, reason, Millis(at))
	if err != nil {
		return fmt.Errorf("suppress an address: %w", err)
	}
	return t.updateReach(ctx, ns, addressColumns[channel]+" = $2", normal)
}
