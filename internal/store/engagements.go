// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// The kinds of engagements, each with a column of messages.
const (
	EngagementDelivered = "delivered"
	EngagementOpened    = "opened"
	EngagementClicked   = "clicked"
	EngagementConverted = "converted"
)

// Engagements are the kinds of engagements.
var Engagements = []string{EngagementDelivered, EngagementOpened, EngagementClicked, EngagementConverted}

// SyncEngagements makes the engagements of a kind what the messages with these ids say. Whoever
// changes one of their columns calls it in the same transaction.
func (t *Tx) SyncEngagements(ctx context.Context, ns, kind string, messages []string) error {
	if !slices.Contains(Engagements, kind) {
		return fmt.Errorf("record engagements: %q is no kind of them", kind)
	}
	if len(messages) == 0 {
		return nil
	}
	among := t.dialect.AnyUUID(3)
	return t.syncEngagements(ctx, ns, kind, "message_id "+among, "m.id "+among, List(t.dialect, messages))
}

// syncEngagements is SyncEngagements for the engagements and the messages that two conditions choose.
func (t *Tx) syncEngagements(ctx context.Context, ns, kind, engagements, messages string, list any) error {
	column := kind + "_at"
	touch := func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		t.Touch(ns, id, TouchedEngagement)
		return err
	}
	err := Each(ctx, t, touch, `DELETE FROM engagements WHERE ns = $1 AND kind = $2 AND `+engagements+`
		AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = engagements.message_id AND m.`+column+` IS NOT NULL)
		RETURNING customer_id`, ns, kind, list)
	if err != nil {
		return fmt.Errorf("take engagements back: %w", err)
	}
	err = Each(ctx, t, touch, `INSERT INTO engagements (ns, message_id, kind, customer_id, at, scenario, channel)
		SELECT m.ns, m.id, CAST($2 AS TEXT), m.customer_id, m.`+column+`, m.scenario, m.channel FROM messages m
		WHERE m.ns = $1 AND `+messages+` AND m.`+column+` IS NOT NULL
		ON CONFLICT (ns, message_id, kind) DO UPDATE SET at = excluded.at WHERE engagements.at <> excluded.at
		RETURNING customer_id`, ns, kind, list)
	if err != nil {
		return fmt.Errorf("record engagements: %w", err)
	}
	return nil
}
