// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// duration reads a length of time. What is longer than can be held, 292 years, is as long as ever.
func duration(d v1alpha1.Duration, path string) (time.Duration, error) {
	if _, err := v1alpha1.ParseDuration(string(d)); err != nil {
		return 0, &Invalid{path, err.Error()}
	}
	if v, err := schedule.ParseDuration(string(d)); err == nil {
		return v, nil
	}
	return math.MaxInt64, nil
}

// age compares a moment of the customer's metrics. Who never ordered has none, and never matches.
func (s *statement) age(c *v1alpha1.AgeCondition, column, path string) (predicate, error) {
	s.kinds |= store.TouchedOrders
	if c.OlderThan != "" {
		d, err := duration(c.OlderThan, path+".olderThan")
		s.moves(slice{facts: factOrders, age: d})
		return when(s.metric(column) + " <= " + s.before(d)), err
	}
	d, err := duration(c.Within, path+".within")
	s.moves(slice{facts: factOrders, age: d})
	return when(s.metric(column) + " > " + s.before(d)), err
}

func (s *statement) lifecycle(c *v1alpha1.LifecycleCondition, path string) (predicate, error) {
	dormantAfter := c.DormantAfterOr(s.env.Shop.DormantAfter)
	if c.DormantAfter != "" {
		var err error
		if dormantAfter, err = duration(c.DormantAfter, path+".dormantAfter"); err != nil {
			return predicate{}, err
		}
	}
	s.kinds |= store.TouchedOrders
	s.moves(slice{facts: factOrders, age: dormantAfter})
	var alternatives []string
	for i, stage := range c.In {
		text := s.stage(stage, dormantAfter)
		if text == "" {
			return predicate{}, &Invalid{fmt.Sprintf("%s.in[%d]", path, i), "there is no such stage"}
		}
		alternatives = append(alternatives, text)
	}
	if len(alternatives) == 0 {
		return predicate{}, &Invalid{path + ".in", "name at least one stage"}
	}
	return when(strings.Join(alternatives, " OR ")), nil
}

// stage is a condition that holds in a stage, and "" for one that there is not.
func (s *statement) stage(stage v1alpha1.LifecycleStage, dormantAfter time.Duration) string {
	last := s.metric("last_order_at")
	// Where the order before the last is so far back, the customer was dormant in between. With one
	// order there is none before it, which is NULL: neither back nor near.
	gap := func(compare string) string {
		return " AND " + s.metric("previous_order_at") + compare + last + " - " + s.number(dormantAfter.Milliseconds())
	}
	switch stage {
	case v1alpha1.StageProspect:
		return last + " IS NULL"
	case v1alpha1.StageDormant:
		return last + " <= " + s.before(dormantAfter)
	}
	awake := last + " > " + s.before(dormantAfter)
	switch stage {
	case v1alpha1.StageReactivated:
		return awake + gap(" <= ")
	case v1alpha1.StageFirst:
		return awake + " AND " + s.metric("orders") + " = 1"
	case v1alpha1.StageSecond:
		return awake + " AND " + s.metric("orders") + " = 2" + gap(" > ")
	case v1alpha1.StageRepeat:
		return awake + " AND " + s.metric("orders") + " >= 3" + gap(" > ")
	}
	return ""
}

func (s *statement) reachable(c *v1alpha1.ReachableCondition, path string) (predicate, error) {
	var bits int64
	for i, channel := range c.Channels {
		bit := store.ReachBit(string(channel))
		if bit == 0 {
			return predicate{}, &Invalid{fmt.Sprintf("%s.channels[%d]", path, i), "there is no such channel"}
		}
		bits |= bit
	}
	s.kinds |= store.TouchedReach
	switch {
	case bits == 0:
		return predicate{}, &Invalid{path + ".channels", "name at least one channel"}
	case c.ModeOrDefault() == v1alpha1.ReachableAll:
		return when(fmt.Sprintf("(%s & %d) = %d", s.customer("reach"), bits, bits)), nil
	}
	return when(fmt.Sprintf("(%s & %d) <> 0", s.customer("reach"), bits)), nil
}

func (s *statement) segmentIn(c *v1alpha1.LocalReference) membershipIn {
	s.kinds |= store.TouchedSegment(string(c.Name))
	if s.theirs {
		s.usesCustomers = true
		key := s.env.Dialect.JSONKey(string(c.Name))
		held := s.env.Dialect.JSONText("o.memberships", s.bind(named{"text", key}, constant(key)))
		return membershipIn{query: "SELECT o.customer_id FROM candidates o WHERE " + held + " IS NOT NULL"}
	}
	return membershipIn{query: "SELECT o.customer_id FROM " + s.rows("memberships") + " AND o.segment = " + s.text(string(c.Name))}
}

// membershipIn is a condition that holds of the customers a subquery selects, or of all but those.
// Without a query it is none.
type membershipIn struct {
	// query has one column, customer_id, which is called o.customer_id within.
	query string
	// repeats says that it selects a customer more than once, so that groups make them distinct. It ends in a
	// condition then.
	repeats bool
	groups  string
	// covered says that an index by customer has all that it asks for.
	covered bool
	outside bool
	// everybody says that it holds of everybody, without a query.
	everybody bool
}

func (m membershipIn) distinct() string {
	if m.repeats {
		return m.query + m.groups
	}
	return m.query
}

func (s *statement) member(m membershipIn) predicate {
	switch {
	case s.theirs:
		p := predicate{s.id() + " IN (" + m.query + ")", s.id() + " NOT IN (" + m.query + ")"}
		if m.outside {
			return p.not()
		}
		return p
	case s.each:
		// The query is about the customer alone.
		p := predicate{"EXISTS (" + m.query + ")", "NOT EXISTS (" + m.query + ")"}
		if m.outside {
			return p.not()
		}
		return p
	}
	in := s.id() + " IN (" + m.query + ")"
	// PostgreSQL makes an anti-join of NOT EXISTS, and nothing good of NOT IN.
	out := "NOT EXISTS (SELECT 1 FROM (" + m.query + ") x WHERE x.customer_id = " + s.id() + ")"
	if s.env.Dialect == store.SQLite {
		out = s.id() + " NOT IN (" + m.query + ")"
		if s.set != "" && m.repeats && m.covered {
			// Those of the set are looked up, instead of finding all who are to be left out.
			out = "NOT EXISTS (" + m.query + " AND o.customer_id = " + s.id() + ")"
		}
	}
	if m.outside {
		return predicate{out, in}
	}
	return predicate{in, out}
}
