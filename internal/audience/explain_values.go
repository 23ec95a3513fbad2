// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// shown is what to read of the candidate b beside the verdict, and what to make of it.
type shown struct {
	columns []string
	into    []any
	value   func(context.Context) (Value, error)
}

// reads makes a shown of which all is in the columns.
func reads(columns []string, into []any, value func() Value) *shown {
	return &shown{columns, into, func(context.Context) (Value, error) { return value(), nil }}
}

// shown is what there is to show for a condition, of which p is the predicate.
func (e *explainer) shown(s *statement, p predicate, c *v1alpha1.Condition, path string) (*shown, error) {
	switch {
	case c.Attribute != nil:
		var text *string
		return reads([]string{s.attributeText(c.Attribute.Name)}, []any{&text}, func() Value { return AttributeValue{text} }), nil
	case c.Orders != nil:
		which, err := s.matchingOrders(c.Orders.Within, c.Orders.Where, path+".orders")
		var n int64
		return reads([]string{"(SELECT COUNT(*) FROM " + which + ")"}, []any{&n}, func() Value { return CountValue{Count: n} }), err
	case c.Spend != nil:
		return e.spend(s, c.Spend, path+".spend")
	case c.FirstOrder != nil:
		return e.moment(s.metric("first_order_at")), nil
	case c.LastOrder != nil:
		return e.moment(s.metric("last_order_at")), nil
	case c.Event != nil:
		one := *c.Event
		one.Count = v1alpha1.Count{}
		set, err := s.eventsIn(&one, path+".event")
		at := "o.occurred_at"
		if one.Name == v1alpha1.EventOrderCompleted && len(one.Where) == 0 {
			at = "o.at" // which is of orders as well
		}
		return e.counted(set, at), err
	case c.Engagement != nil:
		one := *c.Engagement
		one.Count = v1alpha1.Count{}
		set, err := s.engagementsIn(&one, path+".engagement")
		return e.counted(set, "o.at"), err
	case c.Lifecycle != nil:
		return e.lifecycle(s, c.Lifecycle, path+".lifecycle")
	case c.RFM != nil:
		return e.rfm(s), nil
	case c.Subscription != nil:
		return &shown{value: e.subscriptions}, nil
	case c.Reachable != nil:
		var bits int64
		return reads([]string{s.customer("reach")}, []any{&bits}, func() Value { return channelsOf(bits) }), nil
	case c.Favourite != nil:
		return &shown{value: func(ctx context.Context) (Value, error) { return e.favourites(ctx, c.Favourite, path+".favourite") }}, nil
	case c.Segment != nil:
		var since sql.NullInt64
		column := "(SELECT o.entered_at FROM " + s.rows("memberships") + " AND o.segment = " + s.text(string(c.Segment.Name)) + ")"
		return reads([]string{column}, []any{&since}, func() Value { return MemberValue{e.localTime(since)} }), nil
	case c.Replenishment != nil:
		return e.replenishment(s, c.Replenishment), nil
	case c.Expression != "":
		var result *bool
		return reads([]string{p.holds}, []any{&result}, func() Value { return TruthValue{result} }), nil
	}
	return nil, &Invalid{path, "set one condition"}
}

// rowsOf is the FROM and WHERE of a set that a count of at least one makes.
func rowsOf(set membershipIn) string {
	return strings.TrimPrefix(set.query, "SELECT o.customer_id FROM ")
}

func (e *explainer) counted(set membershipIn, at string) *shown {
	var n int64
	var latest sql.NullInt64
	return reads([]string{"(SELECT COUNT(*) FROM " + rowsOf(set) + ")", "(SELECT MAX(" + at + ") FROM " + rowsOf(set) + ")"},
		[]any{&n, &latest}, func() Value { return CountValue{n, e.localTime(latest)} })
}

func (e *explainer) moment(column string) *shown {
	var ms sql.NullInt64
	return reads([]string{column}, []any{&ms}, func() Value {
		if !ms.Valid {
			return MomentValue{}
		}
		at, day := store.Time(ms.Int64), int64(24*time.Hour/time.Millisecond)
		age := store.Millis(e.now) - ms.Int64
		days := age / day
		if age%day < 0 { // the future is no day old
			days--
		}
		at = e.local(at)
		return MomentValue{&at, &days}
	})
}

func (e *explainer) lifecycle(s *statement, c *v1alpha1.LifecycleCondition, path string) (*shown, error) {
	dormantAfter := c.DormantAfterOr(s.env.Shop.DormantAfter)
	if c.DormantAfter != "" {
		var err error
		if dormantAfter, err = duration(c.DormantAfter, path+".dormantAfter"); err != nil {
			return nil, err
		}
	}
	column := "CASE"
	for _, stage := range []v1alpha1.LifecycleStage{
		v1alpha1.StageProspect, v1alpha1.StageDormant, v1alpha1.StageReactivated, v1alpha1.StageFirst, v1alpha1.StageSecond, v1alpha1.StageRepeat,
	} {
		column += " WHEN " + s.stage(stage, dormantAfter) + " THEN '" + string(stage) + "'"
	}
	var stage string
	return reads([]string{column + " END"}, []any{&stage}, func() Value { return StageValue{stage} }), nil
}

// rfm reads how many buyers stand better. That many fifths of them is what the quintile is below 5.
func (e *explainer) rfm(s *statement) *shown {
	const buyers = "SELECT COUNT(*) FROM metrics m WHERE m.ns = $1 AND m.orders > 0"
	columns := []string{"COALESCE(" + s.metric("orders") + ", 0)", "(" + buyers + ")"}
	for _, measure := range []string{measureLast, measureOrders, measureSpend} {
		c := Cut{Measure: measure}
		columns = append(columns, "("+buyers+" AND "+c.column("m")+" > "+c.column("b")+")")
	}
	var orders, all int64
	var better [3]int64
	return reads(columns, []any{&orders, &all, &better[0], &better[1], &better[2]}, func() Value {
		if orders == 0 {
			return QuintilesValue{}
		}
		quintile := func(better int64) *int64 {
			q := 5 - 5*better/all
			return &q
		}
		return QuintilesValue{quintile(better[0]), quintile(better[1]), quintile(better[2])}
	})
}

// spend shows the amount, and the threshold of a percentage of all orders.
func (e *explainer) spend(s *statement, c *v1alpha1.SpendCondition, path string) (*shown, error) {
	rank, err := spendRankOf(c, path)
	if err != nil {
		return nil, err
	}
	amount := s.spendOf(c)
	if c.Within != "" || c.Where != nil {
		which, err := s.matchingOrders(c.Within, c.Where, path)
		if err != nil {
			return nil, err
		}
		amount = "(SELECT " + orderSum(c) + " FROM " + which + ")"
	}
	if rank == nil {
		var v money.Amount
		return reads([]string{"COALESCE(" + amount + ", 0)"}, []any{&v}, func() Value { return SpendValue{Amount: &v} }), nil
	}
	cut := s.cuts[len(s.cuts)-1]
	var v sql.NullInt64
	return reads([]string{"CASE WHEN " + s.metric("orders") + " > 0 THEN " + amount + " END"}, []any{&v}, func() Value {
		return SpendValue{amountOf(v), amountOf(e.cuts[cut]), true}
	}), nil
}

// windowedShare is a percentage of those who bought in a window or what fits a filter, and nil for any
// other condition. It takes a look at everybody, so that its query is the one for all.
func (e *explainer) windowedShare(s *statement, c *v1alpha1.SpendCondition, path string) (predicate, *shown, error) {
	if c == nil || c.Within == "" && c.Where == nil {
		return predicate{}, nil, nil
	}
	rank, err := spendRankOf(c, path+".spend")
	if err != nil || rank == nil {
		return predicate{}, nil, err
	}
	s.each = false
	set, err := s.spendIn(c, path+".spend")
	if err != nil {
		return predicate{}, nil, err
	}
	table := fmt.Sprintf("t%d", len(s.with)) // of those who bought, with the amounts
	var amount, threshold sql.NullInt64
	columns := []string{"(SELECT o.amount FROM " + table + " o WHERE o.customer_id = b.customer_id)", s.cut(rank, "o.amount", table+" o")}
	return when("EXISTS (SELECT 1 FROM (" + set.query + ") x WHERE x.customer_id = b.customer_id)"),
		reads(columns, []any{&amount, &threshold}, func() Value { return SpendValue{amountOf(amount), amountOf(threshold), true} }), nil
}

func amountOf(v sql.NullInt64) *money.Amount {
	if !v.Valid {
		return nil
	}
	a := money.Amount(v.Int64)
	return &a
}

// replenishment shows the prediction that the condition is about.
func (e *explainer) replenishment(s *statement, c *v1alpha1.ReplenishmentCondition) *shown {
	scope, id := "any", ""
	switch {
	case c.Category != "":
		scope, id = "category", c.Category
	case c.Product != "":
		scope, id = "product", c.Product
	}
	from := " FROM " + s.rows("replenishments") + " AND o.scope = " + s.text(scope) + " AND o.id = " + s.text(id) + ")"
	var due sql.NullInt64
	var confidence *float64
	return reads([]string{"(SELECT o.due_at" + from, "(SELECT o.confidence" + from}, []any{&due, &confidence}, func() Value {
		return PredictionValue{e.localTime(due), confidence}
	})
}
