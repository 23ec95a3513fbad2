// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// EntryDate is the day of the occasion, in entries by date: of a birthday, this year's.
const EntryDate = "date"

// What the entries by a subscription's dates say of it, and those by a coupon's of that.
const (
	EntrySubscription = "subscription_id"
	EntryPlan         = "plan"
	EntryCode         = "code"
	EntryPool         = "pool"
)

// Calendar lets in around a date of the customer's own: each day at a time of day those whose occasion
// is so many days away.
type Calendar struct {
	audience.Occasion
	// Daily are the slots.
	Daily *schedule.Schedule
	// days lie between the occasion and the slot; negative for slots before it.
	days int
}

const day = 24 * time.Hour

func compileCalendar(t *crm.DateTrigger, shop Shop) (*Calendar, error) {
	const path = "spec.trigger.date."
	offset := t.Offset.Duration()
	if offset%day != 0 {
		return nil, &Error{Path: path + "offset", Message: fmt.Sprintf("%s is not a number of days: write whole days such as -3d, and the time of day as time", t.Offset)}
	}
	zone := t.TimeZoneOr(shop.TimeZone)
	loc, err := schedule.Zone(zone)
	if err != nil {
		return nil, &Error{Path: path + "timeZone", Message: err.Error()}
	}
	at, err := schedule.ParseTimeOfDay(string(t.TimeOrDefault()))
	if err != nil {
		return nil, &Error{Path: path + "time", Message: err.Error()}
	}
	c := &Calendar{
		Occasion: audience.Occasion{Of: t.Of, Attribute: t.Attribute, Yearly: t.Anniversary == crm.AnniversaryYearly, Zone: loc},
		days:     int(offset / day),
	}
	if err := c.Validate(); err != nil {
		return nil, &Error{Path: path + "attribute", Message: err.Error()}
	}
	c.Daily, err = schedule.Cron(fmt.Sprintf("%d %d * * *", at.Minute, at.Hour), zone)
	return c, err
}

// DayOf is the day of the occasions that a slot is about.
func (c *Calendar) DayOf(slot time.Time) time.Time {
	local := slot.In(c.Zone)
	return time.Date(local.Year(), local.Month(), local.Day()-c.days, 0, 0, 0, 0, time.UTC)
}

// Entry is what lets somebody in whose occasion a slot is about.
func (c *Calendar) Entry(slot time.Time, o audience.Occurrence) Entry {
	date := c.DayOf(slot).Format(time.DateOnly)
	e := Entry{Customer: o.Customer, Ref: date, At: slot, Facts: map[string]any{EntryDate: date}}
	id, of := EntrySubscription, EntryPlan
	if c.Of == crm.DateCouponExpiry {
		id, of = EntryCode, EntryPool
	}
	if o.ID != "" {
		e.Ref += " " + o.ID
		e.Facts[id] = o.ID
	}
	if o.Of != "" {
		e.Facts[of] = o.Of
	}
	return e
}

// Changes are the things learnt of a customer that may move the occasion.
func (c *Calendar) Changes() store.Touched {
	switch c.Of {
	case crm.DateFirstOrder, crm.DateLastOrder:
		return store.TouchedOrders
	case crm.DateNextDelivery, crm.DateSubscriptionRenewal:
		return store.TouchedSubscription
	case crm.DateReplenishment:
		return store.TouchedReplenishment
	}
	return store.TouchedCustomer
}
