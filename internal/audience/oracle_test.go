// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
)

// oracle decides one customer after the other in plain Go, straight from the orders, as
// docs/segments.md says it. It shares nothing with the compiler.
type oracle struct {
	*shop
	now time.Time
}

func (o oracle) matching(match v1alpha1.Match) []string {
	ids := []string{}
	for i := range o.people {
		p := &o.people[i]
		is := func(c v1alpha1.NestedCondition) bool { return o.nested(p, &c) }
		if !slices.ContainsFunc(match.All, func(c v1alpha1.NestedCondition) bool { return !is(c) }) &&
			(len(match.Any) == 0 || slices.ContainsFunc(match.Any, is)) &&
			!slices.ContainsFunc(match.None, is) {
			ids = append(ids, p.id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (o oracle) nested(p *person, c *v1alpha1.NestedCondition) bool {
	if len(c.AnyOf) > 0 {
		return slices.ContainsFunc(c.AnyOf, func(c v1alpha1.Condition) bool { return o.condition(p, &c) })
	}
	if len(c.AllOf) > 0 {
		return !slices.ContainsFunc(c.AllOf, func(c v1alpha1.Condition) bool { return !o.condition(p, &c) })
	}
	return o.condition(p, &c.Condition)
}

func (o oracle) condition(p *person, c *v1alpha1.Condition) bool {
	switch {
	case c.Attribute != nil:
		return o.attribute(p, c.Attribute)
	case c.Orders != nil:
		n := int32(len(o.ordersOf(p, c.Orders.Within, c.Orders.Where)))
		switch {
		case c.Orders.Exactly != nil:
			return n == *c.Orders.Exactly
		case c.Orders.AtLeast == nil && c.Orders.AtMost == nil:
			return n > 0
		}
		return (c.Orders.AtLeast == nil || n >= *c.Orders.AtLeast) && (c.Orders.AtMost == nil || n <= *c.Orders.AtMost)
	case c.Spend != nil:
		return o.spend(p, c.Spend)
	case c.FirstOrder != nil:
		times := o.times(p)
		return len(times) > 0 && o.age(times[0], c.FirstOrder)
	case c.LastOrder != nil:
		times := o.times(p)
		return len(times) > 0 && o.age(times[len(times)-1], c.LastOrder)
	case c.Lifecycle != nil:
		return slices.Contains(c.Lifecycle.In, o.stage(p, c.Lifecycle))
	case c.Reachable != nil:
		can := func(channel v1alpha1.ChannelType) bool { return o.canReach(p, string(channel)) }
		if c.Reachable.Mode == "All" {
			return !slices.ContainsFunc(c.Reachable.Channels, func(channel v1alpha1.ChannelType) bool { return !can(channel) })
		}
		return slices.ContainsFunc(c.Reachable.Channels, can)
	case c.Segment != nil:
		return slices.Contains(o.segments[string(c.Segment.Name)], p.id)
	}
	return o.behaviour(p, c)
}

func (o oracle) ago(d v1alpha1.Duration) time.Time { return o.now.Add(-d.Duration()) }

func (o oracle) ordersOf(p *person, within v1alpha1.Duration, where *v1alpha1.OrderFilter) []purchase {
	if where == nil {
		where = &v1alpha1.OrderFilter{}
	}
	var found []purchase
	for _, b := range o.purchases {
		counts := !strings.EqualFold(b.status, "cancelled") && !strings.EqualFold(b.status, "refunded")
		if len(where.Status) > 0 {
			counts = slices.Contains(where.Status, b.status)
		}
		fits := len(where.Category)+len(where.Product) == 0 || slices.ContainsFunc(b.items, func(it item) bool {
			return (len(where.Category) == 0 || it.category != "" && slices.Contains(where.Category, it.category)) &&
				(len(where.Product) == 0 || it.product != "" && slices.Contains(where.Product, it.product))
		})
		if b.customer == p.id && counts && fits &&
			(within == "" || b.at.After(o.ago(within))) &&
			(len(where.Source) == 0 || b.source != "" && slices.Contains(where.Source, b.source)) &&
			(where.TotalAtLeast == nil || b.total >= amount(where.TotalAtLeast)) {
			found = append(found, b)
		}
	}
	return found
}

func amount(v *intstr.IntOrString) money.Amount {
	a, err := money.Parse(v.String())
	if err != nil {
		panic(err)
	}
	return a
}

func (o oracle) spent(p *person, c *v1alpha1.SpendCondition) (total int64, bought bool) {
	found := o.ordersOf(p, c.Within, c.Where)
	for _, b := range found {
		total += int64(b.total)
	}
	if c.Of == "Average" && len(found) > 0 {
		total /= int64(len(found))
	}
	return total, len(found) > 0
}

func (o oracle) spend(p *person, c *v1alpha1.SpendCondition) bool {
	mine, bought := o.spent(p, c)
	percent, better := c.TopPercent, func(a, b int64) bool { return a > b }
	if percent == nil {
		percent, better = c.BottomPercent, func(a, b int64) bool { return a < b }
	}
	if percent == nil {
		return (c.AtLeast == nil || mine >= int64(amount(c.AtLeast))) && (c.AtMost == nil || mine <= int64(amount(c.AtMost)))
	}
	if !bought {
		return false
	}
	buyers, rank := 0, 1
	for i := range o.people {
		if other, also := o.spent(&o.people[i], c); also {
			buyers++
			if better(other, mine) {
				rank++
			}
		}
	}
	// rank ≤ ⌈percent × buyers / 100⌉, and both are whole, so rank - 1 < percent × buyers / 100.
	share, _ := new(big.Rat).SetString(percent.String())
	share.Mul(share, big.NewRat(int64(buyers), 100))
	return big.NewRat(int64(rank-1), 1).Cmp(share) < 0
}

// times are those of the orders that count, the earliest first.
func (o oracle) times(p *person) []time.Time {
	var times []time.Time
	for _, b := range o.ordersOf(p, "", nil) {
		times = append(times, b.at)
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

func (o oracle) age(at time.Time, c *v1alpha1.AgeCondition) bool {
	if c.Within != "" {
		return at.After(o.ago(c.Within))
	}
	return !at.After(o.ago(c.OlderThan))
}

func (o oracle) stage(p *person, c *v1alpha1.LifecycleCondition) v1alpha1.LifecycleStage {
	after := 150 * 24 * time.Hour
	if o.DormantAfter != 0 {
		after = o.DormantAfter
	}
	if c.DormantAfter != "" {
		after = c.DormantAfter.Duration()
	}
	times := o.times(p)
	n := len(times)
	switch {
	case n == 0:
		return v1alpha1.StageProspect
	case o.now.Sub(times[n-1]) >= after:
		return v1alpha1.StageDormant
	case n > 1 && times[n-1].Sub(times[n-2]) >= after:
		return v1alpha1.StageReactivated
	case n == 1:
		return v1alpha1.StageFirst
	case n == 2:
		return v1alpha1.StageSecond
	}
	return v1alpha1.StageRepeat
}

func (o oracle) canReach(p *person, channel string) bool {
	to := map[string]string{"email": p.email, "line": p.line, "sms": p.phone}[channel]
	return to != "" && p.consents[channel] && !slices.Contains(o.suppressed, address{channel, to})
}

func attributeText(p *person, name string) string {
	switch name {
	case "id":
		return p.id
	case "email":
		return p.email
	case "phone":
		return p.phone
	case "line_user_id":
		return p.line
	}
	if v := p.attributes[name]; v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

func (o oracle) attribute(p *person, c *v1alpha1.AttributeCondition) bool {
	text := attributeText(p, c.Name)
	if text == "" {
		return c.Presence == "Absent"
	}
	switch {
	case c.Presence != "":
		return c.Presence == "Present"
	case len(c.In) > 0:
		return slices.Contains(c.In, text)
	case len(c.NotIn) > 0:
		return !slices.Contains(c.NotIn, text)
	case c.AtLeast != nil || c.AtMost != nil:
		n := plainNumber(text)
		return n != nil && (c.AtLeast == nil || n.Cmp(plainNumber(c.AtLeast.String())) >= 0) &&
			(c.AtMost == nil || n.Cmp(plainNumber(c.AtMost.String())) <= 0)
	}
	day, ok := o.day(text)
	if !ok {
		return false
	}
	if c.AnniversaryWithin != "" {
		return o.anniversary(day, c.AnniversaryWithin.Duration())
	}
	return (c.Before == "" || day.Before(mustDay(c.Before))) && (c.After == "" || day.After(mustDay(c.After)))
}

func plainNumber(text string) *big.Rat {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if strings.Trim(whole+fraction, "0123456789") != "" || whole == "" || point && fraction == "" {
		return nil
	}
	n, _ := new(big.Rat).SetString(text)
	return n
}

func mustDay(d v1alpha1.Date) time.Time {
	day, err := time.Parse(time.DateOnly, string(d))
	if err != nil {
		panic(err)
	}
	return day
}

// day is the day of a text in the shop's zone, as its midnight in UTC.
func (o oracle) day(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05.999", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05-0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			if strings.HasSuffix(layout, "00") {
				at = at.In(o.zone())
			}
			return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC), true
		}
	}
	return time.Time{}, false
}

func (o oracle) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

func (o oracle) anniversary(born time.Time, ahead time.Duration) bool {
	from, until := o.now.In(o.zone()), o.now.Add(ahead).In(o.zone())
	for n := 0; n < 400; n++ {
		day := time.Date(from.Year(), from.Month(), from.Day()+n, 0, 0, 0, 0, time.UTC)
		if day.After(time.Date(until.Year(), until.Month(), until.Day(), 0, 0, 0, 0, time.UTC)) {
			return false
		}
		// time.Date makes 1 March of a 29 February that the year does not have.
		returns := time.Date(day.Year(), born.Month(), born.Day(), 0, 0, 0, 0, time.UTC)
		if returns.Day() != born.Day() {
			returns = returns.AddDate(0, 0, -1)
		}
		if returns.Equal(day) {
			return true
		}
	}
	return false
}
