// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report counts what became of scenarios, runs and channels, and attributes orders to the
// enrolments and messages that they followed.
//
// Every number is derived from rows by SQL when it is asked for; nothing here increments a counter.
package report

import (
	"context"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// StepCounts are one step's messages of one epoch. Pending, Sent, Failed, Skipped, Cancelled and
// Unknown add up to all of them; the others are marks that a message of any state may carry.
type StepCounts struct {
	Name string
	// Channel is the ChannelConfig of the step's messages; where an edit has changed it, one of both.
	Channel   string
	Pending   int64 // planned or sending
	Sent      int64
	FellBack  int64 // of those sent, as the step's fallback
	Delivered int64
	Opened    int64
	Clicked   int64
	Converted int64 // by the goal's attribution; rounded where several share one conversion
	Failed    int64
	Skipped   int64
	Cancelled int64
	Unknown   int64
}

// ScenarioReport is one epoch of a scenario.
type ScenarioReport struct {
	// Steps are those that have messages, by name.
	Steps map[string]StepCounts

	Enrolled  int64 // everybody who was due: those below, and those whose enrolment was cancelled
	Underway  int64
	Completed int64
	Exited    int64
	Holdout   int64
	Cancelled int64

	// Converted counts the enrolments that converted, as Enrolled does: those held out included.
	Converted        int64
	HoldoutConverted int64
	// Revenue is of the orders that converted them, each order once.
	Revenue money.Amount
	// Cost is of the messages that the providers took, or may have taken.
	Cost money.Amount
}

const stepsQuery = `
SELECT step, COALESCE(MAX(channel) FILTER (WHERE kind <> 'webhook'), ''),
       COUNT(*) FILTER (WHERE state IN ('planned', 'sending')),
       COUNT(*) FILTER (WHERE state = 'sent'),
       COUNT(*) FILTER (WHERE state = 'sent' AND fell_back IS NOT NULL),
       COUNT(delivered_at), COUNT(opened_at), COUNT(clicked_at),
       CAST(ROUND(SUM(CASE WHEN converted_at IS NULL THEN 0 ELSE COALESCE(credit, 1000000) END) / 1000000.0) AS BIGINT),
       COUNT(*) FILTER (WHERE state = 'failed'),
       COUNT(*) FILTER (WHERE state = 'skipped'),
       COUNT(*) FILTER (WHERE state = 'cancelled'),
       COUNT(*) FILTER (WHERE state = 'unknown'),
       CAST(COALESCE(SUM(cost) FILTER (WHERE state IN ('sent', 'unknown')), 0) AS BIGINT)
  FROM messages
 WHERE ns = $1 AND scenario = $2 AND epoch = $3
 GROUP BY step`

const enrolmentsQuery = `
SELECT COUNT(*),
       COUNT(*) FILTER (WHERE state = 'active'),
       COUNT(*) FILTER (WHERE state = 'completed'),
       COUNT(*) FILTER (WHERE state = 'exited'),
       COUNT(*) FILTER (WHERE state = 'holdout'),
       COUNT(*) FILTER (WHERE state = 'cancelled'),
       COUNT(converted_at),
       COUNT(converted_at) FILTER (WHERE state = 'holdout')
  FROM enrolments
 WHERE ns = $1 AND scenario = $2 AND epoch = $3`

// A customer who entered twice may have converted twice by one order, which was paid once.
const revenueQuery = `
SELECT CAST(COALESCE(SUM(revenue), 0) AS BIGINT)
  FROM (SELECT MAX(revenue) AS revenue
          FROM enrolments
         WHERE ns = $1 AND scenario = $2 AND epoch = $3 AND order_id IS NOT NULL
         GROUP BY order_id) AS orders`

// Scenario reports one epoch of a scenario. Its numbers come from three statements: pass a ReadTx
// where they have to be of one moment. A scenario that nobody knows has all zeros.
func Scenario(ctx context.Context, q store.Querier, ns, name, epoch string) (*ScenarioReport, error) {
	report := &ScenarioReport{Steps: map[string]StepCounts{}}
	if err := report.countSteps(ctx, q, ns, name, epoch); err != nil {
		return nil, fmt.Errorf("count the messages of scenario %s/%s: %w", ns, name, err)
	}
	if err := q.QueryRow(ctx, enrolmentsQuery, ns, name, epoch).Scan(
		&report.Enrolled, &report.Underway, &report.Completed, &report.Exited, &report.Holdout, &report.Cancelled,
		&report.Converted, &report.HoldoutConverted); err != nil {
		return nil, fmt.Errorf("count the enrolments of scenario %s/%s: %w", ns, name, err)
	}
	if err := q.QueryRow(ctx, revenueQuery, ns, name, epoch).Scan(&report.Revenue); err != nil {
		return nil, fmt.Errorf("sum the revenue of scenario %s/%s: %w", ns, name, err)
	}
	return report, nil
}

func (r *ScenarioReport) countSteps(ctx context.Context, q store.Querier, ns, name, epoch string) error {
	rows, err := q.Query(ctx, stepsQuery, ns, name, epoch)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s StepCounts
		var cost money.Amount
		if err := rows.Scan(&s.Name, &s.Channel, &s.Pending, &s.Sent, &s.FellBack, &s.Delivered, &s.Opened, &s.Clicked, &s.Converted,
			&s.Failed, &s.Skipped, &s.Cancelled, &s.Unknown, &cost); err != nil {
			return err
		}
		r.Steps[s.Name] = s
		r.Cost += cost
	}
	return rows.Err()
}

// RunReport is what became of a run's messages. Planned is all of them, and the others add up to it.
type RunReport struct {
	Planned   int64
	Pending   int64 // planned or sending
	Sent      int64
	Failed    int64
	Skipped   int64
	Cancelled int64
	Unknown   int64
}

const runQuery = `
SELECT COUNT(*),
       COUNT(*) FILTER (WHERE state IN ('planned', 'sending')),
       COUNT(*) FILTER (WHERE state = 'sent'),
       COUNT(*) FILTER (WHERE state = 'failed'),
       COUNT(*) FILTER (WHERE state = 'skipped'),
       COUNT(*) FILTER (WHERE state = 'cancelled'),
       COUNT(*) FILTER (WHERE state = 'unknown')
  FROM messages
 WHERE ns = $1 AND scenario = $2 AND run = $3`

// Run reports one run, by the name of its Job.
func Run(ctx context.Context, q store.Querier, ns, scenario, run string) (*RunReport, error) {
	var r RunReport
	if err := q.QueryRow(ctx, runQuery, ns, scenario, run).Scan(
		&r.Planned, &r.Pending, &r.Sent, &r.Failed, &r.Skipped, &r.Cancelled, &r.Unknown); err != nil {
		return nil, fmt.Errorf("count the messages of run %s/%s: %w", ns, run, err)
	}
	return &r, nil
}

const channelQuery = `
SELECT COUNT(*) FILTER (WHERE state = 'sent'), CAST(COALESCE(SUM(cost), 0) AS BIGINT)
  FROM messages
 WHERE ns = $1 AND channel = $2 AND ended_at >= $3 AND ended_at < $4 AND state IN ('sent', 'unknown')`

// ChannelMonth is what a channel sent from one time until before another, and what that cost. Like
// ScenarioReport.Cost it includes messages that the provider may have taken, since it may charge them.
func ChannelMonth(ctx context.Context, q store.Querier, ns, channel string, from, to time.Time) (sent int64, cost money.Amount, err error) {
	if err := q.QueryRow(ctx, channelQuery, ns, channel, store.Millis(from), store.Millis(to)).Scan(&sent, &cost); err != nil {
		return 0, 0, fmt.Errorf("count the messages of channel %s/%s: %w", ns, channel, err)
	}
	return sent, cost, nil
}

// Percent writes a rate with one decimal, rounded to the nearest: "5.8%". It is empty where there is
// nobody to have a rate of.
func Percent(converted, enrolled int64) string {
	if enrolled <= 0 {
		return ""
	}
	tenths := (converted*2000 + enrolled) / (2 * enrolled)
	return fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
}
