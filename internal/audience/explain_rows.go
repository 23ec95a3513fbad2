// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// subscriptions are all that the customer has, whether they fit the condition or not: that shows what does not.
func (e *explainer) subscriptions(ctx context.Context) (_ Value, err error) {
	rows, err := e.tx.Query(ctx, `SELECT status, COALESCE(plan, ''), cancelled_at, next_delivery_at FROM subscriptions
		WHERE ns = $1 AND customer_id = $2 ORDER BY id`, e.env.Namespace, e.customer)
	if err != nil {
		return nil, fmt.Errorf("read the subscriptions: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	v := SubscriptionsValue{Subscriptions: []Subscription{}}
	for rows.Next() {
		var one Subscription
		var cancelled, next sql.NullInt64
		if err := rows.Scan(&one.Status, &one.Plan, &cancelled, &next); err != nil {
			return nil, err
		}
		one.CancelledAt, one.NextDeliveryAt = e.localTime(cancelled), e.localTime(next)
		v.Subscriptions = append(v.Subscriptions, one)
	}
	return v, rows.Err()
}

// favourites are the products on the wish list that fit the condition, the latest first.
func (e *explainer) favourites(ctx context.Context, c *v1alpha1.FavouriteCondition, path string) (_ Value, err error) {
	s := &statement{env: e.env, bound: make(map[any]int), each: true}
	s.text(e.env.Namespace)
	set, err := s.favouritesIn(c, path)
	if err != nil {
		return nil, err
	}
	query := "SELECT o.product_id FROM " + e.from(s) + ", " + rowsOf(set) + " ORDER BY o.added_at DESC, o.product_id"
	rows, err := e.tx.Query(ctx, query, valuesOf(s.args, e.now, nil)...)
	if err != nil {
		return nil, fmt.Errorf("read the wish list: %w", store.WithoutData(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	v := ProductsValue{Products: []string{}}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		v.Products = append(v.Products, id)
	}
	return v, rows.Err()
}

// channelsOf names the channels of the bits of reach.
func channelsOf(bits int64) ChannelsValue {
	v := ChannelsValue{Channels: []string{}}
	for _, channel := range []v1alpha1.ChannelType{v1alpha1.ChannelLine, v1alpha1.ChannelEmail, v1alpha1.ChannelSMS} {
		if bits&store.ReachBit(string(channel)) != 0 {
			v.Channels = append(v.Channels, strings.ToLower(string(channel)))
		}
	}
	return v
}
