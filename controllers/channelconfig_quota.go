// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// japan is where LINE's months begin.
var japan = time.FixedZone("JST", 9*60*60)

// leastElapsed keeps one campaign on the first of a month from being taken for the month's rate.
const leastElapsed = 7 * 24 * time.Hour

// outlook is what can be said of a month that is not over.
type outlook struct {
	// ends is the moment at which the quota ends, zero for not this month, and planned the messages under way.
	ends    time.Time
	planned int64
	// beyond is how many aggregation units have no statistics.
	beyond int64
}

// look foresees how the channel's month goes on. It knows what is planned, and no later steps of those who are on
// their way.
func (r *ChannelConfigReconciler) look(ctx context.Context, ref dispatch.Ref, seen *checked) (o outlook, err error) {
	if seen.account.Quota == nil {
		return o, nil
	}
	if o.beyond, err = dispatch.UnitsBeyond(ctx, r.Store, ref); err != nil {
		return o, err
	}
	if seen.account.Quota.Limit == nil {
		return o, nil
	}
	if o.planned, err = dispatch.Underway(ctx, r.Store, ref); err != nil {
		return o, err
	}
	o.ends = quotaEnds(*seen.account.Quota, o.planned, seen.at)
	return o, nil
}

// quotaEnds is when the month's quota ends if what is planned goes out now, and then as much a day as so far. It is
// zero where the month ends first.
func quotaEnds(q channel.Quota, planned int64, now time.Time) time.Time {
	now = now.In(japan)
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, japan)
	left := *q.Limit - q.Used - planned
	if left <= 0 {
		return now
	}
	if q.Used <= 0 {
		return time.Time{}
	}
	each := max(now.Sub(first), leastElapsed) / time.Duration(q.Used)
	if until := first.AddDate(0, 1, 0).Sub(now); time.Duration(left) < until/max(each, 1) {
		return now.Add(each * time.Duration(left))
	}
	return time.Time{}
}

// writeOutlook says that the month's quota will end, before it does, and that LINE counts no more units.
func (r *ChannelConfigReconciler) writeOutlook(config *crm.ChannelConfig, seen *checked, o outlook, before *metav1.Condition, to conditions) {
	if q := seen.account.Quota; !o.ends.IsZero() && q.Limit != nil && *q.Limit > q.Used {
		sentence := fmt.Sprintf("at this rate the month's %s end on the %s", thousands(*q.Limit), ordinal(o.ends.Day()))
		if o.planned >= *q.Limit-q.Used {
			sentence = fmt.Sprintf("what is planned is more than is left of the month's %s", thousands(*q.Limit))
		}
		message := sentence + "; planned until then: " + thousands(o.planned) + ". Raise the limit with the provider, or send less"
		if before != nil && before.Reason == crm.ReasonQuotaLow && strings.HasPrefix(before.Message, sentence) {
			message = before.Message // what is planned changes all the time
		} else {
			r.Recorder.Eventf(config, nil, "Warning", crm.ReasonQuotaLow, "Check", "%s", message)
		}
		to.set(crm.ConditionQuotaAvailable, true, crm.ReasonQuotaLow, message)
	}
	if o.beyond == 0 {
		to.remove(crm.ConditionUnitsAvailable)
		return
	}
	message := fmt.Sprintf("LINE keeps statistics of %s aggregation units a month, and this month has more steps and variants: the others are sent without", thousands(dispatch.MostUnits))
	if !meta.IsStatusConditionFalse(config.Status.Conditions, crm.ConditionUnitsAvailable) {
		r.Recorder.Eventf(config, nil, "Warning", crm.ReasonTooManyUnits, "Check", "%s", message)
	}
	to.set(crm.ConditionUnitsAvailable, false, crm.ReasonTooManyUnits, message)
}

// mended tells whether a channel that has reached its limit may send more: its plan has changed, or the month. Of
// what was before a start nothing is known but that the limit was reached.
func mended(before, now *checked) bool {
	if now.err != nil || now.account.Quota == nil {
		return false
	}
	is := now.account.Quota
	if before == nil || before.account.Quota == nil {
		return is.Limit == nil || is.Used < *is.Limit
	}
	was := before.account.Quota
	return is.Limit == nil && was.Limit != nil || is.Limit != nil && was.Limit != nil && *is.Limit > *was.Limit
}

// thousands writes a number with its thousands apart.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0 && s[at-1] != '-'; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func ordinal(day int) string {
	suffix := "th"
	if day < 11 || day > 13 {
		switch day % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(day, suffix)
}
