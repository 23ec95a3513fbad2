// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"database/sql"
	"fmt"
	"time"
)

// The measures that those who have bought are ranked by.
const (
	measureSpend   = "spend"
	measureAverage = "average"
	measureOrders  = "orders"
	measureLast    = "last"
)

// whole is a share of everybody. Shares are in millionths.
const wholeShare = 1_000_000

// Cut is a threshold of a percentage of those who have bought: the value of the last one who is
// within. Who is within is whose rank is at most the share of the buyers, rounded up; equal values
// have the same rank, the best of theirs.
type Cut struct {
	// Measure is spend, average, orders or last.
	Measure string
	// Low ranks the smallest first.
	Low bool
	// Share is in millionths of the buyers.
	Share int64
}

// Thresholds are the values of cuts; one without a value means that nobody has bought.
type Thresholds map[Cut]sql.NullInt64

// column is the measure of a row of metrics.
func (c Cut) column(alias string) string {
	switch c.Measure {
	case measureAverage:
		return fmt.Sprintf("(%[1]s.spend / NULLIF(%[1]s.orders, 0))", alias)
	case measureLast:
		return alias + ".last_order_at"
	default:
		return alias + "." + c.Measure
	}
}

func (c Cut) best() string {
	if c.Low {
		return "low"
	}
	return "high"
}

// within holds for the customers who are within the cut.
func (s *statement) within(c Cut) predicate {
	s.cuts = append(s.cuts, c)
	n := s.bind(c, func(_ time.Time, cuts Thresholds) any { return cuts[c] })
	alias, compare := "m", " >= "
	if s.each {
		alias = "b"
	}
	s.usesMetrics = true
	if c.Low {
		compare = " <= "
	}
	return when(fmt.Sprintf("%s > 0 AND %s%s$%d", s.metric("orders"), c.column(alias), compare, n))
}
