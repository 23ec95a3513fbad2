// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import "time"

// What holds where a Scenario does not say. Each is named in its field's documentation.
const (
	defaultPriority                   = 50
	defaultStartingDeadline           = time.Hour
	defaultProductEventWithin         = 90 * 24 * time.Hour
	defaultTimeOfDay                  = "10:00"
	defaultShardSize                  = 1000
	defaultParallelism                = 4
	defaultSuccessfulJobsHistoryLimit = 3
	defaultFailedJobsHistoryLimit     = 1
	defaultMinimumSent                = 500
	defaultMinRecipients              = 1000
	defaultConfidence                 = "95%"
	defaultRecommendLimit             = 3
	defaultWebhookTimeout             = 10 * time.Second
)

// PriorityOrDefault says who goes first, 0 to 100.
func (s *ScenarioSpec) PriorityOrDefault() int32 { return valueOr(s.Priority, defaultPriority) }

// ReentryPolicyOrDefault says whether a customer may enter again.
func (s *ScenarioSpec) ReentryPolicyOrDefault() string {
	if s.Reentry == nil {
		return ReentryNever
	}
	return or(s.Reentry.Policy, ReentryNever)
}

// StartingDeadlineOrDefault is how late a run may start after its slot.
func (t *ScheduleTrigger) StartingDeadlineOrDefault() time.Duration {
	return t.StartingDeadline.Or(defaultStartingDeadline)
}

// TimeZoneOr is the zone of cron; shop is the shop's own, empty where it does not say.
func (t *ScheduleTrigger) TimeZoneOr(shop string) string { return zone(t.TimeZone, shop) }

// StartingDeadlineOrDefault is how late a fact may arrive and still let in.
func (t *EventTrigger) StartingDeadlineOrDefault() time.Duration {
	return t.StartingDeadline.Or(defaultStartingDeadline)
}

// StartingDeadlineOrDefault is how late a fact may arrive and still let in.
func (t *ProductEventTrigger) StartingDeadlineOrDefault() time.Duration {
	return t.StartingDeadline.Or(defaultStartingDeadline)
}

// WithinOrDefault is how far back the interest in the product may lie.
func (t *ProductEventTrigger) WithinOrDefault() time.Duration {
	return t.Within.Or(defaultProductEventWithin)
}

// StartingDeadlineOrDefault is how late a fact may arrive and still let in.
func (t *DateTrigger) StartingDeadlineOrDefault() time.Duration {
	return t.StartingDeadline.Or(defaultStartingDeadline)
}

// TimeOrDefault is the time of day at which the trigger lets in.
func (t *DateTrigger) TimeOrDefault() TimeOfDay { return or(t.Time, defaultTimeOfDay) }

// TimeZoneOr is the zone of time; shop is the shop's own, empty where it does not say.
func (t *DateTrigger) TimeZoneOr(shop string) string { return zone(t.TimeZone, shop) }

// AttributionOrDefault says which message a conversion is credited to.
func (g *Goal) AttributionOrDefault() string { return or(g.Attribution, AttributionLastTouch) }

// CurrencyOr is the currency of the budget; shop is the shop's own.
func (b *Budget) CurrencyOr(shop string) string { return or(string(b.Currency), shop) }

// MinimumSentOrDefault is how many must be out before a rate means anything.
func (a *AbortOn) MinimumSentOrDefault() int64 { return or(a.MinimumSent, defaultMinimumSent) }

// RunnerOrDefault says who works a run's Job off.
func (d *Dispatch) RunnerOrDefault() Runner { return or(d.get().Runner, RunnerInProcess) }

// ShardSizeOrDefault is how many messages an index of the Job holds.
func (d *Dispatch) ShardSizeOrDefault() int32 { return or(d.get().ShardSize, defaultShardSize) }

// ParallelismOrDefault is how many indexes are worked off at once.
func (d *Dispatch) ParallelismOrDefault() int32 { return or(d.get().Parallelism, defaultParallelism) }

// SuccessfulJobsHistoryLimitOrDefault is how many complete Jobs are kept.
func (d *Dispatch) SuccessfulJobsHistoryLimitOrDefault() int32 {
	return valueOr(d.get().SuccessfulJobsHistoryLimit, defaultSuccessfulJobsHistoryLimit)
}

// FailedJobsHistoryLimitOrDefault is how many failed Jobs are kept.
func (d *Dispatch) FailedJobsHistoryLimitOrDefault() int32 {
	return valueOr(d.get().FailedJobsHistoryLimit, defaultFailedJobsHistoryLimit)
}

// get lets the getters be called where a Scenario says nothing of its dispatch.
func (d *Dispatch) get() Dispatch {
	if d == nil {
		return Dispatch{}
	}
	return *d
}

// OperatorOrDefault is Exists or Equal.
func (t *Toleration) OperatorOrDefault() string { return or(t.Operator, "Equal") }

// MinRecipientsOrDefault is how many each variant needs before anything is decided.
func (w *Winner) MinRecipientsOrDefault() int64 { return or(w.MinRecipients, defaultMinRecipients) }

// ConfidenceOrDefault is the confidence at which a variant wins.
func (w *Winner) ConfidenceOrDefault() Percentage { return or(w.Confidence, defaultConfidence) }

// LimitOrDefault is how many products are recommended at most.
func (r *Recommend) LimitOrDefault() int32 { return or(r.Limit, defaultRecommendLimit) }

// TimeoutOrDefault is how long one call may take.
func (w *WebhookStep) TimeoutOrDefault() time.Duration { return w.Timeout.Or(defaultWebhookTimeout) }

// valueOr gives what v points to: 0 is a value of its own.
func valueOr(v *int32, otherwise int32) int32 {
	if v == nil {
		return otherwise
	}
	return *v
}
