// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Recipient is what is known of a customer for whom one message is made outside of any run.
type Recipient struct {
	ID string
	// Facts are what templates and conditions see of the customer, Addresses, Consents and Suppressed what
	// each kind of channel has: an address, a state, a reason. Consents to a purpose are by "email/news".
	Facts                           map[string]any
	Addresses, Consents, Suppressed map[string]string
	// Entry, Coupon, Steps and Converted are of the customer's latest way through the scenario, as far as
	// there is one.
	Entry, Coupon map[string]any
	Steps         map[string]journey.StepResult
	Converted     bool
	// Recommended are the products that a message shows; nil has them worked out.
	Recommended []map[string]any
	// Won are the variants that have won, by step.
	Won map[string]string
}

// ErrNoCustomer says that the store has no customer of this id.
var ErrNoCustomer = errors.New("the customer is not in the store")

// Recipient reads a customer, and where they are in a scenario.
func (e *Engine) Recipient(ctx context.Context, ref Ref, rev *Revision, id string) (*Recipient, error) {
	r := &Recipient{ID: id, Addresses: map[string]string{}, Consents: map[string]string{}, Suppressed: map[string]string{},
		Steps: map[string]journey.StepResult{}, Won: map[string]string{}}
	var c customer
	err := e.store.QueryRow(ctx, `SELECT `+customerColumns+` FROM customers c
LEFT JOIN metrics u ON u.ns = c.ns AND u.customer_id = c.id WHERE c.ns = $1 AND c.id = $2`, ref.Namespace, id).Scan(c.scans()...)
	if store.IsNotFound(err) {
		return nil, ErrNoCustomer
	}
	if err != nil {
		return nil, fmt.Errorf("reading a customer: %w", err)
	}
	if r.Facts, err = c.facts(id); err != nil {
		return nil, err
	}
	for _, kind := range store.Channels {
		if address := c.addressOf(kind); address != "" {
			r.Addresses[kind] = address
		}
	}
	if err := e.readPermissions(ctx, ref, r); err != nil {
		return nil, err
	}
	return r, e.readWay(ctx, ref, rev, r)
}

// readPermissions reads the consents of a customer, and what their addresses are suppressed for.
func (e *Engine) readPermissions(ctx context.Context, ref Ref, r *Recipient) (err error) {
	rows, err := e.store.Query(ctx, `SELECT 'consent', channel, state FROM consents WHERE ns = $1 AND customer_id = $2
UNION ALL SELECT 'consent', channel || '/' || purpose, state FROM purpose_consents WHERE ns = $1 AND customer_id = $2
UNION ALL SELECT 'suppression', s.channel, s.reason FROM customers c JOIN suppressions s ON s.ns = c.ns
  AND s.address = CASE s.channel WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id ELSE c.phone END
  WHERE c.ns = $1 AND c.id = $2`, ref.Namespace, r.ID)
	if err != nil {
		return fmt.Errorf("reading what a customer consents to: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var what, kind, value string
		if err := rows.Scan(&what, &kind, &value); err != nil {
			return fmt.Errorf("reading what a customer consents to: %w", err)
		}
		if what == "consent" {
			r.Consents[kind] = value
		} else {
			r.Suppressed[kind] = value
		}
	}
	return rows.Err()
}

// readWay reads the latest entry of a customer in the scenario's epoch, with its coupon and messages.
func (e *Engine) readWay(ctx context.Context, ref Ref, rev *Revision, r *Recipient) error {
	p := planning{ref: ref, epoch: rev.Bundle.Spec.Epoch}
	won, err := e.verdictsOf(ctx, e.store, ref, p.epoch)
	if err != nil {
		return err
	}
	for i := range rev.Journey.Steps {
		if s := &rev.Journey.Steps[i]; s.Experiment != nil {
			r.Won[s.Name] = won[[2]string{s.Name, s.Experiment.Test}]
		}
	}
	var entry string
	var let []byte
	var code, pool sql.NullString
	var until sql.NullInt64
	err = e.store.QueryRow(ctx, `SELECT n.entry, n.facts, n.converted_at IS NOT NULL, p.code, p.pool, p.valid_until FROM enrolments n
LEFT JOIN coupons p ON p.ns = n.ns AND p.customer_id = n.customer_id AND p.scenario = n.scenario AND p.epoch = n.epoch AND p.entry = n.entry
WHERE n.ns = $1 AND n.scenario = $2 AND n.epoch = $3 AND n.customer_id = $4 ORDER BY n.enrolled_at DESC, n.entry DESC LIMIT 1`,
		ref.Namespace, ref.Name, p.epoch, r.ID).Scan(&entry, &let, &r.Converted, &code, &pool, &until)
	if store.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading where a customer is: %w", err)
	}
	if r.Entry, err = journey.ReadEntry(let); err != nil {
		return err
	}
	r.Coupon = coupon{code.String, pool.String, store.NullTime(until)}.data()
	t := []traveller{{customer: r.ID, entry: entry}}
	err = e.store.Tx(ctx, func(tx *store.Tx) error { return stepResults(ctx, tx, p, t, []string{r.ID}) })
	r.Steps = t[0].facts.Steps
	return err
}
