// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Occasion is a date in a customer's life: one of those that Kaeru knows, or an attribute.
type Occasion struct {
	// Of is one of v1alpha1's references, and empty for an attribute.
	Of        v1alpha1.DateReference
	Attribute string
	// Yearly is the return of the date in later years. Who was born on 29 February has it on the 28th
	// in other years.
	Yearly bool
	// Zone is the one whose days count. Default: UTC.
	Zone *time.Location
}

// Occurrence is an occasion of a customer.
type Occurrence struct {
	Customer string
	// ID tells occasions of a customer on one day apart: a subscription's, or a coupon's code. Of is the
	// subscription's plan, or the coupon's pool.
	ID, Of string
}

// longAgo is how many years back a date may lie that returns every year.
const longAgo = 150

// Validate refuses an attribute whose name cannot be one.
func (o Occasion) Validate() error {
	if strings.ContainsAny(o.Attribute, `"\`) {
		return errors.New(`no attribute's name has a " or a \: remove it`)
	}
	return nil
}

// On finds those whose occasion is on a day, of which year, month and day count, in the order of
// customers and IDs. It gives at most so many after one, and with among only those of these customers.
func (o Occasion) On(ctx context.Context, q store.Querier, ns string, day time.Time, after Occurrence, limit int, among []string) (_ []Occurrence, err error) {
	s := &statement{env: Env{Namespace: ns, Shop: Shop{Zone: o.zone()}, Dialect: q.Dialect()}, bound: make(map[any]int)}
	s.text(ns)
	from, id, plan, where := o.rows(s, midnight(day))
	customer := s.id()
	if from != "customers c" {
		customer = "x.customer_id"
	}
	if after != (Occurrence{}) {
		last := s.text(after.Customer)
		where = append(where, fmt.Sprintf("(%[1]s > %[2]s OR %[1]s = %[2]s AND %[3]s > %[4]s)", customer, last, id, s.text(after.ID)))
	}
	if among != nil {
		where = append(where, s.among(customer, among))
	}
	query := fmt.Sprintf("SELECT %[1]s, %[2]s, %[3]s FROM %[4]s WHERE %[5]s ORDER BY %[1]s, %[2]s LIMIT %[6]s",
		customer, id, plan, from, strings.Join(where, " AND "), s.number(int64(limit)))
	rows, err := q.Query(ctx, query, valuesOf(s.args, time.Time{}, nil)...)
	if err != nil {
		return nil, fmt.Errorf("find whose day it is: %w", store.WithoutData(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []Occurrence
	for rows.Next() {
		var c Occurrence
		if err := rows.Scan(&c.Customer, &c.ID, &c.Of); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

func (o Occasion) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// rows are the table of the occasions, what tells them apart, and which are on a day.
func (o Occasion) rows(s *statement, day time.Time) (from, id, plan string, where []string) {
	none := "CAST('' AS TEXT)"
	dated := func(table, column string, yearly bool) []string {
		from = table + " x"
		return []string{"x.ns = $1", o.dated(s, "x."+column, day, yearly)}
	}
	switch o.Of {
	case v1alpha1.DateFirstOrder:
		where = dated("metrics", "first_order_at", o.Yearly)
	case v1alpha1.DateLastOrder:
		where = dated("metrics", "last_order_at", o.Yearly)
	case v1alpha1.DateNextDelivery:
		return "subscriptions x", "x.id", "COALESCE(x.plan, '')", append(dated("subscriptions", "next_delivery_at", false), "x.status = 'Active'")
	case v1alpha1.DateSubscriptionRenewal:
		return "subscriptions x", "x.id", "COALESCE(x.plan, '')", append(dated("subscriptions", "started_at", true), "x.status = 'Active'")
	case v1alpha1.DateCouponExpiry:
		return "coupons x", "x.code", "x.pool", append(dated("coupons", "valid_until", false), "x.customer_id IS NOT NULL")
	case v1alpha1.DateReplenishment:
		where = append(dated("replenishments", "due_at", false), "x.scope = 'any'", "x.id = ''")
	default:
		text := s.attributeText(o.Attribute)
		if !o.Yearly {
			return "customers c", none, none, []string{"c.ns = $1", s.day(text) + " = " + s.text(day.Format(time.DateOnly))}
		}
		days := anniversaries(day, day)
		// As for segments: few have their day, and to read all others' dates would take most of the time.
		nearly := anniversaries(day.AddDate(0, 0, -2), day.AddDate(0, 0, 2))
		return "customers c", none, none, []string{
			"c.ns = $1", s.among("SUBSTR("+text+", 6, 5)", nearly), s.among("SUBSTR("+s.day(text)+", 6, 5)", days),
			"SUBSTR(" + s.day(text) + ", 1, 4) < " + s.text(day.Format("2006")),
		}
	}
	return from, none, none, where
}

// dated holds where a moment lies on a day, or on that of a year before.
func (o Occasion) dated(s *statement, column string, day time.Time, yearly bool) string {
	on := func(day time.Time) string {
		from := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, o.zone())
		until := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, o.zone())
		return fmt.Sprintf("%[1]s >= %[2]s AND %[1]s < %[3]s", column, s.number(store.Millis(from)), s.number(store.Millis(until)))
	}
	if !yearly {
		return on(day)
	}
	var days []string
	for year := day.Year() - 1; year > day.Year()-longAgo && year >= 1970; year-- {
		for _, text := range anniversaries(day, day) {
			if then, err := time.Parse(time.DateOnly, fmt.Sprintf("%04d-%s", year, text)); err == nil {
				days = append(days, on(then))
			}
		}
	}
	return "(" + strings.Join(days, " OR ") + ")"
}

// Dates are when the occasion of each of these customers is, where they have it: of several deliveries
// the next one, and of yearly renewals when that began. An attribute's is the beginning of its day.
func (o Occasion) Dates(ctx context.Context, q store.Querier, ns string, customers []string) (_ map[string]time.Time, err error) {
	s := &statement{env: Env{Namespace: ns, Shop: Shop{Zone: o.zone()}, Dialect: q.Dialect()}, bound: make(map[any]int)}
	s.text(ns)
	// Whether a column is one a customer or the least of several, MIN says it.
	of := func(table, column, more string) string {
		return fmt.Sprintf("SELECT x.customer_id, CAST(MIN(x.%[1]s) AS TEXT) FROM %[2]s x WHERE x.ns = $1 AND %[3]s%[4]s AND x.%[1]s IS NOT NULL GROUP BY x.customer_id",
			column, table, s.among("x.customer_id", customers), more)
	}
	var query string
	switch o.Of {
	case v1alpha1.DateFirstOrder:
		query = of("metrics", "first_order_at", "")
	case v1alpha1.DateLastOrder:
		query = of("metrics", "last_order_at", "")
	case v1alpha1.DateNextDelivery:
		query = of("subscriptions", "next_delivery_at", " AND x.status = 'Active'")
	case v1alpha1.DateSubscriptionRenewal:
		query = of("subscriptions", "started_at", " AND x.status = 'Active'")
	case v1alpha1.DateReplenishment:
		query = of("replenishments", "due_at", " AND x.scope = 'any' AND x.id = ''")
	default:
		day := s.day(s.attributeText(o.Attribute))
		query = "SELECT c.id, " + day + " FROM customers c WHERE c.ns = $1 AND " + s.among("c.id", customers) + " AND " + day + " IS NOT NULL"
	}
	rows, err := q.Query(ctx, query, valuesOf(s.args, time.Time{}, nil)...)
	if err != nil {
		return nil, fmt.Errorf("read dates of customers: %w", store.WithoutData(err))
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out := map[string]time.Time{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		if millis, err := strconv.ParseInt(text, 10, 64); err == nil {
			out[id] = store.Time(millis)
		} else if day, err := time.ParseInLocation(time.DateOnly, text, o.zone()); err == nil {
			out[id] = day
		}
	}
	return out, rows.Err()
}
